"""Cases of damage to a run directory and its data, each with the expected outcome."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from icegan_jax.io import read_json_with_checksum, write_json_with_checksum
from tests.damage.runs import FOLDS, Runs

FIRST, SECOND, THIRD = FOLDS
STEP_8 = (FIRST, "step 8")  # words of the warning
Damage = Callable[[Path, Path, Runs], None]


class DamageCase(NamedTuple):
    """A case of damage.

    Attributes:
      name: In words.
      run: The damaged run, ``finished`` or ``unfinished``.
      apply: Damages; takes the run directory, the prepared folder (a copy), and all runs.
      recovers: Whether the same command then ends with the results of the undamaged run, or else is refused.
      words: Words that the warnings or the refusal must have; the damaged file or folder is always among them.
    """

    name: str
    run: str
    apply: Damage
    recovers: bool
    words: tuple[str, ...]


def flip(path: Path, position: float = 0.5) -> None:
    """Invert a byte at a relative position in the file, 0 to 1."""
    content = bytearray(path.read_bytes())
    content[int(position * (len(content) - 1))] ^= 0xFF
    path.write_bytes(content)


def truncate(path: Path, share: float = 0.5) -> None:
    """Truncate a file to the first part."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} holds no {old}"
    path.write_text(text.replace(old, new, 1))


def largest(folder: Path) -> Path:
    """Return the largest file in a folder: in a checkpoint, the arrays."""
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: (path.stat().st_size, path))


def newest(run: Path, fold: str = FIRST) -> Path:
    return run / "folds" / fold / "checkpoints" / "8"


def older(run: Path, fold: str = FIRST) -> Path:
    return run / "folds" / fold / "checkpoints" / "4"


def _half_deleted(run: Path, data: Path, runs: Runs) -> None:
    for path in sorted((newest(run) / "state").rglob("*"))[::2]:
        if path.is_file():
            path.unlink()


def _foreign_fold(run: Path, data: Path, runs: Runs) -> None:
    shutil.rmtree(newest(run))
    shutil.copytree(newest(run, SECOND), newest(run))


def _foreign_run(run: Path, data: Path, runs: Runs) -> None:
    shutil.rmtree(newest(run))
    shutil.copytree(newest(runs.foreign), newest(run))


def _emptied(run: Path, data: Path, runs: Runs) -> None:
    shutil.rmtree(newest(run))
    newest(run).mkdir()


def _progress_moved(run: Path, data: Path, runs: Runs) -> None:
    (path,) = (
        path for path in (newest(run) / "progress").rglob("*") if path.is_file() and b"wall_s" in path.read_bytes()
    )
    replace(path, '"wall_s": ', '"wall_s": 1')


def _both(run: Path, data: Path, runs: Runs) -> None:
    flip(largest(newest(run)))
    truncate(largest(older(run)))


def _different_ones(run: Path, data: Path, runs: Runs) -> None:
    """Damage the newest of one fold, the older of another: no step remains that all have."""
    flip(largest(newest(run, FIRST)))
    flip(largest(older(run, THIRD)))


def _half_saved(run: Path, data: Path, runs: Runs) -> None:
    half = run / "folds" / FIRST / "checkpoints" / "9.orbax-checkpoint-tmp" / "state"
    half.mkdir(parents=True)
    (half / "part").write_bytes(b"\0" * 100)


def _odd_entries(run: Path, data: Path, runs: Runs) -> None:
    folder = run / "folds" / FIRST / "checkpoints"
    (folder / "12").write_text("a file")
    (folder / "notes").mkdir()
    (folder / "16").symlink_to(folder / "nowhere")


def _label(path: Path) -> None:
    replace(path, "clip0,negative", "clip0,surprise")


def _clip_repeated(path: Path) -> None:
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")


def _other_folds(path: Path) -> None:
    shutil.copy(path.parents[1] / SECOND / path.name, path)


def garble(path: Path) -> None:
    path.write_bytes(b"\xff\x00{not JSON")


def in_run(name: str, damage: Callable[[Path], object]) -> Damage:
    """Return the damage of a file of the run directory; ``FOLD`` is the first fold's folder."""
    return lambda run, data, runs: (damage(run / name.replace("FOLD", f"folds/{FIRST}")), None)[1]


def in_data(pattern: str, damage: Callable[[Path], object]) -> Damage:
    """Return the damage of the largest file of the prepared folder whose name matches."""
    return lambda run, data, runs: (damage(max(data.rglob(pattern), key=lambda path: path.stat().st_size)), None)[1]


def in_state(damage: Callable[[Path], object]) -> Damage:
    """Return the damage of the arrays of the first fold's newest checkpoint."""
    return lambda run, data, runs: (damage(largest(newest(run))), None)[1]


def fold_file(name: str, damage: Callable[[Path], object], what: str) -> DamageCase:
    """Return the case of a file of a finished fold: the fold runs again from its newest checkpoint."""
    return DamageCase(
        f"{name} of a fold: {what}", "finished", in_run(f"FOLD/{name}", damage), True, (f"folds/{FIRST}", name)
    )


