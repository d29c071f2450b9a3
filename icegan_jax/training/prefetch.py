"""How fast the devices go, and how long they wait for data.

The batches of a group of folds, drawn and copied to the devices by a thread, a call ahead of the training.

Axis letters as in ``layout``.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple

import jax
import numpy as np

from icegan_jax.training.parallel import FoldLayout


class CallTimer:
    """Notes when each call of the training program ends, without holding up what starts the next one.

    Entered when the first call's data are on the devices and its program is compiled.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pace")
        self._free = 0.0  # when the devices had nothing left to do, by time.perf_counter, seconds

    def __enter__(self) -> "CallTimer":
        self._free = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)  # after Ctrl-C a call may go on for minutes

    def watch(self, outcome: Any) -> "Future[float]":
        """When a call's outcome, arrays that are still being computed, is there; seconds as ``perf_counter``."""
        return self._thread.submit(_completion_time, outcome)

    def measure(self, ready: float, end: float) -> tuple[float, float]:
        """Of the next call, in order: seconds since the one before it ended, and how many of them went by without data.

        Args:
          ready: when the call's data were on the devices.
          end: when the call ended.
        """
        seconds, waiting = end - self._free, max(0.0, ready - self._free)
        self._free = end
        return seconds, waiting


def _completion_time(outcome: Any) -> float:
    jax.block_until_ready(outcome)
    return time.perf_counter()


_FIELDS = ("onset", "apex", "label")


class PrefetchedBatches(NamedTuple):
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


class Prefetcher:
    """Hands out one ``Supply`` after another; the next one is prepared while the devices work on this one.

    Faces go over the bus as uint8. An error of the thread is raised by ``take``.
    """

    def __init__(self, batches: Sequence[Any], steps: int, calls: int, layout: FoldLayout) -> None:
        """``batches``: an iterator per fold. ``steps``: batches a call. ``calls``: how many there will be."""
        self._batches = batches
        self._steps = steps
        self._left = calls
        self._layout = layout
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._next: Future[PrefetchedBatches] | None = None

    def __enter__(self) -> "Prefetcher":
        self._order()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def take(self) -> PrefetchedBatches | None:
        """Waits for the next supply, if need be, and has the one after it prepared; None after the last."""
        if self._next is None:
            return None
        prefetched = self._next.result()
        self._order()
        return prefetched

    def _order(self) -> None:
        self._next = self._thread.submit(self._prepare) if self._left else None
        self._left -= 1

    def _prepare(self) -> PrefetchedBatches:
        drawn = [[next(iterator) for _ in range(self._steps)] for iterator in self._batches]
        positions = [iterator.get_state() for iterator in self._batches]

        def stacked(name: str) -> np.ndarray:
            return np.stack([np.stack([batch[name] for batch in fold]) for fold in drawn])

        content = {name: self._layout.shard_batches(stacked(name)) for name in _FIELDS}
        batches = jax.block_until_ready(self._layout.device_put(content))
        return PrefetchedBatches(batches, stacked("index"), positions, time.perf_counter())
