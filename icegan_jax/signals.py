"""SIGTERM and Ctrl-C: training saves a checkpoint first, all other work stops at once.

Batch systems send SIGTERM some seconds before they kill (SLURM: KillWait, 30 s). The exit codes are those of a shell,
128 + the signal's number.
"""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_requested: int | None = None  # the signal that arrived
_is_delayed = False


class Stopped(BaseException):
    """The program was stopped by a signal. As with KeyboardInterrupt, no ``except Exception`` catches it.

    Attributes:
      number: The number of the signal.
      saved: Words that name the saved checkpoint; empty where nothing was saved.
    """

    def __init__(self, number: int, saved: str = "") -> None:
        self.number = number
        self.saved = saved
        reason = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
        super().__init__(f"{reason} {saved}" if saved else reason)

    @property
    def code(self) -> int:
        """The exit code, 130 or 143."""
        return 128 + self.number


@contextlib.contextmanager
def handle_signals() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C raise ``Stopped``; without effect in another thread than the main one.

    A signal that is ignored remains ignored, such as Ctrl-C in a background job of a script.
    """
    global _requested
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _requested = None
    handled = [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    original_handlers = {number: signal.signal(number, _on_signal) for number in handled}
    try:
        yield
    finally:
        for number, handler in original_handlers.items():
            signal.signal(number, handler)
        _requested = None


@contextlib.contextmanager
def delay_signals() -> Iterator[None]:
    """Let the first signal set the flag that ``requested_signal`` reads; a second signal raises ``Stopped`` at once.

    ``Stopped`` is raised at the end of the block if the flag is set, unless another exception ends the block.
    """
    global _is_delayed
    _is_delayed = True
    try:
        yield
    finally:
        _is_delayed = False
    if _requested is not None:
        raise Stopped(_requested)


def requested_signal() -> int | None:
    """Return the number of the signal that arrived in ``delay_signals``, or None."""
    return _requested


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _requested
    is_second, _requested = _requested is not None, number
    if not _is_delayed or is_second:
        raise Stopped(number)
    print(f"\n{signal.Signals(number).name}: saving first; once more stops at once", file=sys.stderr, flush=True)
