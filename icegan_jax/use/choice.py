"""Which of a run's networks answer: each fold has its own, and a person must meet none that was trained on them."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.errors import UserError
from icegan_jax.training.checkpoint import steps_in
from icegan_jax.training.fold_result import read_result
from icegan_jax.training.plan import RESULT

Person = tuple[str, str]  # (dataset, subject)


@dataclass(frozen=True)
class Trained:
    """A finished fold.

    Attributes:
      name: of the fold.
      folder: where its files are.
      people: (dataset, subject) of those held out, whom its networks never saw.
      step: of its checkpoint.
    """

    name: str
    folder: Path
    people: tuple[Person, ...]
    step: int


def choose_folds(run_dir: Path, *, fold: str | None = None, exclude: str | None = None) -> list[Trained]:
    """The folds whose networks answer: all finished ones, for somebody whom the run does not know.

    Args:
      run_dir: the run directory.
      fold: this one alone.
      exclude: ``DATASET/SUBJECT`` or ``SUBJECT``: only folds that held this person out.

    Raises:
      UserError: there is no such fold or person, the fold was trained on that person, or none is finished.
    """
    there = _finished(run_dir)
    if fold is not None:
        named = [each for each in there if each.name == fold]
        if not named:
            raise UserError(f"--fold={fold}: {run_dir} has no finished fold of that name; {_known(fold, there)}")
        there = named
    if exclude is None:
        return there
    wanted = _person(exclude, sorted({person for each in _finished(run_dir) for person in each.people}))
    chosen = [each for each in there if wanted in each.people]
    if not chosen:
        raise UserError(
            f"--exclude_subject={exclude}: fold {fold} was trained on this person; leave --fold out, which finds the "
            "fold that was not"
        )
    return chosen


def _finished(run_dir: Path) -> list[Trained]:
    folds = []
    for path in sorted((run_dir / "folds").glob(f"*/{RESULT}")):
        folder = path.parent
        steps = steps_in(folder)
        if not steps:
            raise UserError(f"{folder}: has a result but no checkpoint; put checkpoints/ back, or train the run again")
        held_out = tuple((str(dataset), str(subject)) for dataset, subject in read_result(folder)["people"])
        folds.append(Trained(folder.name, folder, held_out, max(steps)))
    if not folds:
        raise UserError(
            f"{run_dir}: no fold is finished yet; start the training command again, or wait until one is (the first "
            f"folds/*/{RESULT})"
        )
    return folds


def _person(name: str, known: Sequence[Person]) -> Person:
    """The person of that name.

    Raises:
      UserError: there is none, or there are several of different datasets.
    """
    found = [person for person in known if name in ("/".join(person), person[1])]
    if len(found) == 1:
        return found[0]
    if found:
        names = " or ".join("/".join(person) for person in found)
        raise UserError(f"--exclude_subject={name}: there are several of that name; give {names}")
    if not known:
        raise UserError(
            f"--exclude_subject={name}: the run trained on everybody and held nobody out; give a run with "
            "--config.protocol=loso, or leave the option out for a stranger"
        )
    near = difflib.get_close_matches(name, ["/".join(person) for person in known], n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]}?" if near else ""
    raise UserError(
        f"--exclude_subject={name}: the run's finished folds held out nobody of that name{guess}; leave the option out "
        "for a stranger, whom no network ever saw"
    )


def _known(name: str, there: Sequence[Trained]) -> str:
    near = difflib.get_close_matches(name, [each.name for each in there], n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(each.name for each in there[:8])}"
