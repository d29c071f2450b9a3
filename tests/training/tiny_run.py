"""Runs of tiny networks on synthetic pairs of three subjects."""

import json
from pathlib import Path
from typing import Any

import jax
import pytest
from ml_collections import ConfigDict

from configs import demo
from icegan_jax import train
from icegan_jax.data.dataset import Record, write_pairs
from tests.training import tiny

STEPS = 8  # two a call, a checkpoint every 4: those of steps 4 and 8 are there until a fold is evaluated
FOLDS = ("tiny_s0", "tiny_s1", "tiny_s2")


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


def write_data(folder: Path) -> None:
    """Write ``tiny.pairs()`` as a prepared folder."""
    pairs = tiny.pairs()
    faces = zip(pairs.subject, pairs.clip, pairs.label, pairs.shift, pairs.onset, pairs.apex, strict=True)
    records = [
        Record("tiny", str(subject), str(clip), int(label), int(shift), onset, apex, rest=onset)
        for subject, clip, label, shift, onset, apex in faces
    ]
    fingerprint = write_pairs(folder, records, pairs.classes)
    (folder / "prepared.json").write_text(json.dumps({"fingerprint": fingerprint}))


def start(config: ConfigDict, run_dir: Path, **options: Any) -> None:
    """Train and evaluate in this process."""
    train.train_and_evaluate(config, run_dir, **options)


def trained(folder: Path) -> Path:
    """Write the pairs to ``data`` and train three folds in ``run`` on one device, unless done; return ``run``."""
    run_dir = folder / "run"
    if not (run_dir / "report" / "index.html").is_file():
        write_data(folder / "data")
        devices = jax.local_devices()[:1]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(jax, "local_devices", lambda: devices)
            patched.setattr(jax, "local_device_count", lambda: 1)
            start(config_of(folder / "data"), run_dir)
    return run_dir
