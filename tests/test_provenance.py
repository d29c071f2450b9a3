"""config.json: a later start of a run accepts only harmless differences, and only with --force_resume."""

import functools
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from ml_collections import ConfigDict

import icegan_jax
from configs import loso
from icegan_jax import provenance, train
from icegan_jax.config_fields import default_fields
from icegan_jax.errors import UserError
from icegan_jax.io import read_json_with_checksum, write_json_with_checksum
from icegan_jax.provenance import HARMLESS, git_commit, package_versions, read_run_config, write_or_compare_config
from icegan_jax.training.state import TrainConfig
from tests.training import tiny

FACES = "0123456789abcdef" * 4
VERSIONS = {"icegan_jax": "0.1.0", "jax": "0.10.2", "numpy": "2.4.6"}


@pytest.fixture(autouse=True)
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The versions of the packages, which tests change; the git commit is "commit"."""
    current = dict(VERSIONS)
    monkeypatch.setattr(provenance, "package_versions", lambda: dict(current))
    monkeypatch.setattr(provenance, "git_commit", lambda: "commit")
    return current


def config(fields: dict[str, Any] | None = None) -> ConfigDict:
    """Return the config of the paper with other values of some fields."""
    changed = loso.get_config()
    changed.update_from_flattened_dict(fields or {})
    return changed


def refusal(run: Path, now: ConfigDict, faces: str = FACES, force: bool = False) -> list[str]:
    """Return the lines of a refusal, which must not change the file."""
    before = (run / "config.json").read_bytes()
    with pytest.raises(UserError) as caught:
        write_or_compare_config(now, faces, run, force)
    assert (run / "config.json").read_bytes() == before
    return str(caught.value).splitlines()


def test_a_run_begins_and_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "new" / "run"
    name = write_or_compare_config(config(), FACES, run, False)
    assert re.fullmatch("[0-9a-f]{32}", name)
    stored = read_json_with_checksum(run / "config.json")
    notes = {"data_fingerprint": FACES, "code": VERSIONS, "git_commit": "commit", "id": name}
    assert {key: stored[key] for key in notes} == notes
    before = (run / "config.json").read_bytes()
    monkeypatch.setattr(provenance, "git_commit", lambda: "another commit")  # is no difference
    assert write_or_compare_config(config(), FACES, run, False) == name
    assert (run / "config.json").read_bytes() == before
    restored, again = read_run_config(run)
    assert restored == name and again.training.to_dict() == config().training.to_dict()
    assert write_or_compare_config(config(), FACES, tmp_path / "other", False) != name


def test_every_difference_is_shown(tmp_path: Path, versions: dict[str, str]) -> None:
    write_or_compare_config(config({"training.steps": 70}), FACES, tmp_path, False)
    versions["jax"] = "0.12.0"
    faces = FACES.replace("0", "f")
    fields = {"training.checkpoint_every": 7, "discriminator.reconstruction_hidden": (8,)}
    assert refusal(tmp_path, config({"training.steps": 80, **fields}), faces) == [
        f"{tmp_path}/config.json: the run began with another configuration:",
        "  discriminator.reconstruction_hidden: [512, 1024] -> [8]",
        "  training.steps: 70 -> 80",
        "  training.checkpoint_every: 500 -> 7 (harmless: when to save)",
        f"  data_fingerprint: '{FACES}' -> '{faces}'",
        "  code.jax: '0.10.2' -> '0.12.0' (harmless: rounding may differ)",
        "repeat the old command with the old versions, or choose another --workdir",
    ]


def test_force_accepts_only_harmless_differences(tmp_path: Path) -> None:
    """No field that changes the numbers, or which of them are reported, is harmless."""
    assert {field for field in HARMLESS if not field.startswith("code.")} == {
        "data.dir",
        "training.checkpoint_every",
        "training.steps_per_call",
        "training.folds_per_device",
        "training.parallel",
        "training.on_nonfinite",
        "training.collapse_after",
        "evaluation.oracle",
    }
    assert default_fields().keys() >= {field for field in HARMLESS if not field.startswith("code.")}
    name = write_or_compare_config(config(), FACES, tmp_path, False)
    harmless = {"training.checkpoint_every": 7, "data.dir": "elsewhere"}
    assert refusal(tmp_path, config(harmless))[-1].endswith("accept the harmless differences with --force_resume")
    assert "--force_resume" not in refusal(tmp_path, config({**harmless, "seed": 1}), force=True)[-1]
    assert write_or_compare_config(config(harmless), FACES, tmp_path, True) == name
    assert write_or_compare_config(config(harmless), FACES, tmp_path, False) == name


def test_accepted_differences_are_noted(
    tmp_path: Path, versions: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = write_or_compare_config(config(), FACES, tmp_path, False)
    versions["flax"] = "0.12.8"
    write_or_compare_config(config(), FACES, tmp_path, True)
    path = tmp_path / "config.json"
    assert capsys.readouterr().err == f"warning: {path}: the run continues with code.flax: None -> '0.12.8'\n"
    write_or_compare_config(config({"training.folds_per_device": 3}), FACES, tmp_path, True)
    stored = read_json_with_checksum(path)
    assert (stored["id"], stored["code"], stored["training"]["folds_per_device"]) == (name, versions, 3)
    assert [each["changed"] for each in stored["resumed"]] == [
        {"code.flax": [None, "0.12.8"]},
        {"training.folds_per_device": [0, 3]},
    ]
    assert all(datetime.fromisoformat(each["when"]).tzinfo == UTC for each in stored["resumed"])


def test_a_run_of_a_version_with_other_fields(tmp_path: Path) -> None:
    write_or_compare_config(config(), FACES, tmp_path, False)
    path = tmp_path / "config.json"
    stored = read_json_with_checksum(path)
    stored["model"]["grm"] = stored["generator"].pop("compact_grm")
    write_json_with_checksum(path, stored)
    for use in (functools.partial(write_or_compare_config, config(), FACES, tmp_path, True), read_run_config):
        with pytest.raises(UserError) as caught:
            use(tmp_path) if use is read_run_config else use()
        words = f"{path}: of icegan_jax 0.1.0 (config.model.grm: there is no such field; "
        assert str(caught.value).startswith(words) and "install that version, or train again" in str(caught.value)


DAMAGE: dict[str, Any] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[:700],
    "not UTF-8": lambda content: b"\xff\xfe\xfa" + content,
    "a list": lambda content: b"[1, 2]",
    "a changed value": lambda content: content.replace(b'"seed": 0', b'"seed": 1'),
    "without a checksum": lambda content: b'{"seed": 0}',
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_and_kept(tmp_path: Path, damage: str) -> None:
    write_or_compare_config(config(), FACES, tmp_path, False)
    path = tmp_path / "config.json"
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    (message,) = refusal(tmp_path, config(), force=True)
    assert message.startswith(str(path)) and "put the file back from a copy, or choose another --workdir" in message


def test_folds_without_config_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folds" / "casme2_sub01").mkdir(parents=True)
    with pytest.raises(UserError, match=r"config\.json: missing, but .+/folds holds folds of a run; put the file back"):
        write_or_compare_config(config(), FACES, tmp_path, True)
    assert not (tmp_path / "config.json").exists()


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", full)
        with pytest.raises(UserError, match=f"^{tmp_path}: cannot be written .No space left on device.; free some"):
            write_or_compare_config(config(), FACES, tmp_path, False)
    assert not (tmp_path / "config.json").exists()


def test_the_train_config_has_the_id_and_the_option_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_configs: list[TrainConfig] = []
    monkeypatch.setattr(train, "prepare_procedural", lambda *_, **__: None)
    monkeypatch.setattr(train, "load_pairs", lambda _: tiny.pairs())
    monkeypatch.setattr(train, "train_folds", lambda *arguments: train_configs.append(arguments[3]))
    monkeypatch.setattr(train, "finalize_run", lambda *_, **__: write_json_with_checksum(tmp_path / "results.json", {}))
    monkeypatch.setattr(train, "is_finished", lambda *_: True)
    monkeypatch.setattr(train, "build_models", lambda *_: None)
    current = loso.get_config()
    current.model.image_size, current.data.dir = tiny.SIZE, ""
    assert train.train_and_evaluate(current, tmp_path) == {}
    current.training.checkpoint_every = 7
    with pytest.raises(UserError, match="training.checkpoint_every: 500 -> 7"):
        train.train_and_evaluate(current, tmp_path)
    train.train_and_evaluate(current, str(tmp_path), force_resume=True)
    run_id = read_json_with_checksum(tmp_path / "config.json")["id"]
    assert [train_config.run for train_config in train_configs] == [run_id, run_id]


def test_the_versions_are_those_of_the_installed_packages() -> None:
    actual = package_versions()
    assert actual["icegan_jax"] == icegan_jax.__version__
    assert {name: actual[name] for name in ("jax", "numpy")} == {
        name: metadata.version(name) for name in ("jax", "numpy")
    }


def test_the_git_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    file = tmp_path / "package" / "provenance.py"
    file.parent.mkdir()
    file.write_text("1\n")
    monkeypatch.setattr(provenance, "__file__", str(file))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() == ""  # no repository
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    git("init", "--quiet")
    assert git_commit() == ""  # no commit
    (tmp_path / "other").write_text("")
    git("add", "other")
    git("commit", "--quiet", "--message=other")
    assert git_commit() == ""  # installed in a folder of another project
    git("add", ".")
    git("commit", "--quiet", "--message=package")
    commit = git("rev-parse", "HEAD")
    assert re.fullmatch("[0-9a-f]{40}", commit)
    assert git_commit() == commit
    (tmp_path / "untracked").write_text("")
    assert git_commit() == commit
    file.write_text("2\n")
    assert git_commit() == f"{commit} modified"
