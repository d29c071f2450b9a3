"""The training of one group of folds, side by side, each fold leaving its files in the run directory."""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.data.pipeline import fold_batches
from icegan_jax.stopping import putting_off
from icegan_jax.training.checkpoint import KEPT
from icegan_jax.training.course import Call, follow
from icegan_jax.training.engine import Engine
from icegan_jax.training.evaluate import evaluate_group
from icegan_jax.training.evaluations import write_evaluations
from icegan_jax.training.feed import Feed
from icegan_jax.training.fold_log import keep_logs, named
from icegan_jax.training.fold_result import write_result
from icegan_jax.training.health import UNTOLD, Failure, means
from icegan_jax.training.layout import Layout
from icegan_jax.training.member import open_logs, open_members
from icegan_jax.training.plan import NOTHING, Plan, Spent
from icegan_jax.training.resume import newest_intact
from icegan_jax.training.state import TrainState, blank_state, fold_key


def train_group(
    engine: Engine,
    pairs: Pairs,
    group: Sequence[Fold],
    plan: Plan,
    run_dir: Path,
    layout: Layout,
    bar: "tqdm[Any]",
    warn: Callable[[str], None],
    before: Spent = NOTHING,
) -> list[Failure]:
    """Trains the folds of one group in step, from their newest common checkpoint, and evaluates them.

    A group smaller than the layout is filled up with copies of its first fold, whose results are dropped: the
    program compiled for a full group serves every group.

    Args:
      engine: for the layout's devices.
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
    start, compiled = time.perf_counter(), sum(engine.compile_s)
    filled = [*group, *[group[0]] * (layout.folds - len(group))]
    batches = [_batches(pairs, fold, plan) for fold in filled]
    with contextlib.ExitStack() as stack:
        members = open_members(stack, group, pairs, plan, run_dir)
        stores = [member.store for member in members]
        keys = [fold_key(plan.seed, fold.name) for fold in filled]
        likes = [blank_state(engine.shapes(), key) for key in keys[: len(group)]]
        with putting_off():  # Orbax's event loop swallows what a signal's handler raises, or waits for ever
            step, restored = newest_intact(stores, [fold.name for fold in group], likes, warn)
        earlier = NOTHING  # of each fold, before this start
        if step:
            tqdm.write(f"{', '.join(fold.name for fold in group)}: going on from step {step} of {plan.steps}")
            restored += [restored[0]] * (len(filled) - len(group))
            for iterator, (_, progress) in zip(batches, restored, strict=True):
                iterator.set_state(progress["iterator"])
            earlier = Spent(**{name: restored[0][1][name] for name in Spent._fields})
            states = layout.join([state for state, _ in restored])
            del restored, _  # as large as the states
        else:
            states = engine.create(layout.put(layout.lay(jnp.stack(keys))))
        open_logs(stack, members, step, plan, run_dir)
        bar.update(step)

        def clock() -> dict[str, float]:
            """What each fold has cost so far: its share of its group's."""
            wall_s = before.wall_s + time.perf_counter() - start
            compile_s = before.compile_s + sum(engine.compile_s) - compiled
            share = Spent(earlier.wall_s + wall_s / len(group), earlier.compile_s + compile_s / len(group))
            return share._asdict()

        def save(states: TrainState, positions: Sequence[dict[str, Any]]) -> None:
            now = clock()
            for place, member in enumerate(members):
                if member.well:
                    keep_logs(member.logs)
                    member.store.save(layout.part(states, place), {"iterator": positions[place], **now})
            for member in members:  # not before: all must have the step before in common until all have this one
                member.store.keep_newest(KEPT)

        def log(call: Call, seconds: float, waiting: float) -> None:
            gathered = {name: layout.gather(value) for name, value in jax.device_get(call.metrics).items()}
            metrics = named(gathered, pairs.classes)
            for place, member in enumerate(members):
                member.look(metrics, place, call, plan, pairs)
            speed = {"steps_per_s": plan.steps_per_call / seconds, "waiting_share": waiting / seconds}
            speeds = {name: np.full(layout.folds, value) for name, value in speed.items()}
            values = means(metrics) | speeds
            well = [place for place, member in enumerate(members) if member.well]
            for place in well:
                line = {name: value[place] for name, value in values.items()}
                warning = members[place].write(call.step, call.step / plan.steps_per_epoch, line)
                if warning is not None:
                    warn(warning)
            _show(bar, values, well)
            bar.update(plan.steps_per_call)

        def evaluate(step: int, states: TrainState) -> None:
            streams = [member.evaluations if member.well else None for member in members]
            for place in write_evaluations(engine, states, step, pairs, filled, streams, layout, plan.batch_size):
                members[place].give_up(step, UNTOLD, (), plan)

        calls = (plan.steps - step) // plan.steps_per_call
        feed = stack.enter_context(Feed(batches, plan.steps_per_call, calls, layout))
        states = follow(engine, states, step, plan, feed, log, evaluate, save, lambda: any(m.well for m in members))
        folders = [member.folder if member.well else None for member in members]
        if any(folders):
            for place in evaluate_group(engine, states, pairs, filled, folders, layout, plan.batch_size):
                members[place].give_up(plan.steps, UNTOLD, (), plan)
        for member in members:
            if member.well:
                member.show_faces(plan.steps, pairs.classes)
                fold = member.fold
                who = {"people": fold.people, "num_clips": len(fold.test), "steps": plan.steps, "run": plan.run}
                cost = clock() | {"process": plan.process}
                write_result(member.folder, who | cost | {"warnings": member.warnings})
                member.store.keep_newest(1)
    return [member.failure for member in members if member.failure is not None]


def _batches(pairs: Pairs, fold: Fold, plan: Plan) -> Any:
    """The iterator over a fold's training batches."""
    return fold_batches(
        pairs,
        fold.train,
        batch_size=plan.batch_size,
        seed=_data_seed(plan.seed, fold),
        mirror=plan.mirror,
        shift=plan.shift,
        brightness=plan.brightness,
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
