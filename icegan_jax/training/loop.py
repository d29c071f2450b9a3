"""The calls of the training program, one after another, and what is done between them.

A fold of a group in training: its files that are open, and how it fares.

Which folds train side by side.

The training of one group of folds, side by side, each fold leaving its files in the run directory.

Training of all folds, group by group.
"""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.data.pipeline import fold_batches
from icegan_jax.run_dir import EVALUATIONS_FILE, METRICS_FILE, SYNTHESIS_FILE, events_dir, fold_dir, is_finished
from icegan_jax.signals import Stopped, defer_signals
from icegan_jax.training.checkpoint import KEPT, FoldCheckpoints, newest_common_checkpoint, steps_in
from icegan_jax.training.distributed import Processes
from icegan_jax.training.evaluate import evaluate_group, write_evaluations
from icegan_jax.training.fold_result import write_result
from icegan_jax.training.logging import (
    named_metrics,
    open_events,
    open_log,
    sync_logs,
    write_faces,
    write_line,
    write_scalars,
)
from icegan_jax.training.memory import out_of_memory_hints, plan_capacity
from icegan_jax.training.monitor import (
    STATISTICS_ONLY,
    Batch,
    CollapseMonitor,
    Failure,
    NonFiniteError,
    clips_of_batch,
    collapse_monitor,
    describe_skipped_fold,
    first_nonfinite,
    mean_metrics,
    write_failure,
)
from icegan_jax.training.parallel import FoldLayout, ParallelPrograms
from icegan_jax.training.prefetch import CallTimer, Prefetcher
from icegan_jax.training.state import Models, TrainConfig, TrainState, fold_key, state_template
from icegan_jax.training.train_step import Metrics


class Elapsed(NamedTuple):
    """Time that went into a fold or a group.

    Attributes:
      wall_s: seconds.
      compile_s: those of them that went into compiling.
    """

    wall_s: float
    compile_s: float


NO_TIME = Elapsed(0.0, 0.0)


class CompletedCall(NamedTuple):
    """A call of the training program, perhaps still under way.

    Attributes:
      step: after it.
      metrics: loss terms of each step [r, f, s].
      indices: int32[g, s, b], the pairs of the batches.
      ready: when its data were on the devices.
      end: when it ended.
    """

    step: int
    metrics: Metrics
    indices: NDArray[np.int32]
    ready: float
    end: "Future[float]"


def run_calls(
    programs: ParallelPrograms,
    states: TrainState,
    step: int,
    train_config: TrainConfig,
    prefetcher: Prefetcher,
    log: Callable[[CompletedCall, float, float], None],
    evaluate: Callable[[int, TrainState], None],
    save: Callable[[TrainState, Sequence[dict[str, Any]]], None],
    well: Callable[[], bool],
) -> TrainState:
    """Trains from ``step`` to the plan's last; a call is logged when the next one has been started.

    A checkpoint of a step comes after the evaluation at that step, and both after what the log found out about it: a
    run that goes on from it has all three.

    Args:
      log: takes a call, the seconds that it took, and how many of them the devices waited for data.
      evaluate: takes the step and the states, which it is done with when it returns.
      save: takes the states and where each fold's iterator stands.
      well: whether there is a fold left to train; asked after ``log``.

    Raises:
      Stopped: by a signal, after the call under way and its checkpoint.
    """
    prefetched, saved, calls = prefetcher.take(), step, list[CompletedCall]()
    if prefetched is None:
        return states
    programs.train_steps.compile(states, prefetched.batches)
    with defer_signals() as asked, CallTimer() as timer:
        while prefetched is not None:
            states, metrics = programs.train_steps(states, prefetched.batches)
            step += train_config.steps_per_call
            calls.append(CompletedCall(step, metrics, prefetched.indices, prefetched.ready, timer.watch(metrics)))
            last, stop = step >= train_config.steps, asked()
            due = step - saved >= train_config.checkpoint_every or last or stop is not None
            evaluated = train_config.evaluate_every and (step % train_config.evaluate_every == 0 or last)
            while len(calls) > (0 if due or evaluated else 1):
                call = calls.pop(0)
                log(call, *timer.measure(call.ready, call.end.result()))
            if not well():
                break
            if evaluated:
                evaluate(step, states)
            if due:
                save(states, prefetched.positions)
                saved = step
            if stop is not None:
                raise Stopped(stop, f"after step {step} of {train_config.steps}, which is saved")
            prefetched = prefetcher.take()
    return states


