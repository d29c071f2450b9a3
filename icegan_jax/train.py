"""The body of ``icegan_jax.main``: data, folds, training, scores and report of a run, in a locked run directory."""

import contextlib
import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from icegan_jax.compilation_cache import CompilationCounter
from icegan_jax.config import build_models, build_train_config, validate
from icegan_jax.data.dataset import SUMMARY_FILE, Pairs, load_pairs, select_database
from icegan_jax.data.folds import Fold, build_folds
from icegan_jax.data.ingest.build import prepare_procedural
from icegan_jax.errors import UserError
from icegan_jax.finalize import finalize_run, rename_old_results, write_partial_results
from icegan_jax.io import read_json_with_checksum
from icegan_jax.provenance import write_or_compare_config
from icegan_jax.run_dir import CONFIG_FILE, DATA_DIR, RESULTS_FILE, is_finished
from icegan_jax.signals import Stopped
from icegan_jax.training.distributed import LOST_S, Coordination, Processes, acquire_run_dir, start_processes
from icegan_jax.training.fold_result import drop_damaged_results
from icegan_jax.training.loop import train_folds
from icegan_jax.training.monitor import describe_recorded_failure, remove_failures
from icegan_jax.training.state import TrainConfig

_SINGLE_PROCESS = Processes()


def train_and_evaluate(
    config: ConfigDict,
    workdir: str | Path,
    processes: Processes = _SINGLE_PROCESS,
    lost_s: float = LOST_S,
    force_resume: bool = False,
) -> dict[str, Any] | None:
    """Train and evaluate all folds, and write scores and report; an earlier start in the directory is resumed.

    Of several processes, process 0 locks the run directory, prepares the data, assigns the folds and gathers the
    results. Progress is printed.

    Args:
      config: As the files in ``configs`` return it.
      workdir: The run directory.
      processes: This process among those of the run; a single one by default.
      lost_s: Seconds without a change of its status file after which another process counts as lost.
      force_resume: Accept harmless differences from the earlier start, see ``provenance.write_or_compare_config``.

    Returns:
      The content of results.json; None for other processes than process 0.

    Raises:
      UserError: An error in the config, the data or the run directory, or a lost process.
      Stopped: A signal arrived; the training so far is saved.
      OSError: A file cannot be written.
    """
    workdir = Path(workdir)
    validate(config)
    # Existing data are loaded before the lock and the wait for other processes, so that errors in the data are shown at
    # once.
    data = load_data(config, workdir) if config.data.dir or _has_own_data(workdir) else None
    with contextlib.ExitStack() as stack:
        token = stack.enter_context(acquire_run_dir(workdir, lost_s)) if processes.index == 0 else ""
        start_processes(processes)
        compilations = CompilationCounter()
        coordination = stack.enter_context(Coordination(workdir, processes, lost_s, token))
        names = coordination.wait_for_assignment() if processes.index else []
        pairs, folds = data or load_data(config, workdir)
        run_id = write_or_compare_config(config, pairs.fingerprint, workdir, force_resume)
        devices = jax.local_devices()
        folds_per_process = math.ceil(len(folds) / processes.count)
        train_config = build_train_config(config, len(pairs.label), folds_per_process, len(devices))
        train_config = dataclasses.replace(train_config, run=run_id)

        def unfinished() -> list[str]:
            return [
                fold.name
                for fold in folds
                if not is_finished(workdir, fold) and not describe_recorded_failure(workdir, fold)
            ]

        if processes.index == 0:
            _check_finished_folds(workdir, folds, pairs, train_config)
            names = coordination.assign(unfinished())
        own_folds = [fold for fold in folds if fold.name in names] if processes.count > 1 else folds
        share = f"{processes.name}: {len(own_folds)} of " if processes.count > 1 else ""
        num_clips = int((pairs.shift == 0).sum())
        print(
            f"{share}{len(folds)} fold{'s' * (len(folds) > 1)} of {train_config.steps} steps, "
            f"{len(pairs.label)} pairs of {num_clips} clips, {len(devices)} x {devices[0].device_kind}",
            flush=True,
        )
        models = build_models(config, train_config.steps, len(pairs.classes))
        if processes.index:
            train_folds(models, pairs, own_folds, train_config, workdir, devices, processes)
            coordination.wait_for_process_0(unfinished)
            num_finished = sum(is_finished(workdir, fold) for fold in own_folds)
            status = f"{processes.name}: {num_finished} of {len(own_folds)} folds finished"
            print(f"{status}{compilations}; process 0 gathers the results")
            return None
        try:
            train_folds(models, pairs, own_folds, train_config, workdir, devices, processes)
            coordination.wait_for_other_folds(unfinished)
        except (UserError, OSError, Stopped):
            _try_partial_results(pairs, folds, workdir, config.seed)
            raise
        if broken := _nonfinite_folds(workdir, folds):
            path = _try_partial_results(pairs, folds, workdir, config.seed)
            raise UserError(_nonfinite_message(broken, len(folds), path))
        finalize_run(
            pairs,
            folds,
            workdir,
            selection=config.evaluation.selection,
            evaluated=train_config.evaluate_every > 0,
            oracle=config.evaluation.oracle,
            seed=config.seed,
            batch_size=config.training.batch_size,
            processes=processes.count,
            compiled=str(compilations),
        )
        return read_json_with_checksum(workdir / RESULTS_FILE)


