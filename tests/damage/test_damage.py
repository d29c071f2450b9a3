"""Each damage of a run or its data ends in recovery, to the same bytes, or in one line that names the file.

pytest tests/damage -m "not slow"
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from icegan_jax.errors import UserError
from icegan_jax.io import read_json_with_checksum, write_json_with_checksum
from tests.damage.conftest import Runs
from tests.interruption.compare import contents, differences
from tests.training.tiny_run import FOLDS, config_of, start

FIRST, SECOND, THIRD = FOLDS
Damage = Callable[[Path], object]


def flip(path: Path) -> None:
    """Invert several bytes: a single one may be padding, whose change has no effect."""
    content = bytearray(path.read_bytes())
    for position in (0.2, 0.4, 0.6, 0.8):
        content[int(position * (len(content) - 1))] ^= 0xFF
    path.write_bytes(content)


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def garble(path: Path) -> None:
    path.write_bytes(b"\xff\x00{not JSON")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} holds no {old}"
    path.write_text(text.replace(old, new, 1))


def largest(folder: Path, pattern: str = "*") -> Path:
    """Return the largest file in a folder: in a checkpoint, the arrays."""
    return max((path for path in folder.rglob(pattern) if path.is_file()), key=lambda path: path.stat().st_size)


def checkpoint(run: Path, step: int = 8, fold: str = FIRST) -> Path:
    return run / "folds" / fold / "checkpoints" / str(step)


def arrays(damage: Damage) -> Damage:
    """Return the damage of the arrays of the first fold's newest checkpoint."""
    return lambda run: damage(largest(checkpoint(run)))


def of(name: str, damage: Damage) -> Damage:
    """Return the damage of a file of the run directory; ``FOLD`` is the first fold's folder."""
    return lambda run: damage(run / name.replace("FOLD", f"folds/{FIRST}"))


def _half_deleted(run: Path) -> None:
    for path in sorted(path for path in checkpoint(run).rglob("*") if path.is_file())[::2]:
        path.unlink()


def _of_another_fold(run: Path) -> None:
    shutil.rmtree(checkpoint(run))
    shutil.copytree(checkpoint(run, fold=SECOND), checkpoint(run))


def _emptied(run: Path) -> None:
    shutil.rmtree(checkpoint(run))
    checkpoint(run).mkdir()


def _both(run: Path) -> None:
    flip(largest(checkpoint(run)))
    truncate(largest(checkpoint(run, 4)))


def _of_two_folds(run: Path) -> None:
    flip(largest(checkpoint(run)))
    flip(largest(checkpoint(run, 4, THIRD)))


def _killed_save(run: Path) -> None:
    half = run / "folds" / FIRST / "checkpoints" / "9.orbax-checkpoint-tmp" / "state"
    half.mkdir(parents=True)
    (half / "part").write_bytes(b"\0" * 100)


def _last_line_twice(path: Path) -> None:
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")


def _learning_rate(path: Path) -> None:
    content = read_json_with_checksum(path)
    content["optimizer"]["learning_rate"] *= 10
    write_json_with_checksum(path, content)


