"""The result.json of a fold: it is written last, marks the fold as finished, and holds checksums of its other files."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.errors import UserError, raise_if_unreadable
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.io import read_json_with_checksum, sha256_of, write_json_with_checksum
from icegan_jax.run_dir import (
    CHECKPOINTS_DIR,
    DAMAGED_RESULT,
    EVALUATIONS_FILE,
    PREDICTIONS_FILE,
    RESTING_FILE,
    RESULT_FILE,
    SYNTHESIS_FILE,
    fold_dir,
    is_finished,
)
from icegan_jax.training.checkpoint import FoldCheckpoints
from icegan_jax.training.evaluate import intact_until
from icegan_jax.training.state import TrainConfig

# The files that results.json, tables and figures are computed from. metrics.jsonl is not among them: its lost lines
# would come back only by training the whole fold again, and the report names a line that cannot be read.
FILES = (PREDICTIONS_FILE, RESTING_FILE, SYNTHESIS_FILE, EVALUATIONS_FILE)
_REQUIRED = frozenset((PREDICTIONS_FILE,))


def write_result(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the result.json of a fold with a checksum, after all other files of the fold.

    Args:
      folder: the folder of the fold.
      content: ``people``, ``steps``, ``run`` (the id of the run), ``wall_s`` and ``compile_s`` at least;
        ``warnings``, a list of lines, is copied into results.json. The function adds the checksums of the files under
        ``files``.

    Raises:
      OSError: the file cannot be written, or the fold lacks predictions.csv.
    """
    names = [name for name in FILES if name in _REQUIRED or (folder / name).is_file()]
    write_json_with_checksum(
        folder / RESULT_FILE, {**content, "files": {name: sha256_of(folder / name) for name in names}}
    )


def read_result(folder: Path) -> dict[str, Any]:
    """Read the result.json of a fold, and check its checksum.

    Raises:
      UserError: the file is missing, damaged or without a checksum.
    """
    content = read_json_with_checksum(folder / RESULT_FILE)
    if not _REQUIRED <= set(content.get("files", ())) <= set(FILES):
        raise UserError(f"{folder / RESULT_FILE}: not the result of a fold: its files are others")
    return content


def damage_of(folder: Path, fold: Fold, pairs: Pairs, train_config: TrainConfig | None = None) -> str | None:
    """Describe the damage of a finished fold in one line that begins with the path of a file; None if it is intact.

    Args:
      folder: the folder of the fold.
      fold: the fold, whose subjects and clips the files must hold.
      pairs: the prepared pairs of the run.
      train_config: the config, whose steps and run id the files must have; None accepts any.

    Raises:
      UserError: a file cannot be read for now (permissions, too many open files), so that its condition is unknown.
    """
    try:
        content = read_result(folder)
        for name, checksum in content["files"].items():
            if sha256_of(folder / name) != checksum:
                return f"{folder / name}: not what the fold wrote"
        classes, rows = read_predictions(folder / PREDICTIONS_FILE)
    except (OSError, UserError) as error:
        raise_if_unreadable(folder, error)
        return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
    if train_config and (content["steps"], content.get("run", "")) != (train_config.steps, train_config.run):
        return f"{folder / RESULT_FILE}: of another run, or of {content['steps']} steps instead of {train_config.steps}"
    if content["people"] != [list(person) for person in fold.people]:
        return f"{folder / RESULT_FILE}: of other people"
    columns = (pairs.dataset, pairs.subject, pairs.clip, pairs.label)
    wanted = list(zip(*(column[fold.test].tolist() for column in columns), strict=True))
    if classes != pairs.classes or [(row.dataset, row.subject, row.clip, row.label) for row in rows] != wanted:
        return f"{folder / PREDICTIONS_FILE}: of other clips, labels or classes than the fold's"
    return None


def drop_damaged_results(
    run_dir: Path, folds: Sequence[Fold], pairs: Pairs, train_config: TrainConfig, warn: Callable[[str], None]
) -> list[str]:
    """Mark finished folds with a damaged file as unfinished, so that they continue from their checkpoints.

    The function renames their result.json to ``DAMAGED_RESULT``, and does not touch intact folds. A result.json without
    a checksum counts as damaged, since the files beside result.json may be damaged too; these files are computed
    again in seconds, from the last checkpoint of the fold.

    Predictions and faces come from the last checkpoint, but evaluations during training do not. So the checkpoints
    after a lost evaluation of an unfinished fold are moved away, and the fold is trained again from the step before.

    No other process may use the run directory meanwhile.

    Args:
      run_dir: the run directory.
      folds: all folds of the run.
      pairs: the prepared pairs.
      train_config: how every fold is trained.
      warn: called with one line per damaged fold.

    Returns:
      The names of the folds that were marked as unfinished.

    Raises:
      OSError: a file cannot be moved or removed.
      UserError: a checkpoint cannot be moved.
    """
    dropped = []
    for fold in folds:
        folder = fold_dir(run_dir, fold)
        why = damage_of(folder, fold, pairs, train_config) if is_finished(run_dir, fold) else None
        if why is not None:
            os.replace(folder / RESULT_FILE, folder / DAMAGED_RESULT)
            warn(f"{why}; the fold runs again from its newest checkpoint")
            dropped.append(fold.name)
        elif is_finished(run_dir, fold) and len(list(folder.glob(f"{CHECKPOINTS_DIR}/*"))) > 1:
            with FoldCheckpoints(folder) as store:  # the process was killed between result.json and this step
                store.keep_newest(1)
        if train_config.evaluate_every and not is_finished(run_dir, fold) and (folder / CHECKPOINTS_DIR).is_dir():
            _go_back_to_evaluations(folder, train_config, warn)
    return dropped


def _go_back_to_evaluations(folder: Path, train_config: TrainConfig, warn: Callable[[str], None]) -> None:
    """Move the checkpoints after a lost evaluation out of the way."""
    until = intact_until(folder / EVALUATIONS_FILE, train_config.evaluate_every, train_config.steps)
    with FoldCheckpoints(folder) as store:
        beyond = sorted(step for step in store.steps() if step > until)
        if beyond:
            places = ", ".join(str(store.move_to_damaged(step)) for step in beyond)
            instead = f"goes on from step {max(store.steps())}" if store.steps() else "starts anew"
            warn(
                f"{folder / EVALUATIONS_FILE}: the evaluation of step {until + 1} is missing or damaged, "
                f"which no later checkpoint gives back; moved to {places}; the fold {instead}"
            )
