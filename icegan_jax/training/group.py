"""The training of one group of folds, side by side, each fold leaving its files in the run directory."""

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.data.pipeline import fold_batches
from icegan_jax.evaluation.files import write_json
from icegan_jax.training.checkpoint import FoldCheckpoints
from icegan_jax.training.engine import Engine
from icegan_jax.training.evaluate import evaluate_group
from icegan_jax.training.evaluations import EVALUATIONS, write_evaluations
from icegan_jax.training.feed import Feed
from icegan_jax.training.fold_log import named, open_log, write_line
from icegan_jax.training.layout import Layout
from icegan_jax.training.pace import Pace
from icegan_jax.training.plan import NOTHING, RESULT, Plan, Spent, fold_dir
from icegan_jax.training.state import TrainState, fold_key, is_key
from icegan_jax.training.step import Metrics


def train_group(
    engine: Engine,
    pairs: Pairs,
    group: Sequence[Fold],
    plan: Plan,
    run_dir: Path,
    layout: Layout,
    bar: "tqdm[Any]",
    before: Spent = NOTHING,
) -> None:
    """Trains the folds of one group in step, from their newest common checkpoint, and evaluates them.

    A group smaller than the layout is filled up with copies of its first fold, whose results are dropped: the
    program compiled for a full group serves every group.

    Args:
      engine: for the layout's devices.
      before: what was spent on the group before, which counts as its folds' time.
    """
    start, compiled = time.perf_counter(), sum(engine.compile_s)
    filled = [*group, *[group[0]] * (layout.folds - len(group))]
    folders = [fold_dir(run_dir, fold) for fold in group]
    batches = [
        fold_batches(
            pairs,
            fold.train,
            batch_size=plan.batch_size,
            seed=_data_seed(plan.seed, fold),
            mirror=plan.mirror,
            shift=plan.shift,
            brightness=plan.brightness,
        )
        for fold in filled
    ]
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(FoldCheckpoints(folder)) for folder in folders]
        step = max(set.intersection(*(store.steps() for store in stores)), default=0)
        for store in stores:
            store.discard_after(step)
        keys = [fold_key(plan.seed, fold.name) for fold in filled]
        earlier = NOTHING  # of each fold, before this start
        if step:
            restored = [store.restore(step, _blank(engine, key)) for store, key in zip(stores, keys, strict=False)]
            restored += [restored[0]] * (len(filled) - len(group))
            for iterator, (_, progress) in zip(batches, restored, strict=True):
                iterator.set_state(progress["iterator"])
            earlier = Spent(**{name: restored[0][1][name] for name in Spent._fields})
            states = layout.join([state for state, _ in restored])
            del restored  # as large as the states
        else:
            states = engine.create(layout.put(layout.lay(jnp.stack(keys))))
        logs = [stack.enter_context(open_log(folder, step)) for folder in folders]
        streams = [
            stack.enter_context(open_log(folder, step, EVALUATIONS)) for folder in folders if plan.evaluate_every
        ]
        bar.update(step)

        def clock() -> dict[str, float]:
            """What each fold has cost so far: its share of its group's."""
            wall_s = before.wall_s + time.perf_counter() - start
            compile_s = before.compile_s + sum(engine.compile_s) - compiled
            share = Spent(earlier.wall_s + wall_s / len(group), earlier.compile_s + compile_s / len(group))
            return share._asdict()

        def save(states: TrainState, positions: Sequence[dict[str, Any]]) -> None:
            now = clock()
            for index, store in enumerate(stores):
                store.save(layout.part(states, index), {"iterator": positions[index], **now})

        def log(step: int, values: dict[str, Any]) -> None:
            _log(logs, bar, step, step / plan.steps_per_epoch, named(values, pairs.classes))
            bar.update(plan.steps_per_call)

        def evaluate(step: int, states: TrainState) -> None:
            write_evaluations(engine, states, step, pairs, filled, streams, layout, plan.batch_size)

        calls = (plan.steps - step) // plan.steps_per_call
        feed = stack.enter_context(Feed(batches, plan.steps_per_call, calls, layout))
        states = _advance(engine, states, step, plan, layout, feed, log, evaluate, save)
        evaluate_group(engine, states, pairs, filled, folders, layout, plan.batch_size)
        for fold, folder in zip(group, folders, strict=True):
            who = {"people": fold.people, "num_clips": len(fold.test), "steps": plan.steps}
            write_json(folder / RESULT, who | clock() | {"process": plan.process})


