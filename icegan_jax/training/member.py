"""A fold of a group in training: its files that are open, and how it fares."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.training.checkpoint import FoldCheckpoints
from icegan_jax.training.collapse import CollapseWatch, watch
from icegan_jax.training.course import Call
from icegan_jax.training.evaluate import SYNTHESIS
from icegan_jax.training.evaluations import EVALUATIONS
from icegan_jax.training.fold_log import METRICS, open_log, write_line
from icegan_jax.training.health import Failure, NonFiniteError, Shown, clips_of, first_nonfinite, write_failure
from icegan_jax.training.plan import Plan, events_dir, fold_dir
from icegan_jax.training.tensorboard import open_events, write_faces, write_scalars


@dataclass
class Member:
    """A fold of a group.

    Attributes:
      fold: who is trained on and tested.
      folder: the fold's.
      store: its checkpoints.
      watch: for collapsed capsules.
      metrics: metrics.jsonl.
      events: the same for TensorBoard.
      evaluations: evaluations.jsonl, if there is to be one.
      warnings: lines of this fold, of earlier starts too.
      failure: where its training broke; None while all is well.
    """

    fold: Fold
    folder: Path
    store: FoldCheckpoints
    watch: CollapseWatch
    metrics: TextIO | None = None
    events: BinaryIO | None = None
    evaluations: TextIO | None = None
    warnings: list[str] = field(default_factory=list)
    failure: Failure | None = None

    @property
    def well(self) -> bool:
        """Whether the fold is still trained."""
        return self.failure is None

    @property
    def logs(self) -> list[TextIO]:
        """The logs that are open."""
        return [log for log in (self.metrics, self.evaluations) if log is not None]

    def look(self, metrics: Mapping[str, NDArray[Any]], place: int, call: Call, plan: Plan, pairs: Pairs) -> None:
        """Looks for numbers that went wrong in a call.

        Args:
          metrics: of the call, [g, s].
          place: of the fold in the group.

        Raises:
          NonFiniteError: there are some, and the plan says to stop.
        """
        found = first_nonfinite(metrics, place) if self.well else None
        if found is not None:
            clips = clips_of(pairs, call.indices[place, found.offset])
            self.give_up(call.step - plan.steps_per_call + found.offset + 1, found.terms, clips, plan)

    def give_up(self, step: int, terms: dict[str, float], clips: tuple[Shown, ...], plan: Plan) -> None:
        """Leaves the fold at its newest checkpoint.

        Args:
          step: at which the terms were not finite.
          terms: by name.
          clips: of the batch; none where it was an evaluation.

        Raises:
          NonFiniteError: the plan says to stop.
        """
        kept = max(self.store.steps(), default=0)
        self.failure = Failure(self.fold.name, step, terms, clips, kept)
        write_failure(self.folder, self.failure, plan.on_nonfinite)
        if plan.on_nonfinite == "stop":
            raise NonFiniteError(self.failure)

    def write(self, step: int, epoch: float, values: Mapping[str, Any]) -> str | None:
        """Appends a line to the log, and to the events; returns a warning, should it be due."""
        assert self.metrics is not None and self.events is not None
        write_line(self.metrics, step, epoch, values)
        write_scalars(self.events, step, epoch, values)
        warning = self.watch.see(step, values)
        if warning is not None:
            self.warnings.append(warning)
        return warning

    def show_faces(self, step: int, classes: Sequence[str]) -> None:
        """Appends the faces of the first tested clip of each class to the events, if there is a generator."""
        assert self.events is not None
        if not (self.folder / SYNTHESIS).is_file():
            return
        with np.load(self.folder / SYNTHESIS) as sheet:
            _, first = np.unique(sheet["label"], return_index=True)
            onset, synthetic, apex = (sheet[name][first] for name in ("onset", "synthetic", "apex"))
        faces = np.concatenate([onset[:, None], synthetic, apex[:, None]], axis=1)
        who = "held out" if self.fold.scored else "trained on"
        write_faces(self.events, step, f"{who}: onset, {', '.join(classes)}, apex", faces)


def open_members(
    stack: contextlib.ExitStack,
    group: Sequence[Fold],
    pairs: Pairs,
    plan: Plan,
    run_dir: Path,
) -> list[Member]:
    """The folds of a group, their checkpoints open."""
    members = []
    for fold in group:
        folder = fold_dir(run_dir, fold)
        store = stack.enter_context(FoldCheckpoints(folder, f"{plan.run} {fold.name}"))
        members.append(Member(fold, folder, store, watch(fold, pairs, plan)))
    return members


def open_logs(stack: contextlib.ExitStack, members: Sequence[Member], step: int, plan: Plan, run_dir: Path) -> None:
    """Opens each fold's logs where they stood after ``step``, and brings the watches to where they were then."""
    for member in members:
        member.metrics = stack.enter_context(open_log(member.folder, step))
        with (member.folder / METRICS).open(encoding="utf-8") as lines:
            member.warnings = member.watch.replay(lines)
        member.events = stack.enter_context(open_events(events_dir(run_dir, member.fold), step))
        if plan.evaluate_every:
            member.evaluations = stack.enter_context(open_log(member.folder, step, EVALUATIONS))
