"""A fold's result.json: written last, it says that the fold is done, and what its other files were then."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.errors import UserError, raise_if_unreadable
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.io import read_json_with_checksum, sha256_of, temporary_files, write_json_with_checksum
from icegan_jax.run_dir import (
    CHECKPOINTS_DIR,
    DAMAGED_RESULT,
    EVALUATIONS_FILE,
    METRICS_FILE,
    PREDICTIONS_FILE,
    RESULT_FILE,
    SYNTHESIS_FILE,
    fold_dir,
    is_finished,
)
from icegan_jax.training.checkpoint import FoldCheckpoints
from icegan_jax.training.evaluate import intact_until
from icegan_jax.training.state import TrainConfig

# What results.json, tables and figures come from. Not metrics.jsonl, which is shown alone: what is lost of it comes
# back only if the whole fold is trained again, and the report names a line that cannot be read.
FILES = (PREDICTIONS_FILE, SYNTHESIS_FILE, EVALUATIONS_FILE)


def write_result(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes a fold's result.json, sealed, when all else of the fold is written.

    Args:
      folder: the fold's.
      content: ``people``, ``steps``, ``run`` (the plan's), ``wall_s`` and ``compile_s`` at least; ``warnings``, a list
        of lines, go on into results.json. The checksums of the fold's files are added under ``files``.

    Raises:
      OSError: it cannot be written, or the fold has no predictions.
    """
    names = [name for name in FILES if name == PREDICTIONS_FILE or (folder / name).is_file()]
    write_json_with_checksum(
        folder / RESULT_FILE, {**content, "files": {name: sha256_of(folder / name) for name in names}}
    )


def read_result(folder: Path) -> dict[str, Any]:
    """Reads a fold's result.json, and checks that it is what was written.

    Raises:
      UserError: it is missing or damaged, or was written before results were sealed.
    """
    content = read_json_with_checksum(folder / RESULT_FILE)
    fields: dict[str, type | tuple[type, ...]] = {
        "people": list,
        "steps": int,
        "wall_s": (int, float),
        "compile_s": (int, float),
        "files": dict,
    }
    for name, kind in fields.items():
        if not isinstance(content.get(name), kind):
            raise UserError(f"{folder / RESULT_FILE}: not the result of a fold: it has no {name}")
    if not {PREDICTIONS_FILE} <= set(content["files"]) <= set(FILES):
        raise UserError(f"{folder / RESULT_FILE}: not the result of a fold: its files are others")
    return content


def damage_of(folder: Path, fold: Fold, pairs: Pairs, train_config: TrainConfig | None = None) -> str | None:
    """What is wrong with a finished fold, one line that begins with a file's path; None for an intact one.

    Args:
      folder: the fold's.
      fold: whose people and clips the files must hold.
      pairs: the run's data.
      plan: whose steps and run they must be of; None: of any.

    Raises:
      UserError: a file cannot be read for now (permissions, too many open files): nothing is known about it.
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
    """Makes finished folds unfinished of which a file is not what they wrote; they go on from their checkpoints.

    Their result.json becomes ``DAMAGED``, each is named to ``warn`` in one line, and intact folds are not touched. A
    result.json without a seal, of a version before there were any, counts as damaged: nothing tells whether the files
    beside it are what was written, and a finished fold's last checkpoint gives them anew in seconds.

    Predictions and faces come from the last checkpoint; evaluations during training do not. So, of any unfinished fold
    that has lost one, the checkpoints after it are set aside, and what follows is trained again.

    What killed writers left beside the files is removed. No other process may be at work on the folds.

    Returns:
      The names of the folds that were dropped.

    Raises:
      OSError: a file cannot be moved or removed.
      UserError: a checkpoint cannot be moved.
    """
    dropped = []
    for fold in folds:
        folder = fold_dir(run_dir, fold)
        for name in (*FILES, METRICS_FILE, RESULT_FILE):
            for left in temporary_files(folder / name):
                left.unlink()
        why = damage_of(folder, fold, pairs, train_config) if is_finished(run_dir, fold) else None
        if why is not None:
            os.replace(folder / RESULT_FILE, folder / DAMAGED_RESULT)
            warn(f"{why}; the fold runs again from its newest checkpoint")
            dropped.append(fold.name)
        elif is_finished(run_dir, fold) and len(list(folder.glob(f"{CHECKPOINTS_DIR}/*"))) > 1:
            with FoldCheckpoints(folder) as store:  # killed after result.json, before that was done
                store.keep_newest(1)
        if train_config.evaluate_every and not is_finished(run_dir, fold) and (folder / CHECKPOINTS_DIR).is_dir():
            _go_back_to_evaluations(folder, train_config, warn)
    return dropped


def _go_back_to_evaluations(folder: Path, train_config: TrainConfig, warn: Callable[[str], None]) -> None:
    """Sets the checkpoints aside that come after an evaluation that is not there."""
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