STEP_8 = (FIRST, "step 8", "is damaged")
PREDICTIONS = (f"folds/{FIRST}", "predictions.csv")
# The damaged run, the damage, and words of the warnings.
RECOVERED: dict[str, tuple[str, Damage, tuple[str, ...]]] = {
    "checkpoint: arrays changed": ("unfinished", arrays(flip), STEP_8),
    "checkpoint: arrays truncated": ("unfinished", arrays(truncate), STEP_8),
    "checkpoint: half of its files deleted": ("unfinished", _half_deleted, STEP_8),
    "checkpoint: an empty folder": ("unfinished", _emptied, STEP_8),
    "checkpoint: of another fold": ("unfinished", _of_another_fold, (*STEP_8, "another")),
    "checkpoint: position and times changed": (
        "unfinished",
        lambda run: replace(checkpoint(run) / "progress" / "metadata", '"wall_s": ', '"wall_s": 1'),
        STEP_8,
    ),
    "checkpoint: manifest deleted": ("unfinished", lambda run: (checkpoint(run) / "manifest.json").unlink(), STEP_8),
    "checkpoints: both of a fold": ("unfinished", _both, (*STEP_8, "start anew")),
    "checkpoints: newest of one fold, older of another": ("unfinished", _of_two_folds, (*STEP_8, THIRD, "start anew")),
    "checkpoints: files of a killed save": ("unfinished", _killed_save, ()),
    "checkpoints of a fold: deleted": ("unfinished", of("FOLD/checkpoints", shutil.rmtree), ()),
    "log of an unfinished fold: truncated": ("unfinished", of("FOLD/metrics.jsonl", truncate), ()),
    "log of an unfinished fold: not text": ("unfinished", of("FOLD/metrics.jsonl", garble), ()),
    "evaluations of an unfinished fold: truncated": (
        "unfinished",
        of("FOLD/evaluations.jsonl", truncate),
        ("evaluations.jsonl", "step"),
    ),
    "result.json of a fold: truncated": ("finished", of("FOLD/result.json", truncate), ("result.json",)),
    "result.json of a fold: a number changed": (
        "finished",
        of("FOLD/result.json", lambda path: replace(path, '"steps": 8', '"steps": 9')),
        ("result.json",),
    ),
    "result.json of a fold: deleted": ("finished", of("FOLD/result.json", Path.unlink), ()),
    "predictions.csv of a fold: a true label changed": (
        "finished",
        of("FOLD/predictions.csv", lambda path: replace(path, "clip0,negative", "clip0,surprise")),
        PREDICTIONS,
    ),
    "predictions.csv of a fold: a clip twice": ("finished", of("FOLD/predictions.csv", _last_line_twice), PREDICTIONS),
    "predictions.csv of a fold: of another fold": (
        "finished",
        lambda run: shutil.copy(run / "folds" / SECOND / "predictions.csv", run / "folds" / FIRST / "predictions.csv"),
        PREDICTIONS,
    ),
    "predictions.csv of a fold: deleted": ("finished", of("FOLD/predictions.csv", Path.unlink), PREDICTIONS),
    "synthesis.npz of a fold: changed": ("finished", of("FOLD/synthesis.npz", flip), ("synthesis.npz",)),
    "evaluations.jsonl of a fold: truncated": ("finished", of("FOLD/evaluations.jsonl", truncate), ("evaluations",)),
    "folder of a fold: deleted": ("finished", of("FOLD", shutil.rmtree), ()),
    "predictions.csv of the run: changed": ("finished", of("predictions.csv", flip), ()),
    "results.json: truncated": ("finished", of("results.json", truncate), ()),
    "report: deleted": ("finished", of("report", shutil.rmtree), ()),
}
# The damage of an unfinished run or its data, and words of the message; no file is changed.
REFUSED: dict[str, tuple[Damage, tuple[str, ...]]] = {
    "config.json: truncated": (of("config.json", truncate), ("config.json",)),
    "config.json: another learning rate": (of("config.json", _learning_rate), ("config.json", "learning_rate")),
    "config.json: deleted": (of("config.json", Path.unlink), ("config.json",)),
}
REFUSED_DATA: dict[str, tuple[Damage, tuple[str, ...]]] = {
    "prepared faces: changed": (lambda data: flip(largest(data, "*array_record*")), ("data", "prepare")),
    "prepared faces: truncated": (lambda data: truncate(largest(data, "*array_record*")), ("data", "prepare")),
    "prepared faces: deleted": (lambda data: largest(data, "*array_record*").unlink(), ("data", "prepare")),
    "dataset_info.json: truncated": (lambda data: truncate(largest(data, "dataset_info.json")), ("data", "prepare")),
    "prepared.json: truncated": (lambda data: truncate(data / "prepared.json"), ("prepared.json",)),
    "prepared.json: of other faces": (
        lambda data: (data / "prepared.json").write_text(json.dumps({"fingerprint": "0" * 64})),
        ("data", "prepare"),
    ),
}
_QUICK = ("checkpoint: arrays changed", "predictions.csv of a fold: a true label changed")


@pytest.fixture(scope="module")
def expected(runs: Runs) -> dict[str, str]:
    return contents(runs.finished)


def test_a_killed_run_ends_like_an_uninterrupted_one(runs: Runs, expected: dict[str, str], tmp_path: Path) -> None:
    run = Path(shutil.copytree(runs.unfinished, tmp_path / "run"))
    start(config_of(runs.data), run)
    assert differences(contents(run), expected) == []


@pytest.mark.parametrize(
    "case", [pytest.param(name, marks=[] if name in _QUICK else pytest.mark.nightly) for name in RECOVERED]
)
def test_recovery(
    case: str, runs: Runs, expected: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, damage, words = RECOVERED[case]
    run = Path(shutil.copytree(getattr(runs, kind), tmp_path / "run"))
    damage(run)
    start(config_of(runs.data if kind == "unfinished" else runs.finished.parent / "data"), run)
    lost = [f"{FIRST}/metrics.jsonl"] if case.startswith("log") else []  # only training again would give its lines back
    assert differences(contents(run), expected) == lost
    assert (run / "report" / "index.html").is_file()
    message = capsys.readouterr().err
    assert "Traceback" not in message and ("warning: " in message) == bool(words), message
    assert all(word in message for word in words), message


@pytest.fixture
def data(runs: Runs, tmp_path: Path) -> Iterator[Path]:
    """The prepared folder, which is restored afterwards: the run directory names it."""
    copy = shutil.copytree(runs.data, tmp_path / "copy")
    yield runs.data
    shutil.rmtree(runs.data)
    Path(copy).rename(runs.data)


@pytest.mark.nightly
@pytest.mark.parametrize("case", [*REFUSED, *REFUSED_DATA])
def test_refusal(case: str, runs: Runs, data: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(runs.unfinished, tmp_path / "run"))
    damage, words = {**REFUSED, **REFUSED_DATA}[case]
    damage(run if case in REFUSED else data)
    before = _files(run)
    with pytest.raises(UserError) as caught:
        start(config_of(data), run)
    assert all(word in str(caught.value) for word in words), caught.value
    assert _files(run) == before, "a refused start changed files"


def _files(run: Path) -> dict[str, Any]:
    """Return the content of the run's files, but for the lock files, which hold the time of the last start."""
    paths = [path for path in run.rglob("*") if path.is_file() and "locks" not in path.parts and path.suffix]
    return {str(path): path.read_bytes() for path in paths}
