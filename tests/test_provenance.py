"""config.json: a later start of a run accepts only harmless differences, and only with --force_resume."""

import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import icegan_jax
from configs import loso
from icegan_jax import provenance, train
from icegan_jax.errors import UserError
from icegan_jax.io import checksum_of, read_json_with_checksum, write_json_with_checksum
from icegan_jax.provenance import HARMLESS, git_commit, package_versions, write_or_compare_config
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


def config(**fields: Any) -> dict[str, Any]:
    """Return the config of the paper as JSON types; ``fields`` have two underscores for the dot."""
    changed = loso.get_config()
    changed.update_from_flattened_dict({name.replace("__", "."): value for name, value in fields.items()})
    content: dict[str, Any] = json.loads(changed.to_json())
    return content


def refusal(run: Path, now: dict[str, Any], faces: str = FACES, force: bool = False) -> str:
    """Return the message of a refusal, which must not change the file."""
    before = (run / "config.json").read_bytes()
    with pytest.raises(UserError) as caught:
        write_or_compare_config(now, faces, run, force)
    assert (run / "config.json").read_bytes() == before
    return str(caught.value)


def test_a_new_run(tmp_path: Path) -> None:
    run = tmp_path / "new" / "run"
    name = write_or_compare_config(config(), FACES, run, False)
    assert re.fullmatch("[0-9a-f]{32}", name)
    expected = {**config(), "data_fingerprint": FACES, "code": VERSIONS, "git_commit": "commit", "id": name}
    assert read_json_with_checksum(run / "config.json") == expected
    assert write_or_compare_config(config(), FACES, tmp_path / "other", False) != name


def test_the_same_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = write_or_compare_config(config(), FACES, tmp_path, False)
    before = (tmp_path / "config.json").read_bytes()
    assert (
        write_or_compare_config(config(), FACES, tmp_path, False)
        == write_or_compare_config(config(), FACES, tmp_path, True)
        == name
    )
    assert (tmp_path / "config.json").read_bytes() == before
    assert capsys.readouterr().err == ""


def test_every_difference_is_shown(tmp_path: Path, versions: dict[str, str]) -> None:
    write_or_compare_config(config(training__steps=70, data__dir="faces"), FACES, tmp_path, False)
    versions["jax"] = "0.12.0"
    faces = FACES.replace("0", "f")
    now = config(training__steps=80, data__dir="", training__checkpoint_every=7, model__reconstruction_hidden=(8,))
    assert refusal(tmp_path, now, faces).splitlines() == [
        f"{tmp_path}/config.json: the run began with another configuration:",
        "  data.dir: 'faces' -> '' (harmless: the same faces in another folder)",
        "  discriminator.reconstruction_hidden: [512, 1024] -> [8]",
        "  training.steps: 70 -> 80",
        "  training.checkpoint_every: 500 -> 7 (harmless: when to save)",
        f"  data_fingerprint: '{FACES}' -> '{faces}'",
        "  code.jax: '0.10.2' -> '0.12.0' (harmless: rounding may differ)",
        "repeat the old command and install the old versions, or choose another --workdir",
    ]


def test_the_remedies(tmp_path: Path, versions: dict[str, str]) -> None:
    write_or_compare_config(config(), FACES, tmp_path, False)

    def last(force: bool = False, **fields: Any) -> str:
        return refusal(tmp_path, config(**fields), force=force).splitlines()[-1]

    accept = "choose another --workdir, or accept the harmless differences with --force_resume"
    assert last(seed=1) == "repeat the old command, or choose another --workdir"
    assert last(training__collapse_after=0) == f"repeat the old command, {accept}"
    forced = "--force_resume accepts only harmless differences: repeat the old command, or choose another --workdir"
    assert last(True, seed=1, training__collapse_after=0) == forced
    versions["icegan_jax"] = "0.2.0"
    assert "'0.2.0' (harmless: if the new version computes the same)\n" in refusal(tmp_path, config())
    assert last() == f"install the old versions, {accept}"
    assert last(training__collapse_after=0) == f"repeat the old command and install the old versions, {accept}"


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return [*value, 1] if isinstance(value, list) else f"{value}x" if isinstance(value, str) else value + 1


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    parts = [flat(v, f"{prefix}{k}.") if isinstance(v, dict) else {f"{prefix}{k}": v} for k, v in tree.items()]
    return {name: value for part in parts for name, value in part.items()}


