"""Failures of the training: numbers that are not finite, and capsules that collapse.

The terms are those that ``train_step`` returns: losses, and the norms of gradients, parameters and statistics.
On some settings all class capsules stay equally long for many epochs, and the longest is the same one for every face
(docs/design.md, "Losses and the update").
Axis letters: g fold of the group, s step of a call, b batch.
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

# The terms of a failure in an evaluation. Neither the clip nor the class of the capsule length is recorded.
STATISTICS_ONLY = {"capsule_length": math.nan}

MAX_NAMED = 16  # terms or clips that one message names; nonfinite.json names all of them

POINTS = 8  # of the loss curve in a warning: enough to show a plateau, short enough for one line
_BARS = "▁▂▃▄▅▆▇█"
_LOSSES = {"d_real_margin": "margin loss", "d_real_cross_entropy": "cross entropy"}  # with capsules, and without
_ADVICE = {
    "d_real_margin": "the capsules have collapsed (see config.discriminator.routing_axis, "
    "config.discriminator.capsule_std, config.model.recognition_input, config.optimizer.learning_rate)",
    "d_real_cross_entropy": "all classes are predicted alike (see config.model.recognition_input, "
    "config.optimizer.learning_rate)",
}


class NonFinite(NamedTuple):
    """The first update of a call at which a number of a fold was not finite.

    Attributes:
      offset: the index of the update in the call, from 0.
      terms: the values of that update that are not finite, by name; the norms come last.
    """

    offset: int
    terms: dict[str, float]


class BatchClip(NamedTuple):
    """A clip of a batch; ``frames`` are the frames that were in the batch, relative to the apex, in rising order."""

    dataset: str
    subject: str
    clip: str
    frames: tuple[int, ...]


class Failure(NamedTuple):
    """Where the training of a fold failed.

    Attributes:
      fold: the name of the fold.
      step: the update whose terms are not finite; the first update of a training is step 1.
      terms: the terms that are not finite, as in ``NonFinite``.
      clips: the clips of the batch of that update, each once.
      kept: the step of the newest checkpoint; 0 where there is none.
    """

    fold: str
    step: int
    terms: dict[str, float]
    clips: tuple[BatchClip, ...]
    kept: int


class NonFiniteError(UserError):
    """A loss or gradient of a fold is not finite, and the config stops the run then."""

    def __init__(self, failure: Failure) -> None:
        again = ", from which the same command comes to the same step" if failure.kept else ""
        super().__init__(
            f"{describe(failure)}; {_kept(failure)}{again}: lower --config.optimizer.learning_rate in a new --workdir, "
            "or add --config.training.on_nonfinite=skip_fold --force_resume to go on without this fold"
        )
        self.failure = failure


def first_nonfinite(metrics: Mapping[str, NDArray[Any]], fold: int) -> NonFinite | None:
    """Find the first update of a call after which a number of a fold is not finite.

    Args:
      metrics: the metrics of ``train_steps`` on the host, by name, float[g, s] each.
      fold: the index of the fold in the group.

    Returns:
      None where all numbers are finite.
    """
    broken = {name: ~np.isfinite(values[fold]) for name, values in metrics.items()}
    steps = np.any(list(broken.values()), axis=0)
    if not steps.any():
        return None
    offset = int(np.argmax(steps))
    names = sorted((name for name in metrics if broken[name][offset]), key=lambda name: name.endswith("_norm"))
    return NonFinite(offset, {name: float(metrics[name][fold, offset]) for name in names})


def mean_metrics(metrics: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
    """Compute the means over the updates of a call, float64[g], of metrics float[g, s]: one line of the log."""
    with np.errstate(invalid="ignore"):  # inf - inf
        return {name: np.mean(values, axis=1, dtype=np.float64) for name, values in metrics.items()}


def batch_clips(pairs: Pairs, indices: NDArray[np.integer[Any]]) -> tuple[BatchClip, ...]:
    """Return the clips of a batch, given its indices int[b] into ``pairs``: each once, in the order of the batch."""
    frames: dict[tuple[str, str, str], set[int]] = {}
    for index in indices.tolist():
        clip = (str(pairs.dataset[index]), str(pairs.subject[index]), str(pairs.clip[index]))
        frames.setdefault(clip, set()).add(int(pairs.shift[index]))
    return tuple(BatchClip(*clip, tuple(sorted(shifts))) for clip, shifts in frames.items())


def describe(failure: Failure) -> str:
    """Describe a failure in one line: the fold, the step, the terms and the clips of the batch."""
    terms = [f"{name} is {value}" for name, value in failure.terms.items()]
    clips = [
        f"{clip.dataset} {clip.subject} {clip.clip} ({', '.join(map(_frame, clip.frames))})" for clip in failure.clips
    ]
    where = f"clips of the batch: {_listed(clips)}" if clips else "in an evaluation"
    return f"fold {failure.fold}: step {failure.step}: {_listed(terms)}; {where}"


def describe_skipped_fold(failure: Failure) -> str:
    """Describe in one line a fold that the run skips."""
    return f"{describe(failure)}; the run goes on without this fold, {_kept(failure)}"


def write_failure(folder: Path, failure: Failure, policy: str) -> None:
    """Write ``nonfinite.json`` into the folder of the fold.

    Args:
      folder: the folder of the fold.
      failure: where the training failed.
      policy: what the run did then, one of ``state.ON_NONFINITE``.

    Raises:
      OSError: the file cannot be written.
    """
    content = {
        "fold": failure.fold,
        "step": failure.step,
        "terms": {name: str(value) for name, value in failure.terms.items()},  # JSON has neither nan nor inf
        "clips": [{**clip._asdict(), "frames": list(clip.frames)} for clip in failure.clips],
        "checkpoint": failure.kept,
        "policy": policy,
    }
    write_json(folder / NONFINITE_FILE, content)


def describe_recorded_failure(run_dir: Path, fold: Fold) -> str:
    """Describe where the training of a fold failed, for example ``step 37: d_real_margin is nan``; empty if none."""
    path = fold_dir(run_dir, fold) / NONFINITE_FILE
    if not path.is_file():
        return ""
    content = read_json(path)
    return f"step {content['step']}: {_listed([f'{name} is {value}' for name, value in content['terms'].items()])}"


def remove_failures(run_dir: Path, folds: Sequence[Fold]) -> None:
    """Remove the recorded failures of folds, which continue from their checkpoints when a run starts again.

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
    more = f" and {len(items) - MAX_NAMED} more" if len(items) > MAX_NAMED else ""
    return ", ".join(items[:MAX_NAMED]) + more