def load_data(config: ConfigDict, workdir: Path) -> tuple[Pairs, list[Fold]]:
    """Return the prepared pairs and the folds; where ``data.dir`` is empty, procedural faces are prepared first.

    Raises:
      UserError: The faces are missing, damaged, or do not fit the config.
    """
    folder = Path(config.data.dir or workdir / DATA_DIR)
    if not config.data.dir and not _has_own_data(workdir):
        prepare_procedural(folder, seed=config.seed, **config.data.procedural)
    pairs = _load_pairs(folder, procedural=not config.data.dir)
    if config.data.database:
        pairs = select_database(pairs, config.data.database)
    size = pairs.onset.shape[1]
    if size != config.model.image_size:
        raise UserError(
            f"{folder}: faces of {size} pixels, but config.model.image_size is {config.model.image_size}; "
            f"set --config.model.image_size={size} or prepare with --size={config.model.image_size}"
        )
    folds = build_folds(
        pairs,
        protocol=config.protocol,
        share=config.split_share,
        inner_share=config.evaluation.inner_share,
        seed=config.seed,
    )
    return pairs, folds


def _load_pairs(folder: Path, procedural: bool) -> Pairs:
    """Load as ``load_pairs`` does, with another remedy for procedural faces: the same command draws them again."""
    try:
        return load_pairs(folder)
    except UserError as error:
        if not procedural:
            raise
        problem = str(error).rpartition("; ")[0] or str(error)
        raise UserError(f"{problem}; remove {folder}, and the same command draws the same faces again") from error


def _has_own_data(workdir: Path) -> bool:
    """Return whether the run directory has procedural faces, of a start that wrote config.json.

    Without config.json the faces may be those of another config, and are drawn again.
    """
    return (workdir / DATA_DIR / SUMMARY_FILE).is_file() and (workdir / CONFIG_FILE).is_file()


def _check_finished_folds(workdir: Path, folds: Sequence[Fold], pairs: Pairs, train_config: TrainConfig) -> None:
    """Mark folds with damaged files or non-finite numbers as unfinished, and rename results that are then too old."""
    drop_damaged_results(workdir, folds, pairs, train_config, _warn)
    remove_failures(workdir, folds)
    if not all(is_finished(workdir, fold) for fold in folds):
        rename_old_results(workdir)


def _nonfinite_folds(workdir: Path, folds: Sequence[Fold]) -> dict[str, str]:
    """Return the folds that stopped at a number that is not finite, and where."""
    return {fold.name: message for fold in folds if (message := describe_recorded_failure(workdir, fold))}


def _try_partial_results(pairs: Pairs, folds: Sequence[Fold], workdir: Path, seed: int) -> Path | None:
    """Write as ``write_partial_results`` does; return None after an error, since another error stopped the run."""
    with contextlib.suppress(OSError, UserError):
        return write_partial_results(pairs, folds, workdir, seed=seed, missing=_nonfinite_folds(workdir, folds))
    return None


def _nonfinite_message(broken: Mapping[str, str], num_folds: int, path: Path | None) -> str:
    """Return the message of a run that skipped folds with numbers that are not finite."""
    folds = ", ".join(f"{name} ({place})" for name, place in broken.items())
    partial = f"{path} holds the score of the others; " if path else ""
    return (
        f"{len(broken)} of {num_folds} folds have no result, since their numbers are not finite: {folds}; {partial}"
        f"no {RESULTS_FILE} is written: lower --config.optimizer.learning_rate in a new --workdir"
    )


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr, flush=True)