@pytest.mark.parametrize("field", flat(config()))
def test_force_accepts_these_fields_and_no_other(tmp_path: Path, field: str) -> None:
    """No field that changes the numbers, or which of them are reported, is harmless."""
    harmless = field in {
        "data.dir",
        "training.checkpoint_every",
        "training.steps_per_call",
        "training.folds_per_device",
        "training.parallel",
        "training.on_nonfinite",
        "training.collapse_after",
        "evaluation.oracle",
    }
    assert harmless == (field in HARMLESS)
    name = write_or_compare_config(config(), FACES, tmp_path, False)
    old = flat(config())[field]
    now = config()
    *path, leaf = field.split(".")
    part = now
    for step in path:
        part = part[step]
    part[leaf] = other(old)
    assert f"\n  {field}: {old!r} -> {other(old)!r}" in refusal(tmp_path, now)
    if not harmless:
        assert "(harmless" not in refusal(tmp_path, now, force=True)
        return
    assert write_or_compare_config(now, FACES, tmp_path, True) == name
    assert write_or_compare_config(now, FACES, tmp_path, False) == name


def test_accepted_differences_are_noted(
    tmp_path: Path, versions: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = write_or_compare_config(config(), FACES, tmp_path, False)
    versions["flax"] = "0.12.8"
    del versions["numpy"]
    write_or_compare_config(config(), FACES, tmp_path, True)
    path = tmp_path / "config.json"
    words = "code.flax: missing -> '0.12.8', code.numpy: '2.4.6' -> missing"
    assert capsys.readouterr().err == f"warning: {path}: the run continues with {words}\n"
    now = config(training__folds_per_device=3, data__dir="elsewhere")
    write_or_compare_config(now, FACES, tmp_path, True)
    stored = read_json_with_checksum(path)
    assert {key: stored[key] for key in now} == now
    assert (stored["id"], stored["code"], stored["data_fingerprint"]) == (name, versions, FACES)
    assert [each["changed"] for each in stored["resumed"]] == [
        {"code.flax": [None, "0.12.8"], "code.numpy": ["2.4.6", None]},
        {"data.dir": ["data/megc2019", "elsewhere"], "training.folds_per_device": [0, 3]},
    ]
    for each in stored["resumed"]:
        when = datetime.fromisoformat(each["when"])
        assert when.tzinfo == UTC and abs((datetime.now(UTC) - when).total_seconds()) < 60


def test_fields_that_only_one_of_them_has(tmp_path: Path) -> None:
    older = config()
    del older["training"]["on_nonfinite"], older["model"]["grm"]
    older["training"]["momentum"] = 0.9
    name = write_or_compare_config(older, FACES, tmp_path, False)
    lines = refusal(tmp_path, config()).splitlines()
    assert lines[1:-1] == [
        "  generator.compact_grm: missing -> 'full'",
        "  training.on_nonfinite: missing -> 'stop' (harmless: what to do about numbers that are not finite)",
        "  training.momentum: 0.9 -> missing",
    ]
    del older["training"]["momentum"]
    older["model"]["grm"] = "full"
    (tmp_path / "config.json").unlink()
    name = write_or_compare_config(older, FACES, tmp_path, False)
    assert write_or_compare_config(config(), FACES, tmp_path, True) == name


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_have(tmp_path: Path, value: float) -> None:
    strange = {"loss": {"weight": value, "list": [value, 1.0]}}
    name = write_or_compare_config(strange, FACES, tmp_path, False)
    assert write_or_compare_config(strange, FACES, tmp_path, False) == name
    assert f"\n  loss.weight: '{value}' -> 1.0\n" in refusal(tmp_path, {"loss": {"weight": 1.0, "list": [value, 1.0]}})


def test_values_stay_on_their_line(tmp_path: Path) -> None:
    write_or_compare_config({"name": "a\nb\u2028c", "long": "x" * 500}, FACES, tmp_path, False)
    lines = refusal(tmp_path, {"name": "d", "long": "y" * 500}).splitlines()
    assert len(lines) == 4 and all(len(line) < 250 for line in lines)
    assert lines[1] == r"  name: 'a\nb\u2028c' -> 'd'"


def flip(path: Path) -> None:
    """Flip one bit of a value."""
    content = bytearray(path.read_bytes())
    content[content.index(b'"steps": 0') + 9] ^= 1
    path.write_bytes(content)


def without_id(path: Path) -> None:
    content = read_json_with_checksum(path)
    del content["id"]
    write_json_with_checksum(path, content)


NO_JSON, OTHER = ["not JSON"], ["the checksum does not match"]
DAMAGE: dict[str, tuple[Any, list[str]]] = {
    "empty": (lambda path: path.write_bytes(b""), NO_JSON),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:700]), NO_JSON),
    "zeros": (lambda path: path.write_bytes(bytes(2000)), NO_JSON),
    "not UTF-8": (lambda path: path.write_bytes(b"\xff\xfe\xfa" + path.read_bytes()), NO_JSON),
    "brackets": (lambda path: path.write_text("[" * 100_000), NO_JSON),
    "a number of 5,000 digits": (lambda path: path.write_text("1" * 5000), NO_JSON),
    "a list": (lambda path: path.write_text("[1, 2]"), ["not a JSON object"]),
    "no id": (without_id, ["without the run's id", "older version"]),
    "an older version": (lambda path: path.write_text('{"seed": 0, "data_fingerprint": "1"}'), ["older version"]),
    "an id that is none": (
        lambda path: write_json_with_checksum(path, {**read_json_with_checksum(path), "id": "../../x"}),
        ["the run's id"],
    ),
    "a flipped bit": (flip, OTHER),
    "a changed value": (lambda path: path.write_text(path.read_text().replace('"seed": 0', '"seed": 1')), OTHER),
    "a number that is none": (
        lambda path: path.write_text(path.read_text().replace('"seed": 0', '"seed": NaN')),
        OTHER,
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("force", [False, True])
def test_a_damaged_file_is_named_and_kept(tmp_path: Path, damage: str, force: bool) -> None:
    write_or_compare_config(config(), FACES, tmp_path, False)
    (tmp_path / "folds" / "p01").mkdir(parents=True)
    do, words = DAMAGE[damage]
    do(tmp_path / "config.json")
    message = refusal(tmp_path, config(), force=force)
    assert message.startswith(f"{tmp_path}/config.json: ") and len(message.splitlines()) == 1
    assert all(word in message for word in [*words, "put the file back from a copy, or choose another --workdir"])


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(UserError, match=r"config\.json: cannot be read \(Is a directory\)"):
        write_or_compare_config(config(), FACES, tmp_path, False)


@pytest.mark.parametrize("force", [False, True])
def test_folds_without_config_are_refused(tmp_path: Path, force: bool) -> None:
    (tmp_path / "folds" / "casme2_sub01").mkdir(parents=True)
    with pytest.raises(UserError) as caught:
        write_or_compare_config(config(), FACES, tmp_path, force)
    assert str(caught.value) == (
        f"{tmp_path}/config.json: missing, but {tmp_path}/folds holds 1 fold of a run; "
        "put it back from a copy, or choose another --workdir"
    )
    assert not (tmp_path / "config.json").exists()
    (tmp_path / "folds" / "casme2_sub01").rmdir()
    assert write_or_compare_config(config(), FACES, tmp_path, force)


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first start and at a forced one: the file is complete or missing."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for now, already in ((config(), False), (config(training__checkpoint_every=7), True)):
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", full)
            with pytest.raises(UserError) as caught:
                write_or_compare_config(now, FACES, tmp_path, True)
        assert str(caught.value).startswith(f"{tmp_path}: cannot be written (No space left on device); free some space")
        assert (tmp_path / "config.json").exists() == already
        write_or_compare_config(config(), FACES, tmp_path, False)


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


def test_a_run_of_an_earlier_version_is_resumed(tmp_path: Path) -> None:
    """Its version has a checksum of the sources, its file no git commit, and the checksum another name."""
    run_id = write_or_compare_config(config(), FACES, tmp_path, False)
    content = read_json_with_checksum(tmp_path / "config.json")
    del content["git_commit"]
    content["code"] = {**VERSIONS, "icegan_jax": "0.1.0+aaaaaaaaaaaa"}
    text = json.dumps({**content, "seal": checksum_of(content)})
    (tmp_path / "config.json").write_text(text)
    assert write_or_compare_config(config(), FACES, tmp_path, False) == run_id
    assert (tmp_path / "config.json").read_text() == text


def test_another_commit_is_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = write_or_compare_config(config(), FACES, tmp_path, False)
    monkeypatch.setattr(provenance, "git_commit", lambda: "another commit")
    assert write_or_compare_config(config(), FACES, tmp_path, False) == run_id
    write_or_compare_config(config(training__collapse_after=0), FACES, tmp_path, True)
    assert read_json_with_checksum(tmp_path / "config.json")["git_commit"] == "another commit"


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