class CollapseMonitor:
    """Monitor that reads the log of one fold line by line and warns when the network predicts one class for all clips.

    A pass over the training set replaces an evaluation: each pair is drawn once per pass, and the log holds the shares
    of the predicted classes on the real faces of each batch, of a network that is trained meanwhile. A call of the
    program counts when the network predicted the same class for all of its faces. When consecutive calls with the same
    class cover the given number of passes, the monitor warns, and again only after another class was predicted.

    The monitor uses only values of the log, rounded as in the log: after ``replay`` of the lines before a resumption,
    the warning comes at the same step as in a run without interruption.
    """

    def __init__(self, fold: str, classes: Sequence[str], pass_steps: int, passes: int) -> None:
        """Create the monitor of a fold before its first step.

        Args:
          fold: the name of the fold, for the warning.
          classes: the names of the classes, as in the log.
          pass_steps: updates of a pass over the training set.
          passes: the number of passes before a warning; 0 disables the monitor.
        """
        self._fold = fold
        self._shares = {f"d_real_predicted_{name}": name for name in classes}
        self._needed = passes * pass_steps
        self._passes = passes
        self._step = 0  # the last step that was logged
        self._class = ""  # the class that was predicted for every face
        self._covered = 0  # the updates since only this class was predicted
        self._losses: list[float] = []  # of every call so far

    def update(self, step: int, values: Mapping[str, Any]) -> str | None:
        """Take the log line of the call that ended with ``step``; return the text of a warning when one is due.

        ``values`` may hold other fields too; None stands for a number that is not finite.
        """
        call_steps, self._step = step - self._step, step
        if not self._needed:
            return None
        loss = next((name for name in _LOSSES if name in values), "")
        number = values.get(loss)
        self._losses.append(math.nan if number is None else round(float(number), 6))
        only = next((name for share, name in self._shares.items() if round(values.get(share) or 0.0, 6) == 1.0), "")
        before = self._covered if only == self._class else 0
        self._class, self._covered = only, before + call_steps if only else 0
        if not before < self._needed <= self._covered:
            return None
        passes = f"{self._passes} {'pass' if self._passes == 1 else 'passes'}"
        return (
            f"fold {self._fold}: all training clips are predicted as {only!r} in steps {step - self._covered + 1} to "
            f"{step} ({passes}): {_ADVICE.get(loss, 'all classes are predicted alike')}; "
            f"{_LOSSES.get(loss, 'loss')} since the first step {sparkline(self._losses)}"
        )

    def replay(self, lines: Iterable[str], step: int) -> list[str]:
        """Take the lines of the log until ``step``, at which a fold resumes; return the warnings that were due then."""
        entries = (json.loads(line) for line in lines)
        warnings = [warning for entry in entries if (warning := self.update(int(entry["step"]), entry)) is not None]
        self._step = step  # also where the last lines of the log are lost
        return warnings


def collapse_monitor(fold: Fold, pairs: Pairs, train_config: TrainConfig) -> CollapseMonitor:
    """Build the monitor of a fold; for a training set with one class the monitor never warns."""
    several = len(np.unique(pairs.label[fold.train])) > 1
    pass_steps = math.ceil(len(fold.train) / train_config.batch_size)
    passes = train_config.collapse_after if several else 0
    return CollapseMonitor(fold.name, pairs.classes, pass_steps, passes)


def sparkline(values: Sequence[float]) -> str:
    """Draw values as text: the means of at most ``POINTS`` equal parts in three digits, and bars of their heights.

    A part with a number that is not finite is drawn as ``nan`` and a cross.
    """
    parts = [part.mean() for part in np.array_split(np.array(values, np.float64), min(POINTS, len(values)))]
    finite = [part for part in parts if math.isfinite(part)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)

    def bar(value: float) -> str:
        if not math.isfinite(value):
            return "x"
        return _BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] if high > low else _BARS[0]

    return f"{' '.join(f'{part:.3g}' for part in parts)} {''.join(map(bar, parts))}"