@dataclass
class FoldRun:
    """A fold of a group.

    Attributes:
      fold: who is trained on and tested.
      folder: the fold's.
      store: its checkpoints.
      watch: for collapsed capsules.
      metrics: metrics.jsonl.
      events: the same for TensorBoard.
      evaluations: evaluations.jsonl, if there is to be one.
      warnings: lines of this fold, of earlier starts too.
      failure: where its training broke; None while all is well.
    """

    fold: Fold
    folder: Path
    store: FoldCheckpoints
    watch: CollapseMonitor
    metrics: TextIO | None = None
    events: BinaryIO | None = None
    evaluations: TextIO | None = None
    warnings: list[str] = field(default_factory=list)
    failure: Failure | None = None

    @property
    def well(self) -> bool:
        """Whether the fold is still trained."""
        return self.failure is None

    @property
    def logs(self) -> list[TextIO]:
        """The logs that are open."""
        return [log for log in (self.metrics, self.evaluations) if log is not None]

    def look(
        self,
        metrics: Mapping[str, NDArray[Any]],
        place: int,
        call: CompletedCall,
        train_config: TrainConfig,
        pairs: Pairs,
    ) -> None:
        """Looks for numbers that went wrong in a call.

        Args:
          metrics: of the call, [g, s].
          place: of the fold in the group.

        Raises:
          NonFiniteError: there are some, and the plan says to stop.
        """
        found = first_nonfinite(metrics, place) if self.well else None
        if found is not None:
            clips = clips_of_batch(pairs, call.indices[place, found.offset])
            self.give_up(call.step - train_config.steps_per_call + found.offset + 1, found.terms, clips, train_config)

    def give_up(self, step: int, terms: dict[str, float], clips: tuple[Batch, ...], train_config: TrainConfig) -> None:
        """Leaves the fold at its newest checkpoint.

        Args:
          step: at which the terms were not finite.
          terms: by name.
          clips: of the batch; none where it was an evaluation.

        Raises:
          NonFiniteError: the plan says to stop.
        """
        kept = max(self.store.steps(), default=0)
        self.failure = Failure(self.fold.name, step, terms, clips, kept)
        write_failure(self.folder, self.failure, train_config.on_nonfinite)
        if train_config.on_nonfinite == "stop":
            raise NonFiniteError(self.failure)

    def write(self, step: int, epoch: float, values: Mapping[str, Any]) -> str | None:
        """Appends a line to the log, and to the events; returns a warning, should it be due."""
        assert self.metrics is not None and self.events is not None
        write_line(self.metrics, step, epoch, values)
        write_scalars(self.events, step, epoch, values)
        warning = self.watch.see(step, values)
        if warning is not None:
            self.warnings.append(warning)
        return warning

    def show_faces(self, step: int, classes: Sequence[str]) -> None:
        """Appends the faces of the first tested clip of each class to the events, if there is a generator."""
        assert self.events is not None
        if not (self.folder / SYNTHESIS_FILE).is_file():
            return
        with np.load(self.folder / SYNTHESIS_FILE) as sheet:
            _, first = np.unique(sheet["label"], return_index=True)
            onset, synthetic, apex = (sheet[name][first] for name in ("onset", "synthetic", "apex"))
        faces = np.concatenate([onset[:, None], synthetic, apex[:, None]], axis=1)
        who = "held out" if self.fold.scored else "trained on"
        write_faces(self.events, step, f"{who}: onset, {', '.join(classes)}, apex", faces)


def open_fold_runs(
    stack: contextlib.ExitStack,
    group: Sequence[Fold],
    pairs: Pairs,
    train_config: TrainConfig,
    run_dir: Path,
) -> list[FoldRun]:
    """The folds of a group, their checkpoints open."""
    fold_runs = []
    for fold in group:
        folder = fold_dir(run_dir, fold)
        store = stack.enter_context(FoldCheckpoints(folder, f"{train_config.run} {fold.name}"))
        fold_runs.append(FoldRun(fold, folder, store, collapse_monitor(fold, pairs, train_config)))
    return fold_runs


def open_logs(
    stack: contextlib.ExitStack, fold_runs: Sequence[FoldRun], step: int, train_config: TrainConfig, run_dir: Path
) -> None:
    """Opens each fold's logs where they stood after ``step``, and brings the watches to where they were then."""
    for fold_run in fold_runs:
        fold_run.metrics = stack.enter_context(open_log(fold_run.folder, step))
        with (fold_run.folder / METRICS_FILE).open(encoding="utf-8") as lines:
            fold_run.warnings = fold_run.watch.replay(lines)
        fold_run.events = stack.enter_context(open_events(events_dir(run_dir, fold_run.fold), step))
        if train_config.evaluate_every:
            fold_run.evaluations = stack.enter_context(open_log(fold_run.folder, step, EVALUATIONS_FILE))


def group_folds(folds: Sequence[Fold], run_dir: Path, size: int, steps: int) -> list[list[Fold]]:
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


