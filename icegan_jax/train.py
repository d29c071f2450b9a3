"""The body of ``icegan_jax.main``: data, folds, training, scores and report of a run, in a locked run directory."""

import contextlib
import dataclasses
import functools
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from icegan_jax.compilation_cache import enable_compilation_cache
from icegan_jax.config import build_models, build_train_config, validate
from icegan_jax.config_fields import ICEGAN
from icegan_jax.data.baseline_input import baseline_input
from icegan_jax.data.dataset import SUMMARY_FILE, Pairs, load_pairs, select_apexes, select_database
from icegan_jax.data.folds import Fold, build_folds
from icegan_jax.data.ingest.build import prepare_procedural
from icegan_jax.errors import UserError, not_writable_error
from icegan_jax.finalize import finalize_run, rename_old_results, write_partial_results
from icegan_jax.io import read_json_with_checksum
from icegan_jax.locks import LockedError, hold_lock
from icegan_jax.methods import METHODS
from icegan_jax.provenance import PACKAGES, write_or_compare_config
from icegan_jax.run_dir import CONFIG_FILE, DATA_DIR, RESULTS_FILE, fold_lock, is_finished, run_lock
from icegan_jax.signals import Stopped
from icegan_jax.training import distributed
from icegan_jax.training.fit import fit_folds
from icegan_jax.training.fold_result import drop_damaged_results
from icegan_jax.training.loop import RunContext, build_context, group_folds, train_folds, train_group, warn
from icegan_jax.training.monitor import describe_recorded_failure, remove_failures
from icegan_jax.training.parallel import describe_machine
from icegan_jax.training.state import TrainConfig

_STOP_S = 60.0  # for the workers to save their work at a stop


def train_and_evaluate(
    config: ConfigDict,
    workdir: str | Path,
    *,
    scheduler: str | None = None,
    workers: int = 0,
    force_resume: bool = False,
) -> dict[str, Any]:
    """Train and evaluate all folds, and write scores and report; an earlier start in the directory is resumed.

    Progress is printed.

    Args:
      config: As the files in ``configs`` return it.
      workdir: The run directory.
      scheduler: The address of a Dask scheduler, whose workers train; None trains in this process.
      workers: Instead, a number of workers to start on this machine; 0 trains in this process.
      force_resume: Accept harmless differences from the earlier start, see ``provenance.write_or_compare_config``.

    Returns:
      The content of results.json.

    Raises:
      UserError: An error in the config, the data or the run directory, or no worker.
      Stopped: A signal arrived; the training so far is saved.
      OSError: A file cannot be written.
    """
    workdir = Path(workdir)
    validate(config)
    # Existing data are loaded before the lock, so that errors in the data are shown at once.
    data = load_data(config, workdir) if config.data.dir or _has_own_data(workdir) else None
    with contextlib.ExitStack() as stack:
        stack.enter_context(_lock_run_dir(workdir))
        client = None
        if scheduler or workers:
            jax.config.update("jax_platforms", "cpu")  # the devices are for the workers
            client = stack.enter_context(distributed.connect(scheduler, workers))
        pairs, folds = data or load_data(config, workdir)
        if client is None:
            devices = [distributed.WorkerDevices(jax.local_device_count(), describe_machine())]
        else:
            expected = _expected_of_workers(config, workdir)
            devices = distributed.check_workers(client, expected)
        run_id = write_or_compare_config(config, pairs.fingerprint, workdir, force_resume)
        share = math.ceil(len(folds) / len(devices))
        train_config = build_train_config(config, len(pairs.label), share, devices[0].number)
        train_config = dataclasses.replace(train_config, run=run_id)
        _wait_for_folds(workdir, folds)  # a worker of an earlier start may still save
        _check_finished_folds(workdir, folds, pairs, train_config)
        machine = devices[0].machine
        if client is not None:
            machine = f"{len(devices)} workers, the first with {machine}"
        num_clips = int((pairs.shift == 0).sum())
        print(
            f"{len(folds)} fold{'s' * (len(folds) > 1)} of {train_config.steps} steps, "
            f"{len(pairs.label)} pairs of {num_clips} clips, {machine}",
            flush=True,
        )
        try:
            if client is not None:
                absolute = config.copy_and_resolve_references()
                if config.data.dir:
                    absolute.data.dir = str(Path(config.data.dir).absolute())
                job = Job(absolute.to_json(), str(workdir.absolute()), train_config, share)
                train_with_workers(client, job, folds, expected)
            else:
                _train_in_process(config, pairs, folds, train_config, workdir)
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
            machine=machine,
        )
        return read_json_with_checksum(workdir / RESULTS_FILE)


def _train_in_process(
    config: ConfigDict, pairs: Pairs, folds: Sequence[Fold], train_config: TrainConfig, workdir: Path
) -> None:
    """Train every fold that has no result in this process: networks side by side, support vector machines in turn."""
    features = None if config.method == ICEGAN else METHODS[config.method].features
    if features is not None:
        fit_folds(pairs, folds, features, workdir, steps=train_config.steps, run=train_config.run)
    else:
        models = build_models(config, train_config.steps, len(pairs.classes))
        train_folds(models, pairs, folds, train_config, workdir, jax.local_devices())


