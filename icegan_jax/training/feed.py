"""The batches of a group of folds, drawn and copied to the devices by a thread, a call ahead of the training.

Axis letters as in ``layout``.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple

import jax
import numpy as np

from icegan_jax.training.layout import Layout

_FIELDS = ("onset", "apex", "label")


class Supply(NamedTuple):
    """What one call of the training program takes.

    Attributes:
      batches: arrays [r, f, s, b, ...] on the devices.
      indices: int32[g, s, b] on the host, which of the prepared pairs they are.
      positions: where each fold's iterator stands after them.
      ready: when they were all on the devices, by ``time.perf_counter``, seconds.
    """

    batches: dict[str, jax.Array]
    indices: np.ndarray
    positions: list[dict[str, Any]]
    ready: float


class Feed:
    """Hands out one ``Supply`` after another; the next one is prepared while the devices work on this one.

    Faces go over the bus as uint8. An error of the thread is raised by ``take``.
    """

    def __init__(self, batches: Sequence[Any], steps: int, calls: int, layout: Layout) -> None:
        """``batches``: an iterator per fold. ``steps``: batches a call. ``calls``: how many there will be."""
        self._batches = batches
        self._steps = steps
        self._left = calls
        self._layout = layout
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._next: Future[Supply] | None = None

    def __enter__(self) -> "Feed":
        self._order()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def take(self) -> Supply | None:
        """Waits for the next supply, if need be, and has the one after it prepared; None after the last."""
        if self._next is None:
            return None
        supply = self._next.result()
        self._order()
        return supply

    def _order(self) -> None:
        self._next = self._thread.submit(self._prepare) if self._left else None
        self._left -= 1

    def _prepare(self) -> Supply:
        drawn = [[next(iterator) for _ in range(self._steps)] for iterator in self._batches]
        positions = [iterator.get_state() for iterator in self._batches]

        def stacked(name: str) -> np.ndarray:
            return np.stack([np.stack([batch[name] for batch in fold]) for fold in drawn])

        content = {name: self._layout.lay_batches(stacked(name)) for name in _FIELDS}
        batches = jax.block_until_ready(self._layout.put(content))
        return Supply(batches, stacked("index"), positions, time.perf_counter())
