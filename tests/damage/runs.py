"""Runs of tiny networks, made once, then copied, damaged and started again by the tests."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from ml_collections import ConfigDict

from configs import demo
from icegan_jax import train
from icegan_jax.data.dataset import Record, write_pairs
from icegan_jax.io import read_json
from icegan_jax.training import loop
from tests.training import tiny

STEPS = 8  # two a call, a checkpoint every 4: those of steps 4 and 8 are there until a fold is evaluated
FOLDS = ("tiny_s0", "tiny_s1", "tiny_s2")


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


def config_of(data: Path, **changes: Any) -> ConfigDict:
    """Return the demo's config for tiny networks; ``changes`` are dotted names with ``__`` for the dot."""
    config = demo.get_config()
    config.data.dir = str(data)
    config.model.update(image_size=tiny.SIZE, width=0.03125, noise=4)
    config.generator.embedding = 6
    config.discriminator.update(
        primary_types=2,
        primary_dimension=4,
        adversarial_dimension=6,
        expression_dimension=4,
        capsule_std=10.0,  # with less, the lengths of so few and small capsules are near 0
        reconstruction_width=0.015625,
    )
    config.loss.perceptual = 0.0
    config.training.update(steps=STEPS, steps_per_call=2, checkpoint_every=4, folds_per_device=3, batch_size=tiny.BATCH)
    config.training.evaluate_every = 4
    config.update_from_flattened_dict({name.replace("__", "."): value for name, value in changes.items()})
    return config


def start(config: ConfigDict, run_dir: Path, **options: Any) -> None:
    """Train and evaluate in this process."""
    train.train_and_evaluate(config, run_dir, **options)


def train_runs(folder: Path) -> Runs:
    """Prepare the data and train the runs."""
    runs = Runs(*(folder / name for name in ("data", "finished", "unfinished", "foreign")))
    pairs = tiny.pairs()
    faces = zip(pairs.subject, pairs.clip, pairs.label, pairs.shift, pairs.onset, pairs.apex, strict=True)
    records = [
        Record("tiny", str(subject), str(clip), int(label), int(shift), onset, apex)
        for subject, clip, label, shift, onset, apex in faces
    ]
    fingerprint = write_pairs(runs.data, records, pairs.classes)
    (runs.data / "prepared.json").write_text(json.dumps({"fingerprint": fingerprint}))
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
