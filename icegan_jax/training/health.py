"""Numbers that go wrong: the first update of a fold with a term that is not finite, and what is told about it.

The terms are those of ``step.update``: losses, and the norms of gradients, parameters and statistics.
Axis letters: g fold of the group, s step of a call, b batch.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.errors import UserError
from icegan_jax.evaluation.files import read_json, write_json
from icegan_jax.training.plan import fold_dir

NONFINITE = "nonfinite.json"  # in a fold's folder
UNTOLD = {"capsule_length": math.nan}  # what an evaluation found: which length of which clip does not matter
NAMED = 16  # terms or clips in a line; the file names all of them


class NonFinite(NamedTuple):
    """The first update of a call at which a fold's numbers were not finite.

    Attributes:
      offset: of the update in the call, from 0.
      terms: the values there that are not finite, by name; the norms last.
    """

    offset: int
    terms: dict[str, float]


class Shown(NamedTuple):
    """A clip of a batch; ``frames``: which of its frames were in the batch, counted from the apex, rising."""

    dataset: str
    subject: str
    clip: str
    frames: tuple[int, ...]


class Failure(NamedTuple):
    """Where a fold's training broke.

    Attributes:
      fold: its name.
      step: the update whose terms are not finite; the first update of a training is step 1.
      terms: as in ``NonFinite``.
      clips: of that update's batch, each once.
      kept: the step of the newest checkpoint before it; 0: there is none.
    """

    fold: str
    step: int
    terms: dict[str, float]
    clips: tuple[Shown, ...]
    kept: int


class NonFiniteError(UserError):
    """A fold's loss or gradient is no finite number, and the run is to stop there."""

    def __init__(self, failure: Failure) -> None:
        again = ", from which the same command comes to the same step" if failure.kept else ""
        super().__init__(
            f"{describe(failure)}; {_kept(failure)}{again}: lower --config.training.learning_rate in a new --workdir, "
            "or add --config.training.on_nonfinite=skip_fold --force_resume to go on without this fold"
        )
        self.failure = failure


def first_nonfinite(metrics: Mapping[str, NDArray[Any]], fold: int) -> NonFinite | None:
    """Finds the first update of a call after which something of a fold is not finite.

    Args:
      metrics: of ``step.advance`` on the host, by name, float[g, s] each.
      fold: its place in the group.

    Returns:
      None where all is finite.
    """
    broken = {name: ~np.isfinite(values[fold]) for name, values in metrics.items()}
    steps = np.any(list(broken.values()), axis=0)
    if not steps.any():
        return None
    offset = int(np.argmax(steps))
    names = sorted((name for name in metrics if broken[name][offset]), key=lambda name: name.endswith("_norm"))
    return NonFinite(offset, {name: float(metrics[name][fold, offset]) for name in names})


def means(metrics: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
    """The means over a call's updates, float64[g], of metrics float[g, s]: what a line of the log holds."""
    with np.errstate(invalid="ignore"):  # inf - inf
        return {name: np.mean(values, axis=1, dtype=np.float64) for name, values in metrics.items()}


def clips_of(pairs: Pairs, indices: NDArray[np.integer[Any]]) -> tuple[Shown, ...]:
    """The clips of a batch, by indices int[b] into ``pairs``: each once, in the order of the batch."""
    frames: dict[tuple[str, str, str], set[int]] = {}
    for index in indices.tolist():
        clip = (str(pairs.dataset[index]), str(pairs.subject[index]), str(pairs.clip[index]))
        frames.setdefault(clip, set()).add(int(pairs.shift[index]))
    return tuple(Shown(*clip, tuple(sorted(shifts))) for clip, shifts in frames.items())


def describe(failure: Failure) -> str:
    """One line: the fold, the step, the terms and the batch's clips."""
    terms = [f"{name} is {value}" for name, value in failure.terms.items()]
    clips = [
        f"{shown.dataset} {shown.subject} {shown.clip} ({', '.join(map(_frame, shown.frames))})"
        for shown in failure.clips
    ]
    where = f"clips of the batch: {_listed(clips)}" if clips else "in an evaluation"
    return f"fold {failure.fold}: step {failure.step}: {_listed(terms)}; {where}"


def left_out(failure: Failure) -> str:
    """The line of a fold that the run goes on without."""
    return f"{describe(failure)}; the run goes on without this fold, {_kept(failure)}"


def write_failure(folder: Path, failure: Failure, policy: str) -> None:
    """Writes ``nonfinite.json`` into the fold's folder.

    Args:
      policy: what the run did, one of ``plan.ON_NONFINITE``.

    Raises:
      OSError: it cannot be written.
    """
    content = {
        "fold": failure.fold,
        "step": failure.step,
        "terms": {name: str(value) for name, value in failure.terms.items()},  # JSON has neither nan nor inf
        "clips": [{**shown._asdict(), "frames": list(shown.frames)} for shown in failure.clips],
        "checkpoint": failure.kept,
        "policy": policy,
    }
    write_json(folder / NONFINITE, content)


def broken_at(run_dir: Path, fold: Fold) -> str:
    """Where a fold's training broke, such as ``step 37: d_real_margin is nan``; empty where it did not."""
    path = fold_dir(run_dir, fold) / NONFINITE
    if not path.is_file():
        return ""
    content = read_json(path)
    return f"step {content['step']}: {_listed([f'{name} is {value}' for name, value in content['terms'].items()])}"


def forget_failures(run_dir: Path, folds: Sequence[Fold]) -> None:
    """Before a run starts again: its folds go on from their checkpoints, and what went wrong is written anew.

    Raises:
      OSError: a file cannot be removed.
    """
    for fold in folds:
        (fold_dir(run_dir, fold) / NONFINITE).unlink(missing_ok=True)


def _kept(failure: Failure) -> str:
    return f"its checkpoint of step {failure.kept} is kept" if failure.kept else "it has no checkpoint yet"


def _frame(shift: int) -> str:
    return f"apex{shift:+}" if shift else "apex"


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return ", ".join(items[:NAMED]) + more
