"""SIGTERM and Ctrl-C: work that can be saved is saved first, everything else stops at once.

Batch systems send SIGTERM some seconds before they kill (SLURM: KillWait, 30 s); the exit codes are the shell's,
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
_AGAIN_S = 0.05

_deferring = False
_requested: int | None = None


class Stopped(BaseException):
    """Somebody stopped the program; nothing is wrong. Like KeyboardInterrupt, no ``except Exception`` holds it up."""

    def __init__(self, number: int, where: str = "") -> None:
        """Takes the signal's number and, where work was saved, the words that say how far it came."""
        self.number = number
        self.where = where
        how = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
        super().__init__(f"{how} {where}" if where else how)

    @property
    def code(self) -> int:
        """The exit code, 130 or 143."""
        return 128 + self.number


@contextlib.contextmanager
def handle_signals() -> Iterator[None]:
    """While entered, SIGTERM and Ctrl-C raise ``Stopped``; in a thread other than the first it changes nothing.

    A signal that is ignored stays so: a script's background job does not hear the terminal's Ctrl-C.
    """
    global _requested
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _requested, hook = None, sys.unraisablehook

    def not_lost(unraisable: "sys.UnraisableHookArgs") -> None:
        """In a destructor or the garbage collector's callback an exception leads nowhere: the signal comes again."""
        if isinstance(unraisable.exc_value, Stopped):
            again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), unraisable.exc_value.number))
            again.daemon = True
            again.start()
        else:
            hook(unraisable)

    sys.unraisablehook = not_lost
    heard = [number for number in _SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, _on_signal) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
        _requested = None


@contextlib.contextmanager
def defer_signals() -> Iterator[Callable[[], int | None]]:
    """While entered, the first signal is only noted: the caller asks, saves, and raises ``Stopped`` itself.

    Yields what tells the signal's number, or None so far. A second signal does raise. A signal that was noted and
    not acted upon raises ``Stopped`` on leaving, unless something else went wrong; one that came before, and whose
    exception was lost on the way (in a destructor, say), on entering.
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
    again, _requested = _requested is not None, number
    if not _deferring or again:
        raise Stopped(number)
    print(f"\n{signal.Signals(number).name}: saving first; once more stops at once", file=sys.stderr, flush=True)
