"""Kinds of damage to a run directory and its data: what is done, and what must come of it.

A ``cut`` run was killed after training, before its folds were evaluated; a ``whole`` one is finished.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from icegan_jax.io import read_json_with_checksum, write_json_with_checksum
from tests.damage.runs import FOLDS, World

FIRST, SECOND, THIRD = FOLDS
STEP_8 = (FIRST, "step 8")  # what the warning names
Do = Callable[[Path, Path, World], None]


class Kind(NamedTuple):
    """A kind of damage.

    Attributes:
      name: in words.
      run: which of the world's runs is damaged, ``whole`` or ``cut``.
      do: damages; takes the run directory, the prepared folder (a copy), and the world.
      recovers: whether the same command then ends with the outcome of the undamaged run; or else refuses.
      told: what the warnings, or the refusal, must say; a file or folder of the damage is always among it.
    """

    name: str
    run: str
    do: Do
    recovers: bool
    told: tuple[str, ...]


def flip(path: Path, place: float = 0.5) -> None:
    """Inverts a byte; ``place``: where in the file, 0 to 1."""
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 0xFF
    path.write_bytes(content)


def cut(path: Path, share: float = 0.5) -> None:
    """Leaves the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} holds no {old}"
    path.write_text(text.replace(old, new, 1))


def largest(folder: Path) -> Path:
    """The largest file below a folder: of a checkpoint, the arrays."""
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: (path.stat().st_size, path))


def newest(run: Path, fold: str = FIRST) -> Path:
    return run / "folds" / fold / "checkpoints" / "8"


def older(run: Path, fold: str = FIRST) -> Path:
    return run / "folds" / fold / "checkpoints" / "4"


def _half_deleted(run: Path, data: Path, world: World) -> None:
    for path in sorted((newest(run) / "state").rglob("*"))[::2]:
        if path.is_file():
            path.unlink()


def _foreign_fold(run: Path, data: Path, world: World) -> None:
    shutil.rmtree(newest(run))
    shutil.copytree(newest(run, SECOND), newest(run))


def _foreign_run(run: Path, data: Path, world: World) -> None:
    shutil.rmtree(newest(run))
    shutil.copytree(newest(world.foreign), newest(run))


def _emptied(run: Path, data: Path, world: World) -> None:
    shutil.rmtree(newest(run))
    newest(run).mkdir()


def _progress_moved(run: Path, data: Path, world: World) -> None:
    (path,) = (
        path for path in (newest(run) / "progress").rglob("*") if path.is_file() and b"wall_s" in path.read_bytes()
    )
    replace(path, '"wall_s": ', '"wall_s": 1')


def _both(run: Path, data: Path, world: World) -> None:
    flip(largest(newest(run)))
    cut(largest(older(run)))


def _different_ones(run: Path, data: Path, world: World) -> None:
    """The newest of one fold, the one before of another: no step is left that all have."""
    flip(largest(newest(run, FIRST)))
    flip(largest(older(run, THIRD)))


def _half_saved(run: Path, data: Path, world: World) -> None:
    half = run / "folds" / FIRST / "checkpoints" / "9.orbax-checkpoint-tmp" / "state"
    half.mkdir(parents=True)
    (half / "part").write_bytes(b"\0" * 100)


def _odd_entries(run: Path, data: Path, world: World) -> None:
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


def _signs_of_life(run: Path, data: Path, world: World) -> None:
    for path in (run / "processes").glob("*.json"):
        garble(path)


def garble(path: Path) -> None:
    path.write_bytes(b"\xff\x00{not JSON")


def in_run(name: str, damage: Callable[[Path], object]) -> Do:
    """Damages a file of the run directory; ``FOLD`` stands for the first fold's folder."""
    return lambda run, data, world: (damage(run / name.replace("FOLD", f"folds/{FIRST}")), None)[1]


def in_data(pattern: str, damage: Callable[[Path], object]) -> Do:
    """Damages the largest file of the prepared folder with such a name."""
    return lambda run, data, world: (damage(max(data.rglob(pattern), key=lambda path: path.stat().st_size)), None)[1]


def in_state(damage: Callable[[Path], object]) -> Do:
    """Damages the arrays of the first fold's newest checkpoint."""
    return lambda run, data, world: (damage(largest(newest(run))), None)[1]


def fold_file(name: str, damage: Callable[[Path], object], what: str) -> Kind:
    """Of a file of a finished fold: it is named, and the fold runs again from its newest checkpoint."""
    return Kind(f"{name} of a fold: {what}", "whole", in_run(f"FOLD/{name}", damage), True, (f"folds/{FIRST}", name))


