"""Folds of subjects (docs/design.md, "Evaluation rules", rule 1): no subject is in both training and test of a fold."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.images import picture_digest
from icegan_jax.data.names import check_subjects
from icegan_jax.errors import UserError

if TYPE_CHECKING:  # only for annotations: the import would require tensorflow-datasets
    from icegan_jax.data.dataset import Pairs

Person = tuple[str, str]  # (dataset, subject), as two datasets use the same subject ids
PROTOCOLS = ("loso", "split", "all", "cross_database")


def _no_indices() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Fold:
    """The held-out subjects of a fold, and the indices of its training, test and inner validation pairs.

    Attributes:
        name: the fold's folder in a run directory: ``<dataset>_<subject>`` where one subject is held out,
            ``split_<seed>`` for a split, ``all`` where no subject is held out.
        people: the held-out (dataset, subject) pairs, sorted; empty where no subject is held out.
        train: int64[...], indices into ``Pairs``: all pairs, neighbors included, of the training subjects.
        test: int64[...], indices of the held-out subjects' apexes (shift 0), one prediction per clip. Where no subject
            is held out, the indices of the training apexes, whose recognition measures the fit and is no score.
        inner: int64[...], indices of the apexes of the inner validation subjects, who are neither trained on nor
            tested; empty where there are none.
    """

    name: str
    people: tuple[Person, ...]
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    inner: NDArray[np.int64] = field(default_factory=_no_indices)

    @property
    def scored(self) -> bool:
        """Whether the clips of ``test`` are of held-out subjects."""
        return bool(self.people)


def build_folds(pairs: "Pairs", *, protocol: str, share: float, inner_share: float, seed: int) -> list[Fold]:
    """Return the folds of a run.

    Args:
        pairs: the prepared pairs.
        protocol: one of ``PROTOCOLS``: "loso" holds out each subject once, "split" is one fold that holds out some
            subjects, "all" is one fold that holds out none, "cross_database" holds out each subject once and trains on
            the other databases alone; the other subjects of the same database are for inner validation.
        share: share of the subjects that "split" holds out.
        inner_share: share of each fold's training subjects that is held out for inner validation; 0 for none.
        seed: seed of the random choices of subjects.

    Raises:
        UserError: the data have too few subjects or apexes, or a fold would be tested on a face that it is trained on.
        ValueError: there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {protocol!r} is none of {', '.join(PROTOCOLS)}")
    if protocol == "cross_database":
        folds = [_across_databases(fold, pairs) for fold in leave_one_subject_out(pairs)]
        _check_shared_faces(folds, pairs)
        return folds
    if protocol == "loso":
        folds = leave_one_subject_out(pairs)
    else:
        folds = [all_subjects_fold(pairs)] if protocol == "all" else subject_split(pairs, share, seed)
    _check_shared_faces(folds, pairs)
    return [hold_out_inner(fold, pairs, inner_share, seed) for fold in folds] if inner_share else folds


def leave_one_subject_out(pairs: "Pairs") -> list[Fold]:
    """Return one fold per (dataset, subject), sorted; equal ids in two datasets are different subjects.

    Source: MEGC2019 protocol, docs/databases.md, "MEGC2019 folds and metrics".

    Raises:
        UserError: a subject has no apex to test, no subject is left to train on, a name cannot be the name of a folder,
            or two folds would share a folder.
    """
    folds: list[Fold] = []
    people = list_subjects(pairs)
    check_subjects(people)
    for dataset, subject in people:
        fold = _fold(f"{dataset}_{subject}", pairs, [(dataset, subject)])
        if not len(fold.train):
            raise UserError(
                f"fold {fold.name}: nobody is left to train on; leave-one-subject-out needs clips "
                "of at least two subjects"
            )
        folds.append(fold)
    return folds


def _across_databases(fold: Fold, pairs: "Pairs") -> Fold:
    """Train a fold on the other databases alone, with the rest of its own database for inner validation.

    Source: the published protocol of Dual-Inception (docs/compared-systems.md).

    Raises:
        UserError: there is no other database.
    """
    (dataset, _), *_ = fold.people
    is_other = pairs.dataset[fold.train] != dataset
    inner = fold.train[~is_other & (pairs.shift[fold.train] == 0)]
    if not is_other.any():
        raise UserError(
            f"config.protocol is 'cross_database', but all clips are of {dataset}: prepare several databases together"
        )
    return replace(fold, train=fold.train[is_other], inner=inner)


def subject_split(pairs: "Pairs", share: float, seed: int) -> list[Fold]:
    """Return one fold whose test subjects are drawn from all subjects, whatever their dataset.

    ``round(share * subjects)`` subjects are drawn without replacement, at least one, and at least one is left.

    Source: paper, Table III: of 68 subjects 48 are trained on and 20 are tested.

    Raises:
        UserError: there is only one subject, the drawn subjects have no apex, or the training subjects lack a class.
    """
    people = list_subjects(pairs)
    if len(people) < 2:
        raise UserError("a split by people needs clips of at least two subjects; prepare more")
    number = min(max(round(share * len(people)), 1), len(people) - 1)
    fold = _fold(f"split_{seed}", pairs, _draw(people, number, np.random.default_rng(seed)))
    missing = _missing_class(pairs, np.arange(len(pairs.label)), fold.train)
    if missing:
        raise UserError(
            f"fold {fold.name}: none of the people left to train on shows {missing}; "
            "choose another config.seed or a smaller config.split_share"
        )
    return [fold]


