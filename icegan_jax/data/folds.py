"""Leave-one-subject-out: who is trained on, who is tested (DESIGN.md section 6, rule 1)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from icegan_jax.errors import UserError

if TYPE_CHECKING:  # for the name of the type alone: networks and plans need no tensorflow-datasets
    from icegan_jax.data.dataset import Pairs


@dataclass(frozen=True)
class Fold:
    """One person held out.

    Attributes:
        dataset: database of the held-out person.
        subject: the held-out person.
        train: int64[...], indices into ``Pairs``: every pair, neighbours included, of everybody
            else.
        test: int64[...], indices of the held-out person's apexes (shift 0): one prediction per
            clip.
    """

    dataset: str
    subject: str
    train: NDArray[np.int64]
    test: NDArray[np.int64]

    @property
    def name(self) -> str:
        """``<dataset>_<subject>``, the fold's folder in a run directory."""
        return f"{self.dataset}_{self.subject}"


def leave_one_subject_out(pairs: "Pairs") -> list[Fold]:
    """Returns a fold per (dataset, subject), sorted; equal ids of two datasets stay apart.

    Source: MEGC2019 protocol, DATASETS.md section 4.

    Raises:
        UserError: a subject has no apex to test or nobody is left to train on, or two folds would
            share one folder name.
    """
    folds: list[Fold] = []
    named: dict[str, Fold] = {}
    people = zip(pairs.dataset.tolist(), pairs.subject.tolist(), strict=True)
    for dataset, subject in sorted(set(people)):
        held_out = (pairs.dataset == dataset) & (pairs.subject == subject)
        fold = Fold(
            dataset,
            subject,
            train=np.flatnonzero(~held_out),
            test=np.flatnonzero(held_out & (pairs.shift == 0)),
        )
        if not len(fold.train):
            raise UserError(
                f"fold {fold.name}: nobody is left to train on; leave-one-subject-out needs clips "
                "of at least two subjects"
            )
        if not len(fold.test):
            raise UserError(f"fold {fold.name}: no apex to test; prepare the dataset again, with an apex per clip")
        other = named.setdefault(fold.name, fold)
        if other is not fold:
            raise UserError(
                f"datasets {other.dataset!r} and {dataset!r}: two subjects would share the folder "
                f"{fold.name}; rename one in clips.csv"
            )
        folds.append(fold)
    return folds