def refused(name: str, do: Do, *told: str) -> Kind:
    """Nothing can be put right here: one line, and nothing is touched."""
    return Kind(name, "cut", do, False, told)


def _is_list(path: Path) -> None:
    path.write_text("[]")


def _faster(path: Path) -> None:
    content = read_json_with_checksum(path)
    content["training"]["learning_rate"] *= 10
    write_json_with_checksum(path, content)


def _flip_many(path: Path) -> None:
    """A single byte may be padding, whose change nobody sees."""
    for place in (0.2, 0.4, 0.6, 0.8):
        flip(path, place)


def _of_others(path: Path) -> None:
    path.write_text(json.dumps({"fingerprint": "0" * 64}))


def _nine_steps(path: Path) -> None:
    replace(path, '"steps": 8', '"steps": 9')


def _empty(path: Path) -> None:
    cut(path, 0)


CHECKPOINTS = (  # the one before is used
    Kind("newest checkpoint: arrays cut", "cut", in_state(cut), True, STEP_8),
    Kind("newest checkpoint: a byte of the arrays flipped", "cut", in_state(flip), True, STEP_8),
    Kind("newest checkpoint: arrays emptied", "cut", in_state(_empty), True, STEP_8),
    Kind("newest checkpoint: half of its files deleted", "cut", _half_deleted, True, STEP_8),
    Kind("newest checkpoint: of another fold", "cut", _foreign_fold, True, (*STEP_8, "another")),
    Kind("newest checkpoint: of another run", "cut", _foreign_run, True, (*STEP_8, "another")),
    Kind("newest checkpoint: an empty folder", "cut", _emptied, True, STEP_8),
    Kind("newest checkpoint: its times edited", "cut", _progress_moved, True, STEP_8),
    Kind("both checkpoints of a fold", "cut", _both, True, (*STEP_8, "start")),
    Kind("the newest of one fold, the older of another", "cut", _different_ones, True, (*STEP_8, THIRD, "start")),
    Kind("what a killed save left", "cut", _half_saved, True, ()),
    Kind("odd entries among the checkpoints", "cut", _odd_entries, True, ()),
)
FOLD_FILES = (
    fold_file("result.json", cut, "cut"),
    fold_file("result.json", _nine_steps, "a number changed"),
    fold_file("predictions.csv", cut, "cut"),
    fold_file("predictions.csv", _label, "a true label changed"),
    fold_file("predictions.csv", _clip_repeated, "a clip twice"),
    fold_file("predictions.csv", _other_folds, "of another fold"),
    fold_file("predictions.csv", Path.unlink, "deleted"),
    fold_file("synthesis.npz", flip, "a byte flipped"),
    fold_file("evaluations.jsonl", cut, "cut"),
    Kind("result.json of a fold: deleted", "whole", in_run("FOLD/result.json", Path.unlink), True, ()),
    Kind("folder of a fold: deleted", "whole", in_run("FOLD", shutil.rmtree), True, ()),
    Kind("log of an unfinished fold: cut", "cut", in_run("FOLD/metrics.jsonl", cut), True, ()),
    Kind("log of an unfinished fold: not text", "cut", in_run("FOLD/metrics.jsonl", garble), True, ()),
)
RUN_FILES = (  # written anew
    Kind("predictions.csv of the run: a byte flipped", "whole", in_run("predictions.csv", flip), True, ()),
    Kind("results.json: cut", "whole", in_run("results.json", cut), True, ()),
    Kind("report: deleted", "whole", in_run("report", shutil.rmtree), True, ()),
    Kind("signs of life: not JSON", "cut", _signs_of_life, True, ()),
)
CONFIG_AND_DATA = (
    refused("config.json: cut", in_run("config.json", cut), "config.json"),
    refused("config.json: a list", in_run("config.json", _is_list), "config.json"),
    refused("config.json: another learning rate", in_run("config.json", _faster), "config.json", "learning_rate"),
    refused("config.json: deleted", in_run("config.json", Path.unlink), "config.json"),
    refused("prepared faces: bytes flipped", in_data("*array_record*", _flip_many), "data", "prepare"),
    refused("prepared faces: cut", in_data("*array_record*", cut), "data", "prepare"),
    refused("prepared faces: deleted", in_data("*array_record*", Path.unlink), "data", "prepare"),
    refused("dataset_info.json: cut", in_data("dataset_info.json", cut), "data", "prepare"),
    refused("prepared.json: cut", in_data("prepared.json", cut), "prepared.json"),
    refused("prepared.json: of other faces", in_data("prepared.json", _of_others), "data", "prepare"),
)
KINDS = (*CHECKPOINTS, *FOLD_FILES, *RUN_FILES, *CONFIG_AND_DATA)
