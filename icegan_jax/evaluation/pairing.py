"""Which clip of one file is which clip of another."""

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from icegan_jax.errors import UserError
from icegan_jax.evaluation.answers import Answers

Key = tuple[str, ...]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairing:
    """The clips that both files hold, m of them.

    Attributes:
      first: int64[m], their places in the first file, in its order.
      second: int64[m], their places in the second.
      left_out: how many clips of the first and of the second have no partner.
      by_order: whether clips were matched by order within subject and class, for want of names.
    """

    first: Numbers
    second: Numbers
    left_out: tuple[int, int]
    by_order: bool


def pair(first: Answers, second: Answers, first_label: Numbers, second_label: Numbers, common: bool) -> Pairing:
    """Match clips by dataset (where both name it), subject and clip name.

    Where a file names no clips, they are matched by their order within (subject, class); with
    `common` a subject's class whose counts differ is then left out altogether.

    Args:
      first: the one file.
      second: the other.
      first_label: int64[n], true classes of the first.
      second_label: int64[k], of the second.
      common: leave out clips that only one file has, rather than refuse.

    Raises:
      UserError: without datasets two clips cannot be told apart, a clip is there twice, the files
        hold different clips and `common` is false, or no clip is in both.
    """
    with_dataset = first.dataset is not None and second.dataset is not None
    by_order = first.clip is None or second.clip is None
    places = []
    for answers, labels in ((first, first_label), (second, second_label)):
        if not with_dataset:
            _require_one_dataset(answers, by_order)
        keys = _keys(answers, labels, with_dataset, by_order)
        found: dict[Key, list[int]] = defaultdict(list)
        for place, key in enumerate(keys):
            found[key].append(place)
        twice = next((key for key, at in found.items() if len(at) > 1 and not by_order), None)
        if twice:
            raise UserError(f"{answers.path}: two lines of the clip {' '.join(twice)}: keep one")
        places.append(found)
    ours, theirs = places
    both = [key for key in ours if len(ours[key]) == len(theirs.get(key, ()))]
    matched = sorted(pair_ for key in both for pair_ in zip(ours[key], theirs[key], strict=True))
    left_out = (len(first.subject) - len(matched), len(second.subject) - len(matched))
    if not matched:
        raise UserError(
            f"{second.path}: no clip of {first.path} is in it (there {_example(ours, by_order)}, here "
            f"{_example(theirs, by_order)}): name datasets, subjects and clips alike"
        )
    if any(left_out) and not common:
        odd = next(key for key in [*ours, *theirs] if len(ours.get(key, ())) != len(theirs.get(key, ())))
        raise UserError(
            f"{second.path}: {left_out[0]} clips are only in {first.path} and {left_out[1]} only here, such as "
            f"{_spoken(odd, by_order)}: give --common to compare the {len(matched)} that both hold"
        )
    mine, other = np.array(matched, np.int64).T
    return Pairing(mine, other, left_out, by_order)


def _keys(answers: Answers, labels: Numbers, with_dataset: bool, by_order: bool) -> list[Key]:
    names = [str(label) for label in labels] if by_order else answers.clip or []
    keys: list[Key] = list(zip(answers.subject, names, strict=True))
    if with_dataset:
        return [(dataset.casefold(), *key) for dataset, key in zip(answers.dataset or [], keys, strict=True)]
    return keys


def _require_one_dataset(answers: Answers, by_order: bool) -> None:
    """Refuse a subject (or a subject's clip) that two datasets share, where the other file names none."""
    if answers.dataset is None:
        return
    names = [""] * len(answers.subject) if by_order or answers.clip is None else answers.clip
    owners = Counter(
        (subject, name) for _, subject, name in set(zip(answers.dataset, answers.subject, names, strict=True))
    )
    shared = next((key for key, number in owners.items() if number > 1), None)
    if shared:
        raise UserError(
            f"{answers.path}: {' '.join(shared).strip()} is in two datasets, and the other file names no dataset: "
            "add a column dataset to it"
        )


def _example(found: dict[Key, list[int]], by_order: bool) -> str:
    return repr(_spoken(next(iter(found)), by_order))


def _spoken(key: Key, by_order: bool) -> str:
    return " ".join(key[:-1]) + f" (class {key[-1]})" if by_order else " ".join(key)
