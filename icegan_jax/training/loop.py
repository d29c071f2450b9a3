"""Training of all folds, group by group: the folds of a group train side by side, and each fold has files of its own.

Axis letters: r device, f fold on a device, g fold of the group, s step of a call, b batch.
"""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.data.pipeline import fold_batches
from icegan_jax.locks import hold_lock
from icegan_jax.run_dir import (
    EVALUATIONS_FILE,
    METRICS_FILE,
    SYNTHESIS_FILE,
    events_dir,
    fold_dir,
    fold_lock,
    is_finished,
)
from icegan_jax.signals import Stopped, delay_signals, requested_signal
from icegan_jax.training.checkpoint import MAX_TO_KEEP, FoldCheckpoints, checkpoint_steps, newest_common_checkpoint
from icegan_jax.training.evaluate import evaluate_group, write_evaluations
from icegan_jax.training.fold_result import write_result
from icegan_jax.training.logging import (
    Events,
    named_metrics,
    open_events,
    open_log,
    sync_logs,
    write_faces,
    write_line,
    write_scalars,
)
from icegan_jax.training.memory import choose_folds_per_device, out_of_memory_hint
from icegan_jax.training.monitor import (
    NONFINITE_LENGTH,
    CollapseMonitor,
    Failure,
    NonFiniteError,
    batch_clips,
    collapse_monitor,
    first_nonfinite,
    mean_metrics,
    write_failure,
)
from icegan_jax.training.parallel import FoldLayout, ParallelPrograms, build_programs
from icegan_jax.training.prefetch import CallTimer, Prefetcher
from icegan_jax.training.state import Models, TrainConfig, TrainState, fold_key, state_template
from icegan_jax.training.train_step import Metrics


class Elapsed(NamedTuple):
    """Time that a fold or a group took.

    Attributes:
      wall_s: seconds.
      compile_s: the part of ``wall_s`` that compilation took.
    """

    wall_s: float
    compile_s: float


NO_TIME = Elapsed(0.0, 0.0)

FOLD_LOCK_S = 60.0  # wait for a process that was told to stop, and still trains the same fold


@dataclass(frozen=True)
class RunContext:
    """What all groups of folds of a run share.

    Attributes:
      programs: the compiled programs, for the devices of ``layout``.
      layout: which fold is on which device.
      pairs: the prepared pairs.
      config: how every fold is trained.
      run_dir: the run directory.
      show_progress: called after each call of the program with its number of steps and with means to show.
      requested_signal: called once a call; returns the signal that asks for a stop, or None.
      worker: the name of the Dask worker, see ``distributed``; empty without Dask.
    """

    programs: ParallelPrograms
    layout: FoldLayout
    pairs: Pairs
    config: TrainConfig
    run_dir: Path
    show_progress: Callable[[int, Mapping[str, float]], None]
    requested_signal: Callable[[], int | None] = requested_signal
    worker: str = ""


def train_folds(
    models: Models,
    pairs: Pairs,
    folds: Sequence[Fold],
    train_config: TrainConfig,
    run_dir: Path,
    devices: Sequence[jax.Device],
) -> list[Failure]:
    """Train and evaluate every fold of ``folds`` that has no result in this process, and show a progress bar.

    A fold ends with ``metrics.jsonl``, ``predictions.csv`` and, last, ``result.json`` in ``run_dir/folds/<name>``; with
    ``synthesis.npz`` where there is a generator, and ``evaluations.jsonl`` where the config evaluates during training.
    An unfinished fold continues from its newest checkpoint.

    Args:
      models: both networks, their optimizers and the loss weights.
      pairs: the prepared pairs.
      folds: all folds of the run.
      train_config: how every fold is trained.
      run_dir: the run directory.
      devices: the devices that share the folds, or each batch.

    Returns:
      The folds without a result: their numbers became non-finite, and the config skips such folds.

    Raises:
      ValueError: the networks and the pairs have different numbers of classes.
      UserError: memory ran out, or a checkpoint cannot be read or written.
      NonFiniteError: a fold's numbers became non-finite, and the config stops the run then.
      Stopped: a signal arrived; the work so far is saved.
    """
    unfinished = [fold for fold in folds if not is_finished(run_dir, fold)]
    if not unfinished:
        return []
    failures: list[Failure] = []
    with delay_signals(), tqdm(unit="step", dynamic_ncols=True) as bar:

        def show_progress(steps: int, means: Mapping[str, float]) -> None:
            bar.set_postfix({name: f"{mean:.3f}" for name, mean in means.items()}, refresh=False)
            bar.update(steps)

        start = time.perf_counter()
        context = build_context(
            models, pairs, train_config, run_dir, devices, show_progress, folds=len(folds), unfinished=len(unfinished)
        )
        seconds = time.perf_counter() - start  # nearly all for a compilation, if any
        elapsed = Elapsed(seconds, seconds)
        groups = group_folds(unfinished, run_dir, context.layout.folds, train_config.steps)
        bar.total = train_config.steps * len(groups)
        layout = context.layout
        tqdm.write(
            f"training {len(unfinished)} folds in groups of {layout.folds}: {layout.folds_per_device} side by side on "
            f"each of {len(layout.devices)} x {layout.devices[0].device_kind}"
        )
        for index, group in enumerate(groups, start=1):
            first = len(folds) - len(unfinished) + 1
            bar.set_description(f"folds {first}-{len(folds)}, group {index}/{len(groups)}")
            failures += train_group(context, group, elapsed if index == 1 else NO_TIME)
    return failures


