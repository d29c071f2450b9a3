"""Which folds train side by side."""

from collections.abc import Sequence
from pathlib import Path

from icegan_jax.data.folds import Fold
from icegan_jax.training.checkpoint import steps_in
from icegan_jax.training.plan import fold_dir


def form_groups(folds: Sequence[Fold], run_dir: Path, size: int, steps: int) -> list[list[Fold]]:
    """Groups of ``size`` folds at most, those that have come furthest first, otherwise in their order.

    A group costs the same whether it is full or not, and goes on from the newest checkpoint that all of its folds
    have. After an interruption some of a group may be finished, or one checkpoint further than the rest. The groups
    are those that leave the fewest steps to train; of equal ways, that in which the folds lose the fewest, then the
    fewest groups.

    Args:
      folds: those to train.
      run_dir: the run directory.
      size: folds that train side by side.
      steps: of the whole training.
    """
    there = {fold.name: {0} | steps_in(fold_dir(run_dir, fold)) for fold in folds}  # whether intact shows later
    furthest = sorted(folds, key=lambda fold: -max(there[fold.name]))  # keeps the order of equals
    # Of the first n folds: steps left to train, steps trained again, groups; and where their last group begins.
    least, begin = [(0, 0, 0)], [0]
    for end in range(1, len(furthest) + 1):
        ways = []
        for first in range(max(0, end - size), end):
            saved = [there[fold.name] for fold in furthest[first:end]]
            common, newest = max(set.intersection(*saved)), sum(map(max, saved))
            left, again, number = least[first]
            ways.append((left + steps - common, again + newest - common * len(saved), number + 1, -first))
        *best, place = min(ways)
        least.append((best[0], best[1], best[2]))
        begin.append(-place)
    groups: list[list[Fold]] = []
    end = len(furthest)
    while end:
        groups.insert(0, furthest[begin[end] : end])
        end = begin[end]
    return groups