@contextlib.contextmanager
def _lock_run_dir(workdir: Path) -> Iterator[None]:
    """Lock the run directory.

    Raises:
      UserError: Another command is running there, or the directory cannot be written.
    """
    remedy = "let it end, or choose another --workdir"
    try:
        lock = contextlib.ExitStack()
        is_locked = lock.enter_context(hold_lock(run_lock(workdir), str(workdir), remedy))
    except OSError as error:
        raise not_writable_error(workdir, error) from None
    with lock:
        if not is_locked:
            warn(f"{workdir}: its file system has no locks; never start a second command with this --workdir")
        yield


class Job(NamedTuple):
    """What a worker needs to know of a run, as plain values.

    Attributes:
      config: The config as JSON.
      workdir: The run directory, an absolute path.
      train_config: How every fold is trained.
      num_folds: The worker's share of the folds.
    """

    config: str
    workdir: str
    train_config: TrainConfig
    num_folds: int


def train_with_workers(
    client: "distributed.Client", job: Job, folds: Sequence[Fold], expected: distributed.Expected
) -> None:
    """Train every fold that has no result in the workers of a Dask cluster.

    A group has as many folds as the worker that answers first can train side by side.

    Raises:
      UserError: An error of a worker, or the scheduler or all workers were lost.
      Stopped: A signal arrived; the workers saved their work.
    """
    workdir = Path(job.workdir)
    unfinished = [fold for fold in folds if not is_finished(workdir, fold)]
    if not unfinished:
        return
    try:
        (size,) = distributed.run_tasks(client, group_size, [(job,)], expected, steps=0)
        groups = group_folds(unfinished, workdir, size, job.train_config.steps)
        print(f"training {len(unfinished)} folds in {len(groups)} groups of at most {size} side by side", flush=True)
        names = [(job, tuple(fold.name for fold in group)) for group in groups]
        distributed.run_tasks(client, train_in_worker, names, expected, job.train_config.steps)
    except Stopped as stop:
        _wait_for_folds(workdir, unfinished)
        raise Stopped(stop.number, "after the workers saved their folds") from None
    except UserError as error:
        _wait_for_folds(workdir, unfinished)
        raise UserError(f"{error}; the same command continues from the newest checkpoints") from None


def _wait_for_folds(workdir: Path, folds: Sequence[Fold]) -> None:
    """Wait until no worker trains any of the folds, for a limited time."""
    end = time.monotonic() + _STOP_S
    for fold in folds:
        with (
            contextlib.suppress(LockedError, OSError),
            hold_lock(fold_lock(workdir, fold), fold.name, "wait", max(0.0, end - time.monotonic())),
        ):
            pass


@functools.lru_cache(maxsize=1)
def _load_job(job: Job) -> tuple[RunContext, list[Fold]]:
    """Load the data and build the programs of a run, once in each worker process."""
    enable_compilation_cache(None)
    config, workdir = ConfigDict(json.loads(job.config)), Path(job.workdir)
    pairs, folds = load_data(config, workdir)
    models = build_models(config, job.train_config.steps, len(pairs.classes))
    context = build_context(
        models,
        pairs,
        job.train_config,
        workdir,
        jax.local_devices(),
        lambda *_: None,
        folds=job.num_folds,
        unfinished=job.num_folds,
    )
    return context, folds


def group_size(job: Job, task: distributed.Task) -> int:
    """Return the number of folds that the worker trains side by side."""
    return _load_job(job)[0].layout.folds


def train_in_worker(job: Job, names: Sequence[str], task: distributed.Task) -> None:
    """Train those of the named folds that have no result.

    Raises:
      UserError, Stopped, OSError: As ``train_group`` does.
    """
    context, folds = _load_job(job)
    context = dataclasses.replace(
        context, show_progress=task.show_progress, requested_signal=task.requested_signal, worker=task.worker
    )
    group = [fold for fold in folds if fold.name in names and not is_finished(context.run_dir, fold)]
    size = context.layout.folds
    for start in range(0, len(group), size):  # a worker with less memory than another one trains fewer side by side
        train_group(context, group[start : start + size])


def _expected_of_workers(config: ConfigDict, workdir: Path) -> distributed.Expected:
    """Return what a worker must have; the content of the lock file tells run directories of the same name apart."""
    paths = (run_lock(workdir), Path(config.data.dir or workdir / DATA_DIR) / SUMMARY_FILE)
    files = {str(path.absolute()): path.read_text(encoding="utf-8") for path in paths}
    return distributed.Expected(distributed.installed_versions(PACKAGES), files)


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
    if config.method != ICEGAN:
        pairs = _with_input(select_apexes(pairs), folder, config)
    elif size != config.model.image_size:
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


def _with_input(pairs: Pairs, folder: Path, config: ConfigDict) -> Pairs:
    """Return the pairs with the input of the compared system, if it is another one than the pairs."""
    kind = METHODS[config.method].input
    if kind == "pairs":
        return pairs
    return dataclasses.replace(pairs, input=baseline_input(pairs, folder, kind, **config.input))


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
    drop_damaged_results(workdir, folds, pairs, train_config, warn)
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
