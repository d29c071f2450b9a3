"""The batches of a group of folds, prepared one call ahead of the training, and the time that the calls take.

Axis letters: r device, f fold on a device, g fold of the group, s step of a call, b batch.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple

import jax
import numpy as np

from icegan_jax.training.parallel import FoldLayout


class PrefetchedBatches(NamedTuple):
    """The data of one call of the training program.

    Attributes:
      batches: arrays [r, f, s, b, ...] on the devices; faces are uint8, a quarter of the bytes of float32.
      indices: int32[g, s, b] on the host, the indices of the prepared pairs.
      positions: the state of each fold's iterator after these batches.
      ready: when all arrays were on the devices, seconds of ``time.perf_counter``.
    """

    batches: dict[str, jax.Array]
    indices: np.ndarray
    positions: list[dict[str, Any]]
    ready: float


class Prefetcher:
    """A thread that prepares the batches of the next call while the devices compute the present call."""

    def __init__(self, iterators: Sequence[Any], calls: Sequence[int], layout: FoldLayout) -> None:
        """Create the prefetcher; entering the context starts the thread.

        Args:
          iterators: the data iterator of each fold of the group.
          calls: the number of batches of each call.
          layout: which fold is on which device.
        """
        self._iterators = iterators
        self._calls: Iterator[int] = iter(calls)
        self._layout = layout
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._next: Future[PrefetchedBatches] | None = None

    def __enter__(self) -> "Prefetcher":
        self._submit()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def take(self) -> PrefetchedBatches | None:
        """Return the batches of the next call, and start preparing those of the call after it; None after the last.

        Raises:
          Exception: the error of the thread, if its work failed.
        """
        if self._next is None:
            return None
        prefetched = self._next.result()
        self._submit()
        return prefetched

    def _submit(self) -> None:
        steps = next(self._calls, None)
        self._next = None if steps is None else self._thread.submit(self._prepare, steps)

    def _prepare(self, steps: int) -> PrefetchedBatches:
        drawn = [[next(iterator) for _ in range(steps)] for iterator in self._iterators]
        # The positions are read here: later the thread is one call ahead, and a checkpoint would skip that call.
        positions = [iterator.get_state() for iterator in self._iterators]

        def stack(name: str) -> np.ndarray:
            return np.stack([np.stack([batch[name] for batch in fold]) for fold in drawn])

        fields = drawn[0][0].keys() - {"index"}
        content = {name: self._layout.shard_batches(stack(name)) for name in sorted(fields)}
        batches = jax.block_until_ready(self._layout.device_put(content))
        return PrefetchedBatches(batches, stack("index"), positions, time.perf_counter())


class CallTimer:
    """Timer of the calls of the training program, which does not delay the start of the next call.

    The context is entered when the data of the first call are on the devices and its program is compiled.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="call_timer")
        self._idle_since = 0.0  # when the devices had finished all calls so far, seconds of ``time.perf_counter``

    def __enter__(self) -> "CallTimer":
        self._idle_since = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)  # after Ctrl-C the present call may take minutes

    def watch(self, outputs: Any) -> "Future[float]":
        """Return the time at which the outputs of a call will be computed, seconds of ``time.perf_counter``."""
        return self._thread.submit(_completion_time, outputs)

    def measure(self, ready: float, end: float) -> tuple[float, float]:
        """Compute the duration of a call; the method is used once for each call, in their order.

        Args:
          ready: when the data of the call were on the devices.
          end: when the call ended.

        Returns:
          The seconds since the call before ended, and the part of these seconds in which the devices had no data.
        """
        seconds, waiting = end - self._idle_since, max(0.0, ready - self._idle_since)
        self._idle_since = end
        return seconds, waiting


def _completion_time(outputs: Any) -> float:
    jax.block_until_ready(outputs)
    return time.perf_counter()