def train_group(
    programs: ParallelPrograms,
    pairs: Pairs,
    group: Sequence[Fold],
    train_config: TrainConfig,
    run_dir: Path,
    layout: FoldLayout,
    bar: "tqdm[Any]",
    warn: Callable[[str], None],
    before: Elapsed = NO_TIME,
) -> list[Failure]:
    """Trains the folds of one group in step, from their newest common checkpoint, and evaluates them.

    A group smaller than the layout is filled up with copies of its first fold, whose results are dropped: the
    program compiled for a full group serves every group.

    Args:
      programs: for the layout's devices.
      warn: takes one line.
      before: what was spent on the group before, which counts as its folds' time.

    Returns:
      The folds that have no result, since their numbers went wrong and the plan says to go on without them.

    Raises:
      NonFiniteError: a fold's numbers went wrong, and the plan says to stop.
      Stopped: by a signal; the folds are saved.
      UserError: a checkpoint cannot be read or written.
      OSError: another file of a fold cannot be.
    """
    start, compiled = time.perf_counter(), sum(programs.compile_s)
    filled = [*group, *[group[0]] * (layout.folds - len(group))]
    batches = [_batches(pairs, fold, train_config) for fold in filled]
    with contextlib.ExitStack() as stack:
        fold_runs = open_fold_runs(stack, group, pairs, train_config, run_dir)
        stores = [fold_run.store for fold_run in fold_runs]
        keys = [fold_key(train_config.seed, fold.name) for fold in filled]
        likes = [state_template(programs.state_shapes(), key) for key in keys[: len(group)]]
        with defer_signals():  # Orbax's event loop swallows what a signal's handler raises, or waits for ever
            step, restored = newest_common_checkpoint(stores, [fold.name for fold in group], likes, warn)
        earlier = NO_TIME  # of each fold, before this start
        if step:
            tqdm.write(f"{', '.join(fold.name for fold in group)}: going on from step {step} of {train_config.steps}")
            restored += [restored[0]] * (len(filled) - len(group))
            for iterator, (_, progress) in zip(batches, restored, strict=True):
                iterator.set_state(progress["iterator"])
            earlier = Elapsed(**{name: restored[0][1][name] for name in Elapsed._fields})
            states = layout.stack_states([state for state, _ in restored])
            del restored, _  # as large as the states
        else:
            states = programs.create_state(layout.device_put(layout.shard(jnp.stack(keys))))
        open_logs(stack, fold_runs, step, train_config, run_dir)
        bar.update(step)

        def clock() -> dict[str, float]:
            """What each fold has cost so far: its share of its group's."""
            wall_s = before.wall_s + time.perf_counter() - start
            compile_s = before.compile_s + sum(programs.compile_s) - compiled
            share = Elapsed(earlier.wall_s + wall_s / len(group), earlier.compile_s + compile_s / len(group))
            return share._asdict()

        def save(states: TrainState, positions: Sequence[dict[str, Any]]) -> None:
            now = clock()
            for place, fold_run in enumerate(fold_runs):
                if fold_run.well:
                    sync_logs(fold_run.logs)
                    fold_run.store.save(layout.take_state(states, place), {"iterator": positions[place], **now})
            for fold_run in fold_runs:  # not before: all must have the step before in common until all have this one
                fold_run.store.keep_newest(KEPT)

        def log(call: CompletedCall, seconds: float, waiting: float) -> None:
            gathered = {name: layout.gather(value) for name, value in jax.device_get(call.metrics).items()}
            metrics = named_metrics(gathered, pairs.classes)
            for place, fold_run in enumerate(fold_runs):
                fold_run.look(metrics, place, call, train_config, pairs)
            speed = {"steps_per_s": train_config.steps_per_call / seconds, "waiting_share": waiting / seconds}
            speeds = {name: np.full(layout.folds, value) for name, value in speed.items()}
            values = mean_metrics(metrics) | speeds
            well = [place for place, fold_run in enumerate(fold_runs) if fold_run.well]
            for place in well:
                line = {name: value[place] for name, value in values.items()}
                warning = fold_runs[place].write(call.step, call.step / train_config.steps_per_epoch, line)
                if warning is not None:
                    warn(warning)
            _show(bar, values, well)
            bar.update(train_config.steps_per_call)

        def evaluate(step: int, states: TrainState) -> None:
            streams = [fold_run.evaluations if fold_run.well else None for fold_run in fold_runs]
            for place in write_evaluations(
                programs, states, step, pairs, filled, streams, layout, train_config.batch_size
            ):
                fold_runs[place].give_up(step, STATISTICS_ONLY, (), train_config)

        calls = (train_config.steps - step) // train_config.steps_per_call
        prefetcher = stack.enter_context(Prefetcher(batches, train_config.steps_per_call, calls, layout))
        states = run_calls(
            programs,
            states,
            step,
            train_config,
            prefetcher,
            log,
            evaluate,
            save,
            lambda: any(m.well for m in fold_runs),
        )
        folders = [fold_run.folder if fold_run.well else None for fold_run in fold_runs]
        if any(folders):
            for place in evaluate_group(programs, states, pairs, filled, folders, layout, train_config.batch_size):
                fold_runs[place].give_up(train_config.steps, STATISTICS_ONLY, (), train_config)
        for fold_run in fold_runs:
            if fold_run.well:
                fold_run.show_faces(train_config.steps, pairs.classes)
                fold = fold_run.fold
                who = {
                    "people": fold.people,
                    "num_clips": len(fold.test),
                    "steps": train_config.steps,
                    "run": train_config.run,
                }
                cost = clock() | {"process": train_config.process}
                write_result(fold_run.folder, who | cost | {"warnings": fold_run.warnings})
                fold_run.store.keep_newest(1)
    return [fold_run.failure for fold_run in fold_runs if fold_run.failure is not None]