def build_context(
    models: Models,
    pairs: Pairs,
    train_config: TrainConfig,
    run_dir: Path,
    devices: Sequence[jax.Device],
    show_progress: Callable[[int, Mapping[str, float]], None],
    *,
    folds: int,
    unfinished: int,
) -> RunContext:
    """Choose how many folds train side by side, and build their programs.

    Args:
      models: both networks, their optimizers and the loss weights.
      pairs: the prepared pairs.
      train_config: how every fold is trained.
      run_dir: the run directory.
      devices: the devices that share the folds, or each batch.
      show_progress: see ``RunContext``.
      folds: the number of folds that these devices train, finished ones included.
      unfinished: the number of unfinished folds among them.

    Raises:
      ValueError: the networks and the pairs have different numbers of classes.
      UserError: memory ran out.
    """
    if models.classes != len(pairs.classes):
        raise ValueError(f"networks of {models.classes} classes for pairs of {len(pairs.classes)}")
    with out_of_memory_hint(train_config):
        number = choose_folds_per_device(models, train_config, devices, folds)
    used = devices if train_config.parallel == "batch" else devices[: math.ceil(unfinished / number)]
    layout = FoldLayout(tuple(used), number, train_config.parallel)
    programs = build_programs(models, layout.devices, layout.parallel)
    return RunContext(programs, layout, pairs, train_config, run_dir, show_progress)


def group_folds(folds: Sequence[Fold], run_dir: Path, size: int, steps: int) -> list[list[Fold]]:
    """Divide folds into groups of at most ``size``: the folds with the most steps first, otherwise in their order.

    A full group and a partly filled one take equally long, and a group continues from the newest checkpoint that all of
    its folds have. After an interruption some folds of a group may be finished, or one checkpoint ahead of the others.
    The division leaves the fewest steps to train; of equal divisions, the function takes the one in which the folds
    repeat the fewest steps, then the one with the fewest groups.

    Args:
      folds: the unfinished folds.
      run_dir: the run directory.
      size: the number of folds that train side by side.
      steps: steps of the whole training.
    """
    saved = {
        fold.name: {0} | checkpoint_steps(fold_dir(run_dir, fold)) for fold in folds
    }  # restoring shows which are intact
    by_progress = sorted(folds, key=lambda fold: -max(saved[fold.name]))  # a stable sort
    # Dynamic programming over the first n folds: (steps left, steps repeated, groups); start of their last group.
    cost, start_of = [(0, 0, 0)], [0]
    for end in range(1, len(by_progress) + 1):
        options = []
        for start in range(max(0, end - size), end):
            checkpoints = [saved[fold.name] for fold in by_progress[start:end]]
            common, newest = max(set.intersection(*checkpoints)), sum(map(max, checkpoints))
            left, repeated, number = cost[start]
            options.append((left + steps - common, repeated + newest - common * len(checkpoints), number + 1, -start))
        *least, negative_start = min(options)
        cost.append((least[0], least[1], least[2]))
        start_of.append(-negative_start)
    groups: list[list[Fold]] = []
    end = len(by_progress)
    while end:
        groups.insert(0, by_progress[start_of[end] : end])
        end = start_of[end]
    return groups


