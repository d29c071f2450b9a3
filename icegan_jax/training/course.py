"""The calls of the training program, one after another, and what is done between them."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icegan_jax.stopping import Stopped, putting_off
from icegan_jax.training.engine import Engine
from icegan_jax.training.feed import Feed
from icegan_jax.training.pace import Pace
from icegan_jax.training.plan import Plan
from icegan_jax.training.state import TrainState
from icegan_jax.training.step import Metrics


class Call(NamedTuple):
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


def follow(
    engine: Engine,
    states: TrainState,
    step: int,
    plan: Plan,
    feed: Feed,
    log: Callable[[Call, float, float], None],
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
    supply, saved, calls = feed.take(), step, list[Call]()
    if supply is None:
        return states
    engine.advance.compile(states, supply.batches)
    with putting_off() as asked, Pace() as pace:
        while supply is not None:
            states, metrics = engine.advance(states, supply.batches)
            step += plan.steps_per_call
            calls.append(Call(step, metrics, supply.indices, supply.ready, pace.watch(metrics)))
            last, stop = step >= plan.steps, asked()
            due = step - saved >= plan.checkpoint_every or last or stop is not None
            evaluated = plan.evaluate_every and (step % plan.evaluate_every == 0 or last)
            while len(calls) > (0 if due or evaluated else 1):
                call = calls.pop(0)
                log(call, *pace.measure(call.ready, call.end.result()))
            if not well():
                break
            if evaluated:
                evaluate(step, states)
            if due:
                save(states, supply.positions)
                saved = step
            if stop is not None:
                raise Stopped(stop, f"after step {step} of {plan.steps}, which is saved")
            supply = feed.take()
    return states
