"""Who is trained on and tested (docs/design.md, "Evaluation rules", rule 1): no person is on both sides of a fold."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.names import check_people
from icegan_jax.errors import UserError

if TYPE_CHECKING:  # for the name of the type alone: networks and plans need no tensorflow-datasets
    from icegan_jax.data.dataset import Pairs

Person = tuple[str, str]  # (dataset, subject): subject ids of two datasets collide
PROTOCOLS = ("loso", "split", "all")


def _nobody() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Fold:
    """People held out, and who is trained on.

    Attributes:
        name: the fold's folder in a run directory: ``<dataset>_<subject>`` where one person is held
            out, ``split_<seed>`` of a split, ``all`` where everybody is trained on.
        people: the (dataset, subject) held out, sorted; nobody where everybody is trained on.
        train: int64[...], indices into ``Pairs``: every pair, neighbours included, of the people
            trained on.
        test: int64[...], indices of the held-out people's apexes (shift 0): one prediction per
            clip. Where nobody is held out, the apexes trained on: how they are recognized is a fit, no score.
        inner: int64[...], indices of the apexes of the inner validation people, who are neither
            trained on nor tested; empty where there are none.
    """

    name: str
    people: tuple[Person, ...]
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    inner: NDArray[np.int64] = field(default_factory=_nobody)

    @property
    def scored(self) -> bool:
        """Whether the clips of ``test`` are of people who are not trained on."""
        return bool(self.people)


def folds_of(pairs: "Pairs", *, protocol: str, share: float, inner_share: float, seed: int) -> list[Fold]:
    """The folds of a run.

    Args:
        pairs: the run's data.
        protocol: one of ``PROTOCOLS``: each person held out once, one fold that holds some out, or one that
            trains on everybody.
        share: of the people held out, with "split".
        inner_share: of each fold's training people kept out for inner validation; 0: none.
        seed: of what is drawn.

    Raises:
        UserError: the data have too few people or apexes for it.
        ValueError: there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {protocol!r} is none of {', '.join(PROTOCOLS)}")
    if protocol == "loso":
        folds = leave_one_subject_out(pairs)
    else:
        folds = [everybody(pairs)] if protocol == "all" else subject_split(pairs, share, seed)
    return [keep_inner(fold, pairs, inner_share, seed) for fold in folds] if inner_share else folds


def leave_one_subject_out(pairs: "Pairs") -> list[Fold]:
    """Returns a fold per (dataset, subject), sorted; equal ids of two datasets stay apart.

    Source: MEGC2019 protocol, docs/databases.md, "MEGC2019 folds and metrics".

    Raises:
        UserError: a subject has no apex to test or nobody is left to train on, a name cannot be a
            folder's, or two folds would share one.
    """
    folds: list[Fold] = []
    people = people_of(pairs)
    check_people(people)
    for dataset, subject in people:
        fold = _fold(f"{dataset}_{subject}", pairs, [(dataset, subject)])
        if not len(fold.train):
            raise UserError(
                f"fold {fold.name}: nobody is left to train on; leave-one-subject-out needs clips "
                "of at least two subjects"
            )
        folds.append(fold)
    return folds


def subject_split(pairs: "Pairs", share: float, seed: int) -> list[Fold]:
    """Returns one fold, whose test people are drawn from all people, whatever their dataset.

    ``round(share * people)`` are drawn without replacement, at least one, and at least one is left.

    Source: paper, Table III: 48 people trained on and 20 tested, of 68.

    Raises:
        UserError: there is one person only, the people drawn have no apex, or a class of the data
            occurs in none of the people left.
    """
    people = people_of(pairs)
    if len(people) < 2:
        raise UserError("a split by people needs clips of at least two subjects; prepare more")
    number = min(max(round(share * len(people)), 1), len(people) - 1)
    fold = _fold(f"split_{seed}", pairs, _draw(people, number, np.random.default_rng(seed)))
    lost = _first_lost(pairs, np.arange(len(pairs.label)), fold.train)
    if lost:
        raise UserError(
            f"fold {fold.name}: none of the people left to train on shows {lost}; "
            "choose another config.seed or a smaller config.split_share"
        )
    return [fold]