def _advance(
    engine: Engine,
    states: TrainState,
    step: int,
    plan: Plan,
    layout: Layout,
    feed: Feed,
    log: Callable[[int, dict[str, Any]], None],
    evaluate: Callable[[int, TrainState], None],
    save: Callable[[TrainState, Sequence[dict[str, Any]]], None],
) -> TrainState:
    """Trains from ``step`` to the plan's last; a call is logged when the next one has been started.

    A checkpoint of a step comes after the evaluation at that step: a run that goes on from it has both.

    Args:
      log: takes the step and, by name, values [g].
      evaluate: takes the step and the states, which it is done with when it returns.
      save: takes the states and where each fold's iterator stands.
    """
    supply, saved, calls = feed.take(), step, list[_Call]()
    if supply is None:
        return states
    engine.advance.compile(states, supply.batches)
    with Pace() as pace:
        while supply is not None:
            states, metrics = engine.advance(states, supply.batches)
            step += plan.steps_per_call
            calls.append(_Call(step, metrics, supply.ready, pace.watch(metrics)))
            last = step >= plan.steps
            due = step - saved >= plan.checkpoint_every or last
            evaluated = plan.evaluate_every and (step % plan.evaluate_every == 0 or last)
            while len(calls) > (0 if due or evaluated else 1):
                call = calls.pop(0)
                seconds, waiting = pace.measure(call.ready, call.end.result())
                values = {name: layout.gather(value) for name, value in jax.device_get(call.metrics).items()}
                speed = {"steps_per_s": plan.steps_per_call / seconds, "waiting_share": waiting / seconds}
                log(call.step, values | {name: np.full(layout.folds, value) for name, value in speed.items()})
            if evaluated:
                evaluate(step, states)
            if due:
                save(states, supply.positions)
                saved = step
            supply = feed.take()
    return states


class _Call(NamedTuple):
    """A call of the training program, perhaps still under way.

    Attributes:
      step: after it.
      metrics: mean loss terms [r, f].
      ready: when its data were on the devices.
      end: when it ended.
    """

    step: int
    metrics: Metrics
    ready: float
    end: "Future[float]"


def _blank(engine: Engine, key: jax.Array) -> TrainState:
    """The form of one fold's state, its arrays without memory of their own."""

    def blank(leaf: jax.ShapeDtypeStruct) -> Any:
        return key if is_key(leaf) else np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)

    return jax.tree.map(blank, engine.shapes())


def _data_seed(seed: int, fold: Fold) -> int:
    """A fold's seed for shuffling and mirroring, 0 to 2**32 - 1."""
    return int(jax.random.key_data(fold_key(seed, f"{fold.name} data"))[-1])


def _log(logs: Sequence[TextIO], bar: "tqdm[Any]", step: int, epoch: float, values: dict[str, Any]) -> None:
    """Appends a line to every fold's log, and shows the means over the folds beside the bar.

    Without a generator there is no L1.
    """
    for index, stream in enumerate(logs):
        write_line(stream, step, epoch, {name: value[index] for name, value in values.items()})
    shown = {"L1": "g_l1", "margin": "d_real_margin", "accuracy": "d_real_accuracy", "waiting": "waiting_share"}
    means = {label: values[name][: len(logs)].mean() for label, name in shown.items() if name in values}
    bar.set_postfix({label: f"{mean:.3f}" for label, mean in means.items()}, refresh=False)