def _batches(pairs: Pairs, fold: Fold, train_config: TrainConfig) -> Any:
    """The iterator over a fold's training batches."""
    return fold_batches(
        pairs,
        fold.train,
        batch_size=train_config.batch_size,
        seed=_data_seed(train_config.seed, fold),
        mirror=train_config.mirror,
        shift=train_config.shift,
        brightness=train_config.brightness,
    )


def _data_seed(seed: int, fold: Fold) -> int:
    """A fold's seed for shuffling and mirroring, 0 to 2**32 - 1."""
    return int(jax.random.key_data(fold_key(seed, f"{fold.name} data"))[-1])


def _show(bar: "tqdm[Any]", values: dict[str, Any], places: Sequence[int]) -> None:
    """Shows the means over the folds beside the bar. Without a generator there is no L1."""
    if not places:
        return
    shown = {"L1": "g_l1", "margin": "d_real_margin", "accuracy": "d_real_accuracy", "waiting": "waiting_share"}
    means = {label: values[name][places].mean() for label, name in shown.items() if name in values}
    bar.set_postfix({label: f"{mean:.3f}" for label, mean in means.items()}, refresh=False)


def train_folds(
    models: Models,
    pairs: Pairs,
    folds: Sequence[Fold],
    train_config: TrainConfig,
    run_dir: Path,
    devices: Sequence[jax.Device],
    processes: Processes = Processes(),  # noqa: B008 (frozen)
) -> list[Failure]:
    """Trains and evaluates every one of ``folds`` that is not finished, showing a progress bar.

    A fold ends with ``metrics.jsonl``, ``predictions.csv`` and, last, ``result.json`` in ``run_dir/folds/<name>``; with
    ``synthesis.npz`` where there is a generator, ``evaluations.jsonl`` where the plan evaluates during training. An
    unfinished fold goes on from its newest checkpoint.

    ``processes`` tells which of several processes this is; other ones train other folds.

    Returns:
      The folds that have no result, since their numbers went wrong and the plan says to go on without them.

    Raises:
      ValueError: the networks tell another number of classes apart than the pairs have.
      UserError: out of memory; or a fold's checkpoints cannot be read or written.
      NonFiniteError: a fold's numbers went wrong, and the plan says to stop.
      Stopped: by a signal; what was under way is saved.
    """
    if models.classes != len(pairs.classes):
        raise ValueError(f"networks of {models.classes} classes for pairs of {len(pairs.classes)}")
    todo = [fold for fold in folds if not is_finished(run_dir, fold)]
    if not todo:
        return []
    start = time.perf_counter()
    with out_of_memory_hints(train_config):
        fit = plan_capacity(models, train_config, devices, len(folds), len(todo), processes.here)
    before = Elapsed(time.perf_counter() - start, fit.compile_s)
    if fit.reason:
        print(fit.reason, flush=True)
    groups = group_folds(todo, run_dir, fit.layout.folds, train_config.steps)
    who = f"{processes.name}, " if processes.count > 1 else ""
    train_config = dataclasses.replace(train_config, process=processes.index)
    failures: list[Failure] = []
    with tqdm(total=train_config.steps * len(groups), unit="step", dynamic_ncols=True) as bar:
        for index, group in enumerate(groups, start=1):
            bar.set_description(f"{who}folds {len(folds) - len(todo) + 1}-{len(folds)}, group {index}/{len(groups)}")
            spent = before if index == 1 else NO_TIME
            with out_of_memory_hints(train_config, fit.layout.folds_per_device):
                failed = train_group(fit.programs, pairs, group, train_config, run_dir, fit.layout, bar, _warn, spent)
            for failure in failed:
                _warn(describe_skipped_fold(failure))
            failures += failed
    return failures


def _warn(line: str) -> None:
    tqdm.write(f"warning: {line}", file=sys.stderr)