def train_group(context: RunContext, folds: Sequence[Fold], elapsed: Elapsed = NO_TIME) -> list[Failure]:
    """Train the folds of one group side by side, from their newest common checkpoint, and evaluate them.

    The folds are locked meanwhile: a process that was told to stop may still train them. Folds that it has finished are
    left out.

    Args:
      context: what all groups share.
      folds: the folds of the group, at most as many as the layout holds.
      elapsed: time spent for the group before this call; the time counts as time of its folds.

    Returns:
      The folds without a result: their numbers became non-finite, and the config skips such folds.

    Raises:
      LockedError: another process trains one of the folds, and does not end.
      NonFiniteError: a fold's numbers became non-finite, and the config stops the run then.
      Stopped: a signal arrived; the folds are saved.
      UserError: memory ran out, or a checkpoint cannot be read or written.
      OSError: another file of a fold cannot be read or written.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(out_of_memory_hint(context.config))
        for fold in folds:
            path = fold_lock(context.run_dir, fold)
            stack.enter_context(hold_lock(path, f"fold {fold.name}", "wait until it has ended", FOLD_LOCK_S))
        folds = [fold for fold in folds if not is_finished(context.run_dir, fold)]
        if not folds:
            return []
        group = FoldGroup(context, folds, stack, elapsed)
        step, states = group.restore()
        group.open_logs(step)
        context.show_progress(step, {})
        prefetcher = stack.enter_context(
            Prefetcher(group.iterators, call_lengths(step, context.config), context.layout)
        )
        states = run_calls(group, step, states, prefetcher)
        group.write_results(states)
    failures = [fold_run.failure for fold_run in group.fold_runs if fold_run.failure is not None]
    for failure in failures:
        warn(f"{failure.describe()}; the run goes on without this fold")
    return failures


def call_lengths(step: int, config: TrainConfig) -> list[int]:
    """Divide the updates after ``step`` into calls of the training program: the number of updates of each call.

    A call ends at every step with an evaluation and at the last step, so that ``steps_per_call`` changes neither the
    number of steps nor the steps of the evaluations.
    """
    lengths = []
    while step < config.steps:
        length = min(config.steps_per_call, config.steps - step)
        if config.evaluate_every:
            length = min(length, config.evaluate_every - step % config.evaluate_every)
        lengths.append(length)
        step += length
    return lengths


class Call(NamedTuple):
    """One call of the training program; the devices may still compute its results.

    Attributes:
      step: the step after the call.
      metrics: loss terms of each update, float32[r, f, s].
      indices: int32[g, s, b], the pairs of the batches.
      ready: when the data of the call were on the devices, seconds of ``time.perf_counter``.
      end: when the call ended, likewise.
    """

    step: int
    metrics: Metrics
    indices: NDArray[np.int32]
    ready: float
    end: "Future[float]"


def run_calls(group: "FoldGroup", step: int, states: TrainState, prefetcher: Prefetcher) -> TrainState:
    """Run the training program from ``step`` to the last step: log, evaluate and save between its calls.

    Raises:
      Stopped: a signal arrived; the call that was running is finished and saved.
    """
    config, programs = group.context.config, group.context.programs
    prefetched, saved_step, pending = prefetcher.take(), step, list[Call]()
    if prefetched is None:
        return states
    programs.train_steps.compile(states, prefetched.batches)
    with CallTimer() as timer:
        while prefetched is not None:
            # The call returns at once; ``states`` are donated, so that the old states must not be used again.
            states, metrics = programs.train_steps(states, prefetched.batches)
            step += prefetched.indices.shape[1]
            pending.append(Call(step, metrics, prefetched.indices, prefetched.ready, timer.watch(metrics)))
            last, signal = step == config.steps, group.context.requested_signal()
            save = step - saved_step >= config.checkpoint_every or last or signal is not None
            evaluate = config.evaluate_every > 0 and (step % config.evaluate_every == 0 or last)
            # Reading the metrics waits for the call. So a call is logged while the devices compute the next call,
            # unless a checkpoint or an evaluation needs the states now.
            while len(pending) > (0 if save or evaluate else 1):
                call = pending.pop(0)
                group.log(call, *timer.measure(call.ready, call.end.result()))
            if not group.is_training:
                break
            # The order matters: a run that continues from the checkpoint of a step has the log and the evaluation of
            # that step, since both were written before the checkpoint.
            if evaluate:
                group.evaluate(step, states)
            if save:
                group.save(states, prefetched.positions)
                saved_step = step
            if signal is not None:
                raise Stopped(signal, f"after step {step} of {config.steps}, which is saved")
            prefetched = prefetcher.take()
    return states


class FoldGroup:
    """The folds that train side by side: their files, data iterators and time.

    Attributes:
      context: what all groups of the run share.
      filled: the folds, then copies of the first fold up to the size of the layout, whose results are dropped: so one
        compiled program computes every group.
      iterators: the batches of each entry of ``filled``.
      fold_runs: the files and the failure, if any, of each fold, without the copies.
    """

    def __init__(
        self, context: RunContext, folds: Sequence[Fold], stack: contextlib.ExitStack, elapsed: Elapsed = NO_TIME
    ) -> None:
        """Open the checkpoints of the folds; ``stack`` closes all files. The other arguments are as in ``train_group``.

        Raises:
          UserError: a folder of checkpoints cannot be made.
        """
        self.context = context
        self.filled = [*folds, *[folds[0]] * (context.layout.folds - len(folds))]
        self.iterators = [_batches(context.pairs, fold, context.config) for fold in self.filled]
        self.fold_runs = [open_fold_run(fold, context, stack) for fold in folds]
        self._stack = stack
        self._start = time.perf_counter()
        self._compiled_before = sum(context.programs.compile_s)
        self._elapsed = elapsed  # the time of the group before this object was made
        self._restored = NO_TIME  # the time of each fold in earlier starts of the run

    @property
    def is_training(self) -> bool:
        """Whether at least one fold has not failed."""
        return any(fold_run.is_training for fold_run in self.fold_runs)

    def restore(self) -> tuple[int, TrainState]:
        """Restore the newest checkpoint that all folds have, or create new states; also set the data iterators.

        Returns:
          The step of the states, and the states with leading axes [r, f].

        Raises:
          UserError: a checkpoint cannot be read.
        """
        context, folds = self.context, [fold_run.fold for fold_run in self.fold_runs]
        keys = [fold_key(context.config.seed, fold.name) for fold in self.filled]
        expected = [state_template(context.programs.state_shapes(), key) for key in keys[: len(folds)]]
        stores = [fold_run.checkpoints for fold_run in self.fold_runs]
        step, restored = newest_common_checkpoint(stores, [fold.name for fold in folds], expected, warn)
        if not step:
            return 0, context.programs.create_state(context.layout.device_put(context.layout.shard(jnp.stack(keys))))
        tqdm.write(f"{', '.join(fold.name for fold in folds)}: going on from step {step} of {context.config.steps}")
        self._restored = Elapsed(**{name: restored[0][1][name] for name in Elapsed._fields})
        restored += [restored[0]] * (len(self.filled) - len(folds))
        for iterator, (_, progress) in zip(self.iterators, restored, strict=True):
            iterator.set_state(progress["iterator"])
        return step, context.layout.stack_states([state for state, _ in restored])

    def open_logs(self, step: int) -> None:
        """Open the logs of every fold as they were after ``step``, and replay them into the collapse monitors."""
        for fold_run in self.fold_runs:
            fold_run.open_logs(step, self.context, self._stack)

    def log(self, call: Call, seconds: float, waiting: float) -> None:
        """Log a call that has ended, after a check for non-finite numbers, and advance the progress bar.

        Args:
          call: the call.
          seconds: the time that the call took.
          waiting: the part of ``seconds`` in which the devices had no data.

        Raises:
          NonFiniteError: a fold's numbers are not finite, and the config stops the run then.
        """
        context, steps = self.context, call.indices.shape[1]
        gathered = {name: context.layout.gather(value) for name, value in jax.device_get(call.metrics).items()}
        metrics = named_metrics(gathered, context.pairs.classes)
        for place, fold_run in enumerate(self.fold_runs):
            fold_run.check_finite(metrics, place, call, context)
        speed = {"steps_per_s": steps / seconds, "waiting_share": waiting / seconds}
        speeds = {name: np.full(context.layout.folds, value) for name, value in speed.items()}
        values = mean_metrics(metrics) | speeds
        training = [place for place, fold_run in enumerate(self.fold_runs) if fold_run.is_training]
        for place in training:
            line = {name: value[place] for name, value in values.items()}
            warning = self.fold_runs[place].write(call.step, call.step / context.config.steps_per_epoch, line)
            if warning is not None:
                warn(warning)
        context.show_progress(steps, _means_to_show(values, training))

    def evaluate(self, step: int, states: TrainState) -> None:
        """Append an evaluation of the test and inner validation clips of every fold to its evaluations.jsonl.

        Raises:
          NonFiniteError: a capsule length is not finite, and the config stops the run then.
        """
        context = self.context
        streams = [fold_run.evaluations if fold_run.is_training else None for fold_run in self.fold_runs]
        nonfinite = write_evaluations(
            context.programs,
            states,
            step,
            context.pairs,
            self.filled,
            streams,
            context.layout,
            context.config.batch_size,
        )
        for place in nonfinite:
            self.fold_runs[place].fail(step, NONFINITE_LENGTH, (), context.config)

    def save(self, states: TrainState, positions: Sequence[Mapping[str, Any]]) -> None:
        """Save a checkpoint of every fold: its state, the position of its data iterator, and its time so far."""
        now = self.time_per_fold()._asdict()
        for place, fold_run in enumerate(self.fold_runs):
            if fold_run.is_training:
                sync_logs(fold_run.logs, fold_run.events)
                state = self.context.layout.take_state(states, place)
                fold_run.checkpoints.save(state, {"iterator": positions[place], **now})
        for fold_run in self.fold_runs:  # only now: until all folds have this step, the step before is their common one
            fold_run.checkpoints.keep_newest(MAX_TO_KEEP)

    def write_results(self, states: TrainState) -> None:
        """Predict and synthesize the test clips of every fold, and write its result.json last.

        Raises:
          NonFiniteError: a capsule length is not finite, and the config stops the run then.
        """
        context, config = self.context, self.context.config
        folders = [fold_run.folder if fold_run.is_training else None for fold_run in self.fold_runs]
        if not any(folders):
            return
        nonfinite = evaluate_group(
            context.programs, states, context.pairs, self.filled, folders, context.layout, config.batch_size
        )
        for place in nonfinite:
            self.fold_runs[place].fail(config.steps, NONFINITE_LENGTH, (), config)
        for fold_run in self.fold_runs:
            if fold_run.is_training:
                fold_run.show_faces(config.steps, context.pairs.classes)
                fold = fold_run.fold
                about = {"people": fold.people, "num_clips": len(fold.test), "steps": config.steps, "run": config.run}
                cost = self.time_per_fold()._asdict() | {"worker": context.worker}
                write_result(fold_run.folder, about | cost | {"warnings": fold_run.warnings})
                fold_run.checkpoints.keep_newest(1)

    def time_per_fold(self) -> Elapsed:
        """Return the time that each fold has taken so far: an equal share of the time of the group."""
        wall_s = self._elapsed.wall_s + time.perf_counter() - self._start
        compile_s = self._elapsed.compile_s + sum(self.context.programs.compile_s) - self._compiled_before
        folds = len(self.fold_runs)
        return Elapsed(self._restored.wall_s + wall_s / folds, self._restored.compile_s + compile_s / folds)


@dataclass
class FoldRun:
    """The files of one fold of a group, and its failure, if any.

    Attributes:
      fold: the subjects that are trained on and tested.
      folder: the folder of the fold.
      checkpoints: its checkpoints.
      collapse: the monitor that warns of collapsed capsules.
      metrics: metrics.jsonl, once it is open.
      events: the same quantities for TensorBoard.
      evaluations: evaluations.jsonl, where the config evaluates during training.
      warnings: warnings of this fold, those of earlier starts included.
      failure: where the training failed; None while the fold is trained.
    """

    fold: Fold
    folder: Path
    checkpoints: FoldCheckpoints
    collapse: CollapseMonitor
    metrics: TextIO | None = None
    events: Events | None = None
    evaluations: TextIO | None = None
    warnings: list[str] = field(default_factory=list)
    failure: Failure | None = None

    @property
    def is_training(self) -> bool:
        """Whether the fold has not failed."""
        return self.failure is None

    @property
    def logs(self) -> list[TextIO]:
        """The logs that are open."""
        return [log for log in (self.metrics, self.evaluations) if log is not None]

    def open_logs(self, step: int, context: RunContext, stack: contextlib.ExitStack) -> None:
        """Open the logs as they were after ``step``, and replay metrics.jsonl into the collapse monitor."""
        self.metrics = stack.enter_context(open_log(self.folder / METRICS_FILE, step))
        with (self.folder / METRICS_FILE).open(encoding="utf-8") as lines:
            self.warnings = self.collapse.replay(lines, step)
        self.events = stack.enter_context(open_events(events_dir(context.run_dir, self.fold), step))
        if context.config.evaluate_every:
            self.evaluations = stack.enter_context(open_log(self.folder / EVALUATIONS_FILE, step))

    def check_finite(self, metrics: Mapping[str, NDArray[Any]], place: int, call: Call, context: RunContext) -> None:
        """Fail the fold at the first update of a call with a non-finite number.

        Args:
          metrics: the metrics of the call, float[g, s] each.
          place: the index of the fold in the group.
          call: the call.
          context: what all groups share.

        Raises:
          NonFiniteError: a number is not finite, and the config stops the run then.
        """
        nonfinite = first_nonfinite(metrics, place) if self.is_training else None
        if nonfinite is not None:
            offset, terms = nonfinite
            clips = batch_clips(context.pairs, call.indices[place, offset])
            self.fail(call.step - call.indices.shape[1] + offset + 1, terms, clips, context.config)

    def fail(self, step: int, terms: dict[str, float], clips: tuple[str, ...], config: TrainConfig) -> None:
        """Stop training the fold, keep its newest checkpoint, and write nonfinite.json.

        Args:
          step: the step at which the terms are not finite.
          terms: the terms by name.
          clips: the clips of the batch; none where the step is an evaluation.
          config: how every fold is trained.

        Raises:
          NonFiniteError: the config stops the run.
        """
        self.failure = Failure(self.fold.name, step, terms, clips, max(self.checkpoints.steps(), default=0))
        write_failure(self.folder, self.failure, config.on_nonfinite)
        if config.on_nonfinite == "stop":
            raise NonFiniteError(self.failure)

    def write(self, step: int, epoch: float, values: Mapping[str, Any]) -> str | None:
        """Append a line to metrics.jsonl and to the TensorBoard events; return a warning of the collapse monitor."""
        assert self.metrics is not None and self.events is not None
        write_line(self.metrics, step, epoch, values)
        write_scalars(self.events, step, epoch, values)
        warning = self.collapse.update(step, values)
        if warning is not None:
            self.warnings.append(warning)
        return warning

    def show_faces(self, step: int, classes: Sequence[str]) -> None:
        """Add the faces of the first test clip of each class to the TensorBoard events, if there is a generator."""
        assert self.events is not None
        if not (self.folder / SYNTHESIS_FILE).is_file():
            return
        with np.load(self.folder / SYNTHESIS_FILE) as arrays:
            _, first = np.unique(arrays["label"], return_index=True)
            onset, synthetic, apex = (arrays[name][first] for name in ("onset", "synthetic", "apex"))
        faces = np.concatenate([onset[:, None], synthetic, apex[:, None]], axis=1)
        subjects = "held_out" if self.fold.scored else "trained_on"
        write_faces(self.events, step, f"{subjects}/{'-'.join(('onset', *classes, 'apex'))}", faces)


def open_fold_run(fold: Fold, context: RunContext, stack: contextlib.ExitStack) -> FoldRun:
    """Open the checkpoints of a fold; its logs are opened once the step is known from which the fold continues."""
    folder = fold_dir(context.run_dir, fold)
    checkpoints = stack.enter_context(FoldCheckpoints(folder, context.config.run))
    return FoldRun(fold, folder, checkpoints, collapse_monitor(fold, context.pairs, context.config))


def _batches(pairs: Pairs, fold: Fold, config: TrainConfig) -> Any:
    """Return the iterator over the training batches of a fold."""
    return fold_batches(
        pairs,
        fold.train,
        batch_size=config.batch_size,
        seed=_data_seed(config.seed, fold),
        mirror=config.mirror,
        shift=config.shift,
        brightness=config.brightness,
        resting=config.resting_pairs,
    )


def _data_seed(seed: int, fold: Fold) -> int:
    """Return the seed of a fold for shuffling and mirroring, 0 to 2**32 - 1."""
    return int(jax.random.key_data(fold_key(seed, f"{fold.name} data"))[-1])


def _means_to_show(values: Mapping[str, Any], places: Sequence[int]) -> dict[str, float]:
    """Return means over the folds for the progress bar; without a generator there is no L1."""
    shown = {"L1": "g_l1", "margin": "d_real_margin", "accuracy": "d_real_accuracy", "waiting": "waiting_share"}
    return {
        label: float(values[name][places].mean()) for label, name in shown.items() if name in values and len(places)
    }


def warn(line: str) -> None:
    """Print a warning on stderr, above the progress bar."""
    tqdm.write(f"warning: {line}", file=sys.stderr)
