"""Where a group of folds goes on: at the newest step of which every one of them has an intact checkpoint."""

from collections.abc import Callable, Sequence
from typing import Any

from icegan_jax.training.checkpoint import DamagedCheckpoint, FoldCheckpoints
from icegan_jax.training.state import TrainState

Restored = list[tuple[TrainState, dict[str, Any]]]


def newest_intact(
    stores: Sequence[FoldCheckpoints],
    names: Sequence[str],
    likes: Sequence[TrainState],
    warn: Callable[[str], None],
) -> tuple[int, Restored]:
    """Restores the folds of a group, which train in step, at the newest step that all of them have intact.

    A damaged checkpoint is named and set aside, never deleted, and the group goes back to the step before. Later
    checkpoints than the step at which the group goes on are deleted, once that step is known. No fold's state is in
    memory twice.

    Args:
      stores: the folds' checkpoints, one at least.
      names: of the folds.
      likes: of each fold, the shapes and dtypes of its state, and its key.
      warn: takes one line, without the word "warning".

    Returns:
      The step, and of each fold its state on the host and its progress; 0 and nothing where the folds start anew.

    Raises:
      UserError: a checkpoint cannot be read for now, or a folder cannot be written; nothing was deleted.
    """
    while True:
        common = set.intersection(*(store.steps() for store in stores)) - {0}
        step, restored = max(common, default=0), Restored()  # what was read of a later step is freed here
        if step == 0:
            break
        damaged = _restore(stores, likes, step, restored)
        if damaged is None:
            break
        index, why = damaged
        place = stores[index].set_aside(step)
        before = max(common - {step}, default=0)
        instead = f"going back to step {before}" if before else "no earlier one is left"
        warn(f"fold {names[index]}: the checkpoint of step {step} is damaged: {why}; moved to {place}; {instead}")
    newest = {name: max(store.steps(), default=0) for name, store in zip(names, stores, strict=True)}
    if step == 0 and any(newest.values()):
        given_up = ", ".join(f"{name} (step {latest})" for name, latest in newest.items() if latest)
        warn(f"no step of which all folds that train together have a checkpoint: they start anew, also {given_up}")
    for store in stores:
        store.discard_after(step)
    return step, restored


def _restore(
    stores: Sequence[FoldCheckpoints], likes: Sequence[TrainState], step: int, restored: Restored
) -> tuple[int, str] | None:
    """Adds each fold's state of a step to ``restored``; where one is damaged, returns which, and why."""
    for index, (store, like) in enumerate(zip(stores, likes, strict=True)):
        try:
            restored.append(store.restore(step, like))
        except DamagedCheckpoint as error:
            return index, str(error)  # not the error: its traceback holds what was read
    return None