def all_subjects_fold(pairs: "Pairs") -> Fold:
    """Return the fold ``all``, which trains on all subjects and holds none out, for use outside the benchmark.

    The ``test`` indices are those of the training apexes: the predictions and faces of this fold measure the fit.

    Raises:
        UserError: no clip has an apex.
    """
    apexes = np.flatnonzero(pairs.shift == 0)
    if not len(apexes):
        raise UserError("fold all: no clip has an apex; prepare the dataset again, with an apex per clip")
    return Fold("all", (), train=np.arange(len(pairs.label)), test=apexes)


def hold_out_inner(fold: Fold, pairs: "Pairs", share: float, seed: int) -> Fold:
    """Return the fold with some training subjects held out for inner validation, neither trained on nor tested.

    ``round(share * training subjects)`` subjects are drawn, at least one; the draw depends on the fold's name and the
    seed.

    Source: docs/design.md, "Evaluation rules", rule 2.

    Raises:
        UserError: no subject would be left to train on, the drawn subjects have no apex, or the remaining training
            subjects lack a class that the training subjects had.
    """
    trained = np.isin(np.arange(len(pairs.label)), fold.train)
    people = list_subjects(pairs, trained)
    number = max(round(share * len(people)), 1)
    if number >= len(people):
        raise UserError(
            f"fold {fold.name}: {number} of its {len(people)} training people for inner validation leaves nobody to "
            "train on; lower config.evaluation.inner_share, or prepare clips of more subjects"
        )
    name_hash = int.from_bytes(hashlib.sha256(fold.name.encode()).digest())
    inner = _pairs_of(pairs, _draw(people, number, np.random.default_rng([seed, name_hash])))
    apexes = np.flatnonzero(inner & (pairs.shift == 0))
    if not len(apexes):
        raise UserError(f"fold {fold.name}: no apex for inner validation; prepare the dataset again")
    test = fold.test[~inner[fold.test]]
    if not len(test):
        raise UserError(
            f"fold {fold.name}: no apex of those trained on; prepare the dataset again, with an apex per clip"
        )
    remaining = np.flatnonzero(trained & ~inner)
    missing = _missing_class(pairs, fold.train, remaining)
    if missing:
        raise UserError(
            f"fold {fold.name}: without its inner validation people nobody trained on shows {missing}; "
            "choose another config.seed or a smaller config.evaluation.inner_share"
        )
    return replace(fold, train=remaining, test=test, inner=apexes)


def _check_shared_faces(folds: Sequence[Fold], pairs: "Pairs") -> None:
    """Check that no tested onset, apex or resting face is one of the training subjects, pixel by pixel.

    Raises:
        UserError: the message names two clips.
    """
    clips = [*zip(pairs.dataset.tolist(), pairs.subject.tolist(), pairs.clip.tolist(), strict=True)]
    faces = [
        {picture_digest(face) for face in row} - {""} for row in zip(pairs.onset, pairs.apex, pairs.rest, strict=True)
    ]
    for fold in folds:
        if not fold.scored:
            continue
        trained = {digest: index for index in fold.train for digest in faces[index]}
        for index in fold.test:
            shared = faces[index] & trained.keys()
            if shared:
                tested, other = "/".join(clips[index]), "/".join(clips[trained[shared.pop()]])
                raise UserError(
                    f"fold {fold.name}: clip {tested} shows a face of {other}, on which the fold is trained; give one "
                    "person one name in one database, or remove one of the two clips, and prepare again"
                )


def list_subjects(pairs: "Pairs", mask: NDArray[np.bool_] | slice = slice(None)) -> list[Person]:
    """Return every (dataset, subject) of the pairs, or of those where ``mask`` bool[n] is true, sorted."""
    return sorted(set(zip(pairs.dataset[mask].tolist(), pairs.subject[mask].tolist(), strict=True)))


def _fold(name: str, pairs: "Pairs", people: Sequence[Person]) -> Fold:
    """Return the fold that tests these subjects and trains on all others."""
    held_out = _pairs_of(pairs, people)
    test = np.flatnonzero(held_out & (pairs.shift == 0))
    if not len(test):
        raise UserError(f"fold {name}: no apex to test; prepare the dataset again, with an apex per clip")
    return Fold(name, tuple(people), train=np.flatnonzero(~held_out), test=test)


def _missing_class(pairs: "Pairs", before: NDArray[np.int64], after: NDArray[np.int64]) -> str:
    """Return the first class that occurs in the pairs ``before`` but not in those ``after``, or an empty text."""
    missing = np.setdiff1d(pairs.label[before], pairs.label[after])
    return pairs.classes[missing[0]] if len(missing) else ""


def _pairs_of(pairs: "Pairs", people: Sequence[Person]) -> NDArray[np.bool_]:
    """Return bool[n], true for the pairs of these subjects."""
    selected = set(people)
    keys = zip(pairs.dataset.tolist(), pairs.subject.tolist(), strict=True)
    return np.array([key in selected for key in keys], np.bool_)


def _draw(people: Sequence[Person], number: int, rng: np.random.Generator) -> list[Person]:
    return [people[index] for index in sorted(rng.choice(len(people), number, replace=False))]