def everybody(pairs: "Pairs") -> Fold:
    """The fold ``all``, which trains on everybody and holds nobody out, for use outside the benchmark.

    Its ``test`` are the apexes of the people it trains on: its predictions and faces show the fit of the network.

    Raises:
        UserError: no clip has an apex.
    """
    apexes = np.flatnonzero(pairs.shift == 0)
    if not len(apexes):
        raise UserError("fold all: no clip has an apex; prepare the dataset again, with an apex per clip")
    return Fold("all", (), train=np.arange(len(pairs.label)), test=apexes)


def keep_inner(fold: Fold, pairs: "Pairs", share: float, seed: int) -> Fold:
    """Returns the fold with some of its training people moved to inner validation: neither trained on nor tested.

    ``round(share * training people)`` are drawn, at least one, from the fold's name and the seed.

    Source: docs/design.md, "Evaluation rules", rule 2.

    Raises:
        UserError: nobody would be left to train on, those drawn have no apex, or nobody left shows a class
            that was trained on before.
    """
    trained = np.isin(np.arange(len(pairs.label)), fold.train)
    people = people_of(pairs, trained)
    number = max(round(share * len(people)), 1)
    if number >= len(people):
        raise UserError(
            f"fold {fold.name}: {number} of its {len(people)} training people for inner validation leaves nobody to "
            "train on; lower config.evaluation.inner_share, or prepare clips of more subjects"
        )
    words = int.from_bytes(hashlib.sha256(fold.name.encode()).digest())
    inner = _pairs_of(pairs, _draw(people, number, np.random.default_rng([seed, words])))
    apexes = np.flatnonzero(inner & (pairs.shift == 0))
    if not len(apexes):
        raise UserError(f"fold {fold.name}: no apex for inner validation; prepare the dataset again")
    test = fold.test[~inner[fold.test]]
    if not len(test):
        raise UserError(
            f"fold {fold.name}: no apex of those trained on; prepare the dataset again, with an apex per clip"
        )
    left = np.flatnonzero(trained & ~inner)
    lost = _first_lost(pairs, fold.train, left)
    if lost:
        raise UserError(
            f"fold {fold.name}: without its inner validation people nobody trained on shows {lost}; "
            "choose another config.seed or a smaller config.evaluation.inner_share"
        )
    return replace(fold, train=left, test=test, inner=apexes)


def people_of(pairs: "Pairs", among: NDArray[np.bool_] | slice = slice(None)) -> list[Person]:
    """Every (dataset, subject), sorted; ``among``: bool[n], the pairs looked at."""
    return sorted(set(zip(pairs.dataset[among].tolist(), pairs.subject[among].tolist(), strict=True)))


def _fold(name: str, pairs: "Pairs", people: Sequence[Person]) -> Fold:
    """The fold that tests these people and trains on all others."""
    held_out = _pairs_of(pairs, people)
    test = np.flatnonzero(held_out & (pairs.shift == 0))
    if not len(test):
        raise UserError(f"fold {name}: no apex to test; prepare the dataset again, with an apex per clip")
    return Fold(name, tuple(people), train=np.flatnonzero(~held_out), test=test)


def _first_lost(pairs: "Pairs", before: NDArray[np.int64], left: NDArray[np.int64]) -> str:
    """The first class that the pairs before show and those left do not; empty: there is none."""
    lost = np.setdiff1d(pairs.label[before], pairs.label[left])
    return pairs.classes[lost[0]] if len(lost) else ""


def _pairs_of(pairs: "Pairs", people: Sequence[Person]) -> NDArray[np.bool_]:
    """bool[n]: the pairs of these people."""
    wanted = set(people)
    keys = zip(pairs.dataset.tolist(), pairs.subject.tolist(), strict=True)
    return np.array([key in wanted for key in keys], np.bool_)


def _draw(people: Sequence[Person], number: int, rng: np.random.Generator) -> list[Person]:
    return [people[index] for index in sorted(rng.choice(len(people), number, replace=False))]
