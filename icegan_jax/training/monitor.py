"""Numbers that go wrong: the first update of a fold with a term that is not finite, and what is told about it.

The terms are those of ``step.update``: losses, and the norms of gradients, parameters and statistics.
Axis letters: g fold of the group, s step of a call, b batch.

Capsules that collapsed: a network that takes all training clips for one class, told from a fold's log.

On some settings all class capsules stay equally long for many epochs, and the longest is the same one
for every face (docs/design.md, "Losses and the update").
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.errors import UserError
from icegan_jax.io import read_json, write_json
from icegan_jax.run_dir import NONFINITE_FILE, fold_dir
from icegan_jax.training.state import TrainConfig

STATISTICS_ONLY = {"capsule_length": math.nan}  # what an evaluation found: which length of which clip does not matter

NAMED = 16  # terms or clips in a line; the file names all of them


class NonFinite(NamedTuple):
    """The first update of a call at which a fold's numbers were not finite.

    Attributes:
      offset: of the update in the call, from 0.
      terms: the values there that are not finite, by name; the norms last.
    """

    offset: int
    terms: dict[str, float]


class Batch(NamedTuple):
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
    clips: tuple[Batch, ...]
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


def mean_metrics(metrics: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
    """The means over a call's updates, float64[g], of metrics float[g, s]: what a line of the log holds."""
    with np.errstate(invalid="ignore"):  # inf - inf
        return {name: np.mean(values, axis=1, dtype=np.float64) for name, values in metrics.items()}


def clips_of_batch(pairs: Pairs, indices: NDArray[np.integer[Any]]) -> tuple[Batch, ...]:
    """The clips of a batch, by indices int[b] into ``pairs``: each once, in the order of the batch."""
    frames: dict[tuple[str, str, str], set[int]] = {}
    for index in indices.tolist():
        clip = (str(pairs.dataset[index]), str(pairs.subject[index]), str(pairs.clip[index]))
        frames.setdefault(clip, set()).add(int(pairs.shift[index]))
    return tuple(Batch(*clip, tuple(sorted(shifts))) for clip, shifts in frames.items())


def describe(failure: Failure) -> str:
    """One line: the fold, the step, the terms and the batch's clips."""
    terms = [f"{name} is {value}" for name, value in failure.terms.items()]
    clips = [
        f"{shown.dataset} {shown.subject} {shown.clip} ({', '.join(map(_frame, shown.frames))})"
        for shown in failure.clips
    ]
    where = f"clips of the batch: {_listed(clips)}" if clips else "in an evaluation"
    return f"fold {failure.fold}: step {failure.step}: {_listed(terms)}; {where}"


def describe_skipped_fold(failure: Failure) -> str:
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
    write_json(folder / NONFINITE_FILE, content)


def broken_at(run_dir: Path, fold: Fold) -> str:
    """Where a fold's training broke, such as ``step 37: d_real_margin is nan``; empty where it did not."""
    path = fold_dir(run_dir, fold) / NONFINITE_FILE
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
        (fold_dir(run_dir, fold) / NONFINITE_FILE).unlink(missing_ok=True)


def _kept(failure: Failure) -> str:
    return f"its checkpoint of step {failure.kept} is kept" if failure.kept else "it has no checkpoint yet"


def _frame(shift: int) -> str:
    return f"apex{shift:+}" if shift else "apex"


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return ", ".join(items[:NAMED]) + more


POINTS = 8  # of the loss curve in the warning: enough to tell a plateau from a fall, short enough for a line

_BARS = "▁▂▃▄▅▆▇█"

_LOSSES = {"d_real_margin": "margin loss", "d_real_cross_entropy": "cross entropy"}  # with capsules, and without

_ADVICE = {
    "d_real_margin": "the capsules have collapsed (see config.model.routing_axis, config.model.capsule_std, "
    "config.model.recognition_input, config.training.learning_rate)",
    "d_real_cross_entropy": "nothing is told apart (see config.model.recognition_input, config.training.learning_rate)",
}


