"""Runs of tiny networks, made once, then copied, damaged and started again by the tests."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from ml_collections import ConfigDict

from icegan_jax.io import read_json
from icegan_jax.training import loop
from tests.training.tiny_run import FOLDS, STEPS, config_of, start, write_data


@dataclass(frozen=True)
class Runs:
    """Run directories, which tests copy.

    Attributes:
      data: The prepared folder of all runs.
      finished: Of an uninterrupted run.
      unfinished: Of a run that was killed before it evaluated its folds, which have checkpoints of steps 4 and 8.
      foreign: Of another run, like ``unfinished``, with another seed.
    """

    data: Path
    finished: Path
    unfinished: Path
    foreign: Path


class Killed(BaseException):
    """Takes the place of the end of the process."""


def train_runs(folder: Path) -> Runs:
    """Prepare the data and train the runs."""
    runs = Runs(*(folder / name for name in ("data", "finished", "unfinished", "foreign")))
    write_data(runs.data)
    start(config_of(runs.data), runs.finished)
    for seed, run_dir in enumerate((runs.unfinished, runs.foreign)):
        start_and_kill(config_of(runs.data, seed=seed), run_dir)
    return runs


def start_and_kill(config: ConfigDict, run_dir: Path) -> None:
    """As ``start``, but killed after the training and before the evaluation."""

    def kill(*_: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patched, pytest.raises(Killed):
        patched.setattr(loop, "evaluate_group", kill)
        start(config, run_dir)


def copied(run_dir: Path, to: Path) -> Path:
    """Copy a folder, and return the copy."""
    shutil.copytree(run_dir, to, symlinks=True)
    return to


def outcome(run_dir: Path) -> dict[str, Any]:
    """Return the results of a run without times and dates: files, faces, parameters and scores."""
    folders = [run_dir / "folds" / fold for fold in FOLDS]
    faces, parameters = [], []
    for folder in folders:
        with np.load(folder / "synthesis.npz") as sheet:
            faces.append({name: sheet[name].tobytes() for name in sheet.files})
        with ocp.StandardCheckpointer() as reader:
            state = reader.restore((folder / "checkpoints" / str(STEPS) / "state").absolute())
        parameters.append([np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)])
    results = read_json(run_dir / "results.json")
    texts = [
        run_dir / "predictions.csv",
        *(folder / name for folder in folders for name in ("predictions.csv", "evaluations.jsonl")),
    ]
    return {
        "texts": {str(path.relative_to(run_dir)): path.read_bytes() for path in texts},
        "faces": faces,
        "parameters": parameters,
        "scores": {name: results[name] for name in ("overall", "datasets", "by_selection", "num_folds")},
        "report": (run_dir / "report" / "index.html").is_file(),
    }
