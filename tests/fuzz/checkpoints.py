"""Damaged checkpoints: each is restored as it was written, or refused in one line."""

import atexit
import functools
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from icegan_jax.errors import UserError
from icegan_jax.training.checkpoint import DamagedCheckpoint, FoldCheckpoints
from tests.fuzz.harness import CaseResult, damage_bytes
from tests.training.test_checkpoint import state_at

OWNER = "run and fold"
STEPS = (10, 20)
_state = functools.cache(state_at)


def case(rng: random.Random, folder: Path, result: CaseResult) -> None:
    shutil.copytree(_written(OWNER), folder, dirs_exist_ok=True)
    touched = _damage(rng, folder, result)
    try:
        with FoldCheckpoints(folder, OWNER) as store:
            steps = store.steps()
            result.require(steps <= {*STEPS, 15}, f"steps {steps}")
            for step in sorted(steps, reverse=True):
                _restore(store, step, result, touched)
    except UserError as error:
        result.record_refusal(error, str(folder))


def _restore(store: FoldCheckpoints, step: int, result: CaseResult, touched: set[int]) -> None:
    try:
        state, progress = store.restore(step, _state(0))
    except DamagedCheckpoint as error:
        result.require(step in touched, f"checkpoint {step} was intact: {error}")
        result.record_refusal(error, str(error))
        return
    expected = _state(step)
    same = all(
        np.asarray(a).dtype == np.asarray(b).dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes()
        for a, b in zip(*(jax.tree.leaves(s.replace(key=None)) for s in (state, expected)), strict=True)
    )
    result.require(same and progress == _progress(step), f"checkpoint {step} gives other content than was written")


def _damage(rng: random.Random, folder: Path, result: CaseResult) -> set[int]:
    """Damage the folder of checkpoints; return the steps of damaged ones."""
    root = folder / "checkpoints"
    files = sorted(path for path in root.rglob("*") if path.is_file())
    path = rng.choice(files)
    step = int(path.relative_to(root).parts[0])
    result.kind = rng.choice(
        ("bytes", "bytes", "bytes", "bytes", "deleted", "half deleted", "swapped", "foreign", "renamed", "more", "kind")
    )
    if result.kind == "bytes":
        result.kind, data = damage_bytes(rng, path.read_bytes())
        path.write_bytes(data)
    elif result.kind == "deleted":
        path.unlink()
    elif result.kind == "half deleted":
        mine = [file for file in files if file.is_relative_to(root / str(step))]
        for file in rng.sample(mine, len(mine) // 2):
            file.unlink()
    elif result.kind == "swapped":
        other = rng.choice(files)
        content = path.read_bytes(), other.read_bytes()
        path.write_bytes(content[1])
        other.write_bytes(content[0])
        return {step, int(other.relative_to(root).parts[0])}
    elif result.kind == "foreign":
        shutil.rmtree(root / str(step))
        shutil.copytree(_written("another") / "checkpoints" / str(step), root / str(step))
    elif result.kind == "renamed":
        (root / str(step)).rename(root / rng.choice(("15", "x", "010", "15.tmp")))
        return {15}
    elif result.kind == "more":
        (path.parent / rng.choice(("notes.txt", ".hidden", "0"))).write_bytes(rng.randbytes(50))
    else:
        path.unlink()
        rng.choice((path.mkdir, lambda: path.symlink_to("nowhere"), lambda: os.symlink(path.name, path)))()
    return {step}


@functools.cache
def _written(owner: str) -> Path:
    """Return a fold's folder with two intact checkpoints."""
    folder = Path(tempfile.mkdtemp(prefix="icegan-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with FoldCheckpoints(folder, owner) as store:
        for step in STEPS:
            store.save(_state(step), _progress(step))
    return folder


def _progress(step: int) -> dict[str, Any]:
    return {"iterator": {"next": step, "words": ["é", "a"]}, "wall_s": 1.5}