def refused(name: str, damage: Damage, *words: str) -> DamageCase:
    """Return a case that cannot be repaired: one line, and no file is changed."""
    return DamageCase(name, "unfinished", damage, False, words)


def _is_list(path: Path) -> None:
    path.write_text("[]")


def _faster(path: Path) -> None:
    content = read_json_with_checksum(path)
    content["optimizer"]["learning_rate"] *= 10
    write_json_with_checksum(path, content)


def _flip_many(path: Path) -> None:
    """Invert several bytes: a single one may be padding, whose change has no effect."""
    for position in (0.2, 0.4, 0.6, 0.8):
        flip(path, position)


def _of_others(path: Path) -> None:
    path.write_text(json.dumps({"fingerprint": "0" * 64}))


def _nine_steps(path: Path) -> None:
    replace(path, '"steps": 8', '"steps": 9')


def _empty(path: Path) -> None:
    truncate(path, 0)


CHECKPOINTS = (  # the older one is used
    DamageCase("newest checkpoint: arrays truncated", "unfinished", in_state(truncate), True, STEP_8),
    DamageCase("newest checkpoint: a byte of the arrays flipped", "unfinished", in_state(flip), True, STEP_8),
    DamageCase("newest checkpoint: arrays emptied", "unfinished", in_state(_empty), True, STEP_8),
    DamageCase("newest checkpoint: half of its files deleted", "unfinished", _half_deleted, True, STEP_8),
    DamageCase("newest checkpoint: of another fold", "unfinished", _foreign_fold, True, (*STEP_8, "another")),
    DamageCase("newest checkpoint: of another run", "unfinished", _foreign_run, True, (*STEP_8, "another")),
    DamageCase("newest checkpoint: an empty folder", "unfinished", _emptied, True, STEP_8),
    DamageCase("newest checkpoint: its times edited", "unfinished", _progress_moved, True, STEP_8),
    DamageCase("both checkpoints of a fold", "unfinished", _both, True, (*STEP_8, "start")),
    DamageCase("newest of one fold, older of another", "unfinished", _different_ones, True, (*STEP_8, THIRD, "start")),
    DamageCase("files that a killed save left", "unfinished", _half_saved, True, ()),
    DamageCase("odd entries among the checkpoints", "unfinished", _odd_entries, True, ()),
)
FOLD_FILES = (
    fold_file("result.json", truncate, "truncated"),
    fold_file("result.json", _nine_steps, "a number changed"),
    fold_file("predictions.csv", truncate, "truncated"),
    fold_file("predictions.csv", _label, "a true label changed"),
    fold_file("predictions.csv", _clip_repeated, "a clip twice"),
    fold_file("predictions.csv", _other_folds, "of another fold"),
    fold_file("predictions.csv", Path.unlink, "deleted"),
    fold_file("synthesis.npz", flip, "a byte flipped"),
    fold_file("evaluations.jsonl", truncate, "truncated"),
    DamageCase("result.json of a fold: deleted", "finished", in_run("FOLD/result.json", Path.unlink), True, ()),
    DamageCase("folder of a fold: deleted", "finished", in_run("FOLD", shutil.rmtree), True, ()),
    DamageCase("log of an unfinished fold: truncated", "unfinished", in_run("FOLD/metrics.jsonl", truncate), True, ()),
    DamageCase("log of an unfinished fold: not text", "unfinished", in_run("FOLD/metrics.jsonl", garble), True, ()),
)
RUN_FILES = (  # written again
    DamageCase("predictions.csv of the run: a byte flipped", "finished", in_run("predictions.csv", flip), True, ()),
    DamageCase("results.json: truncated", "finished", in_run("results.json", truncate), True, ()),
    DamageCase("report: deleted", "finished", in_run("report", shutil.rmtree), True, ()),
)
CONFIG_AND_DATA = (
    refused("config.json: truncated", in_run("config.json", truncate), "config.json"),
    refused("config.json: a list", in_run("config.json", _is_list), "config.json"),
    refused("config.json: another learning rate", in_run("config.json", _faster), "config.json", "learning_rate"),
    refused("config.json: deleted", in_run("config.json", Path.unlink), "config.json"),
    refused("prepared faces: bytes flipped", in_data("*array_record*", _flip_many), "data", "prepare"),
    refused("prepared faces: truncated", in_data("*array_record*", truncate), "data", "prepare"),
    refused("prepared faces: deleted", in_data("*array_record*", Path.unlink), "data", "prepare"),
    refused("dataset_info.json: truncated", in_data("dataset_info.json", truncate), "data", "prepare"),
    refused("prepared.json: truncated", in_data("prepared.json", truncate), "prepared.json"),
    refused("prepared.json: of other faces", in_data("prepared.json", _of_others), "data", "prepare"),
)
DAMAGE_CASES = (*CHECKPOINTS, *FOLD_FILES, *RUN_FILES, *CONFIG_AND_DATA)
