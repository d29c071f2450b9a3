"""Capsules that collapsed: a network that takes all training clips for one class, told from a fold's log.

On some settings all class capsules stay equally long for many epochs, and the longest is the same one
for every face (docs/design.md, "Losses and the update").
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.training.plan import Plan

POINTS = 8  # of the loss curve in the warning: enough to tell a plateau from a fall, short enough for a line
_BARS = "▁▂▃▄▅▆▇█"
_LOSSES = {"d_real_margin": "margin loss", "d_real_cross_entropy": "cross entropy"}  # with capsules, and without
_ADVICE = {
    "d_real_margin": "the capsules have collapsed (see config.model.routing_axis, config.model.capsule_std, "
    "config.model.recognition_input, config.training.learning_rate)",
    "d_real_cross_entropy": "nothing is told apart (see config.model.recognition_input, config.training.learning_rate)",
}


class CollapseWatch:
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
            f"{_LOSSES.get(loss, 'loss')} since the first step {curve(self._losses)}"
        )

    def replay(self, lines: Iterable[str]) -> list[str]:
        """Takes the lines of the log that a resumed fold keeps; returns the warnings that were due then."""
        entries = (json.loads(line) for line in lines)
        return [warning for entry in entries if (warning := self.see(int(entry["step"]), entry)) is not None]


def watch(fold: Fold, pairs: Pairs, plan: Plan) -> CollapseWatch:
    """The watch of a fold as planned; of a training set with one class it never warns."""
    several = len(np.unique(pairs.label[fold.train])) > 1
    pass_steps = math.ceil(len(fold.train) / plan.batch_size)
    passes = plan.collapse_after if several else 0
    return CollapseWatch(fold.name, pairs.classes, pass_steps, passes, plan.steps_per_call)


def curve(values: Sequence[float]) -> str:
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
