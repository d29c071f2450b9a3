"""Prefetched batches come in order, with the positions of the iterators that belong to them."""

import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

from icegan_jax.data.pipeline import fold_batches
from icegan_jax.training.parallel import FoldLayout
from icegan_jax.training.prefetch import Prefetcher
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


def test_the_time_is_noted_when_the_batches_are_on_the_devices() -> None:
    before = time.perf_counter()
    with Prefetcher(iterators(), [STEPS], LAYOUT) as prefetcher:
        prefetched = prefetcher.take()
    assert prefetched is not None
    assert before < prefetched.ready <= time.perf_counter()


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
