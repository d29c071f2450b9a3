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

NONFINITE_LENGTH = {"capsule_length": math.nan}  # the terms of a failure in an evaluation

MAX_NAMED = 16  # terms or clips that one message names; nonfinite.json names all of them

_LOSSES = ("d_real_margin", "d_real_cross_entropy")  # with capsules, and without


class Failure(NamedTuple):
    """Where the training of a fold failed.

    Attributes:
      fold: the name of the fold.
      step: the update whose terms are not finite; the first update of a training is step 1.
      terms: the terms that are not finite, by name; the norms come last.
      clips: the clips of the batch of that update, each once; none where an evaluation failed.
      checkpoint: the step of the newest checkpoint; 0 where there is none.
    """

    fold: str
    step: int
    terms: dict[str, float]
    clips: tuple[str, ...]
    checkpoint: int

    def describe(self) -> str:
        """Describe the failure in one line: the fold, the step, the terms, the clips of the batch, the checkpoint."""
        terms = _listed([f"{name} is {value}" for name, value in self.terms.items()])
        place = f"clips of the batch: {_listed(self.clips)}" if self.clips else "in an evaluation"
        kept = f"its checkpoint of step {self.checkpoint} is kept" if self.checkpoint else "it has no checkpoint yet"
        return f"fold {self.fold}: step {self.step}: {terms}; {place}; {kept}"


class NonFiniteError(UserError):
    """A loss or gradient of a fold is not finite, and the config stops the run then."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(
            f"{failure.describe()}: lower --config.optimizer.learning_rate in a new --workdir, or add "
            "--config.training.on_nonfinite=skip_fold --force_resume to go on without this fold"
        )
        self.failure = failure


def first_nonfinite(metrics: Mapping[str, NDArray[Any]], fold: int) -> tuple[int, dict[str, float]] | None:
    """Find the first update of a call after which a number of a fold is not finite.

    Args:
      metrics: the metrics of ``train_steps`` on the host, by name, float[g, s] each.
      fold: the index of the fold in the group.

    Returns:
      The index of the update in the call, from 0, and its terms that are not finite, by name, norms last; None where
      all numbers are finite.
    """
    nonfinite = {name: ~np.isfinite(values[fold]) for name, values in metrics.items()}
    steps = np.any(list(nonfinite.values()), axis=0)
    if not steps.any():
        return None
    offset = int(np.argmax(steps))
    names = sorted((name for name in metrics if nonfinite[name][offset]), key=lambda name: name.endswith("_norm"))
    return offset, {name: float(metrics[name][fold, offset]) for name in names}


def mean_metrics(metrics: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
    """Compute the means over the updates of a call, float64[g], of metrics float[g, s]: one line of the log."""
    with np.errstate(invalid="ignore"):  # inf - inf
        return {name: np.mean(values, axis=1, dtype=np.float64) for name, values in metrics.items()}


def batch_clips(pairs: Pairs, indices: NDArray[np.integer[Any]]) -> tuple[str, ...]:
    """Return the clips of a batch, given its indices int[b] into ``pairs``: each once, in the order of the batch.

    A clip is written as ``casme2 sub01 EP02_01f (apex, apex+1)``, with the frames that were in the batch.
    """
    frames: dict[str, set[int]] = {}
    for index in indices.tolist():
        clip = f"{pairs.dataset[index]} {pairs.subject[index]} {pairs.clip[index]}"
        frames.setdefault(clip, set()).add(int(pairs.shift[index]))
    return tuple(
        f"{clip} ({', '.join(f'apex{shift:+}' if shift else 'apex' for shift in sorted(shifts))})"
        for clip, shifts in frames.items()
    )


def write_failure(folder: Path, failure: Failure, policy: str) -> None:
    """Write ``nonfinite.json`` into the folder of the fold.

    Args:
      folder: the folder of the fold.
      failure: where the training failed.
      policy: what the run did then, one of ``state.ON_NONFINITE``.

    Raises:
      OSError: the file cannot be written.
    """
    terms = {name: str(value) for name, value in failure.terms.items()}  # JSON has neither nan nor inf
    write_json(folder / NONFINITE_FILE, {**failure._asdict(), "terms": terms, "policy": policy})


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

    def update(self, step: int, values: Mapping[str, Any]) -> str | None:
        """Take the log line of the call that ended with ``step``; return the text of a warning when one is due.

        ``values`` may hold other fields too; None stands for a number that is not finite.
        """
        call_steps, self._step = step - self._step, step
        only = next((name for share, name in self._shares.items() if round(values.get(share) or 0.0, 6) == 1.0), "")
        before = self._covered if only == self._class else 0
        self._class, self._covered = only, before + call_steps if only else 0
        if not before < self._needed <= self._covered:
            return None
        losses = [f"{name} {values[name]:.3g}; " for name in _LOSSES if values.get(name) is not None]
        return (
            f"fold {self._fold}: all training clips are predicted as {only!r} in steps {step - self._covered + 1} to "
            f"{step}, {self._passes} passes over them; {''.join(losses)}see config.discriminator.routing_axis, "
            "config.discriminator.capsule_std, config.model.recognition_input and config.optimizer.learning_rate"
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
    return CollapseMonitor(fold.name, pairs.classes, pass_steps, train_config.collapse_after if several else 0)
