"""SIGTERM and Ctrl-C: training saves a checkpoint first, all other work stops at once.

Batch systems send SIGTERM some seconds before they kill (SLURM: KillWait, 30 s). The exit codes are those of a shell,
128 + the signal's number.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_RESEND_S = 0.05

_deferring = False
_requested: int | None = None


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
    _requested, original_hook = None, sys.unraisablehook

    def resend(unraisable: "sys.UnraisableHookArgs") -> None:
        """Send the signal again where Python drops its exception: in a destructor or a garbage collector's callback."""
        if isinstance(unraisable.exc_value, Stopped):
            timer = threading.Timer(_RESEND_S, os.kill, (os.getpid(), unraisable.exc_value.number))
            timer.daemon = True
            timer.start()
        else:
            original_hook(unraisable)

    sys.unraisablehook = resend
    handled = [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    original_handlers = {number: signal.signal(number, _on_signal) for number in handled}
    try:
        yield
    finally:
        for number, handler in original_handlers.items():
            signal.signal(number, handler)
        sys.unraisablehook = original_hook
        _requested = None


@contextlib.contextmanager
def defer_signals() -> Iterator[Callable[[], int | None]]:
    """Defer the first signal, so that the caller can save a checkpoint and then raise ``Stopped``.

    A second signal raises ``Stopped`` at once. If the first signal was noted and the caller did not raise, ``Stopped``
    is raised at the end of the block, unless another exception ends the block. It is raised at the beginning where the
    exception of an earlier signal was dropped (in a destructor, for example).

    Yields:
      A function that returns the number of the noted signal, or None.
    """
    global _deferring
    if _requested is not None:
        raise Stopped(_requested)
    _deferring = True
    try:
        yield lambda: _requested
    finally:
        _deferring = False
    if _requested is not None:
        raise Stopped(_requested)


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _requested
    repeated, _requested = _requested is not None, number
    if not _deferring or repeated:
        raise Stopped(number)
    print(f"\n{signal.Signals(number).name}: saving first; once more stops at once", file=sys.stderr, flush=True)
