"""Prefetched batches come in order, with the positions of the iterators; and the time that calls take."""

import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax.data.pipeline import fold_batches
from icegan_jax.training.parallel import FoldLayout
from icegan_jax.training.prefetch import CallTimer, Prefetcher
from tests.training import tiny

PAIRS = tiny.pairs()
LAYOUT = FoldLayout(tuple(jax.local_devices()[:2]), 1)
STEPS, CALLS = 2, 3


def iterators() -> list[Any]:
    return [
        fold_batches(PAIRS, np.flatnonzero(PAIRS.subject != f"s{fold}"), batch_size=tiny.BATCH, seed=fold, mirror=True)
        for fold in range(2)
    ]


def test_the_batches_of_the_iterators_come_in_order() -> None:
    expected = iterators()
    with Prefetcher(iterators(), [STEPS] * CALLS, LAYOUT) as prefetcher:
        for _ in range(CALLS):
            prefetched = prefetcher.take()
            assert prefetched is not None
            for name in ("onset", "apex", "label"):
                actual = prefetched.batches[name]
                assert actual.sharding.device_set == set(LAYOUT.devices)
                assert actual.shape[:4] == (2, 1, STEPS, tiny.BATCH)
                assert actual.dtype == (np.int32 if name == "label" else np.uint8)
            for fold, iterator in enumerate(expected):
                for step in range(STEPS):
                    batch = next(iterator)
                    np.testing.assert_array_equal(prefetched.indices[fold, step], batch["index"])
                    for name, actual in prefetched.batches.items():
                        np.testing.assert_array_equal(actual[fold, 0, step], batch[name])
        assert prefetcher.take() is None


def test_positions_belong_to_the_batches_and_not_to_those_drawn_ahead() -> None:
    with Prefetcher(iterators(), [STEPS] * CALLS, LAYOUT) as prefetcher:
        first, second = prefetcher.take(), prefetcher.take()
    assert first is not None and second is not None
    resumed = iterators()
    for iterator, position in zip(resumed, first.positions, strict=True):
        iterator.set_state(position)
    for fold, iterator in enumerate(resumed):
        np.testing.assert_array_equal(second.batches["onset"][fold, 0, 0], next(iterator)["onset"])


def test_nothing_is_drawn_beyond_the_last_call() -> None:
    drawn = []

    class Counting:
        def __init__(self, iterator: Any) -> None:
            self._iterator = iterator
            self.get_state = iterator.get_state

        def __next__(self) -> Any:
            drawn.append(1)
            return next(self._iterator)

    with Prefetcher([Counting(iterator) for iterator in iterators()], [STEPS], LAYOUT) as prefetcher:
        assert prefetcher.take() is not None
        assert prefetcher.take() is None
    assert len(drawn) == 2 * STEPS
    with Prefetcher(iterators(), [], LAYOUT) as prefetcher:
        assert prefetcher.take() is None


def test_an_error_of_the_thread_comes_out() -> None:
    class Broken:
        def __iter__(self) -> Iterator[Any]:
            return self

        def __next__(self) -> Any:
            raise ValueError("no such face")

    with (
        Prefetcher([Broken(), Broken()], [STEPS] * CALLS, LAYOUT) as prefetcher,
        pytest.raises(ValueError, match="no such face"),
    ):
        prefetcher.take()


def test_waiting_is_what_lies_between_the_end_of_a_call_and_the_next_data() -> None:
    with CallTimer() as timer:
        begin = timer._idle_since
        # The data were there before the devices were free.
        assert timer.measure(ready=begin - 1.0, end=begin + 2.0) == pytest.approx((2.0, 0.0))
        # They came half a second after the devices were free, in a call that ended two seconds after that.
        assert timer.measure(ready=begin + 2.5, end=begin + 4.5) == pytest.approx((2.5, 0.5))
        # During the call before.
        assert timer.measure(ready=begin + 4.0, end=begin + 5.0) == pytest.approx((0.5, 0.0))


def test_an_end_is_noted_when_the_outcome_is_there() -> None:
    with CallTimer() as timer:
        outcome = jax.jit(lambda x: x @ x)(jnp.ones((300, 300)))
        end = timer.watch({"outcome": outcome})
        jax.block_until_ready(outcome)
        assert timer._idle_since <= end.result() <= time.perf_counter()