class CollapseMonitor:
    """Sees the log of one fold line by line, and tells once when the network takes everything for one class.

    Every real face of a batch is judged by the network as it trains, and each pair is drawn once per pass: a pass
    over the training set is an evaluation of it that costs nothing, of a network that moves on meanwhile. A call of the
    training program counts when all of its faces were taken for one class; as soon as such calls, one after another
    and for the same class, cover the passes asked for, that is told, and again only after another answer was seen.

    It knows nothing that is not in the log, rounded as there: ``replay`` of the lines before a resumption brings it to
    where it was, and the warning comes at the same step as in a run without interruption.
    """

    def __init__(self, fold: str, classes: Sequence[str], pass_steps: int, passes: int, call_steps: int) -> None:
        """Args.

        fold: its name, for the warning.
        classes: names, as in the log.
        pass_steps: updates of a pass over the training set.
        passes: after so many it warns; 0: never.
        call_steps: updates of a call, which a line of the log covers.
        """
        self._fold = fold
        self._shares = {f"d_real_predicted_{name}": name for name in classes}
        self._needed = passes * pass_steps
        self._passes = passes
        self._call_steps = call_steps
        self._class = ""  # for which every face has been taken
        self._covered = 0  # updates since
        self._losses: list[float] = []  # of every call so far

    def see(self, step: int, values: Mapping[str, Any]) -> str | None:
        """Takes what the log says of the call that ended with ``step``; returns the warning's text when it is due.

        ``values`` may hold anything else too; None stands for a number that is not finite.
        """
        if not self._needed:
            return None
        loss = next((name for name in _LOSSES if name in values), "")
        number = values.get(loss)
        self._losses.append(math.nan if number is None else round(float(number), 6))
        taken = next((name for share, name in self._shares.items() if round(values.get(share) or 0.0, 6) == 1.0), "")
        before = self._covered if taken == self._class else 0
        self._class, self._covered = taken, before + self._call_steps if taken else 0
        if not before < self._needed <= self._covered:
            return None
        passes = f"{self._passes} {'pass' if self._passes == 1 else 'passes'}"
        return (
            f"fold {self._fold}: all training clips taken for {taken!r} in steps {step - self._covered + 1} to {step} "
            f"({passes}): {_ADVICE.get(loss, 'nothing is told apart')}; "
            f"{_LOSSES.get(loss, 'loss')} since the first step {sparkline(self._losses)}"
        )

    def replay(self, lines: Iterable[str]) -> list[str]:
        """Takes the lines of the log that a resumed fold keeps; returns the warnings that were due then."""
        entries = (json.loads(line) for line in lines)
        return [warning for entry in entries if (warning := self.see(int(entry["step"]), entry)) is not None]


def collapse_monitor(fold: Fold, pairs: Pairs, train_config: TrainConfig) -> CollapseMonitor:
    """The watch of a fold as planned; of a training set with one class it never warns."""
    several = len(np.unique(pairs.label[fold.train])) > 1
    pass_steps = math.ceil(len(fold.train) / train_config.batch_size)
    passes = train_config.collapse_after if several else 0
    return CollapseMonitor(fold.name, pairs.classes, pass_steps, passes, train_config.steps_per_call)


def sparkline(values: Sequence[float]) -> str:
    """A line for the eye: means of at most ``POINTS`` equal parts in three digits, and bars from the least to the most.

    A part with a number that is not finite shows ``nan`` and a cross.
    """
    parts = [part.mean() for part in np.array_split(np.array(values, np.float64), min(POINTS, len(values)))]
    finite = [part for part in parts if math.isfinite(part)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)

    def bar(value: float) -> str:
        if not math.isfinite(value):
            return "x"
        return _BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] if high > low else _BARS[0]

    return f"{' '.join(f'{part:.3g}' for part in parts)} {''.join(map(bar, parts))}"
