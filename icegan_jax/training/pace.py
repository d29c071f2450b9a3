"""How fast the devices go, and how long they wait for data."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import jax


class Pace:
    """Notes when each call of the training program ends, without holding up what starts the next one.

    Entered when the first call's data are on the devices and its program is compiled.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pace")
        self._free = 0.0  # when the devices had nothing left to do, by time.perf_counter, seconds

    def __enter__(self) -> "Pace":
        self._free = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)  # after Ctrl-C a call may go on for minutes

    def watch(self, outcome: Any) -> "Future[float]":
        """When a call's outcome, arrays that are still being computed, is there; seconds as ``perf_counter``."""
        return self._thread.submit(_when_there, outcome)

    def measure(self, ready: float, end: float) -> tuple[float, float]:
        """Of the next call, in order: seconds since the one before it ended, and how many of them went by without data.

        Args:
          ready: when the call's data were on the devices.
          end: when the call ended.
        """
        seconds, waiting = end - self._free, max(0.0, ready - self._free)
        self._free = end
        return seconds, waiting


def _when_there(outcome: Any) -> float:
    jax.block_until_ready(outcome)
    return time.perf_counter()
