"""Run the command prepare in this process, with a time limit, and collect its output."""

import io
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from icegan_jax import prepare

# Seconds that a run on the small tree may take; it takes less than one on an idle machine.
TIME_LIMIT = 60


class TimeLimitExceeded(BaseException):
    """The time limit was exceeded; no ``except Exception`` catches this."""


@dataclass(frozen=True)
class CommandResult:
    """The result of a run of the command.

    Attributes:
        code: the exit code; None after an exception.
        out: stdout.
        err: stderr, of C libraries too.
        crash: the traceback of an exception, or "hang".
    """

    code: int | None
    out: str
    err: str
    crash: str

    @property
    def lines(self) -> list[str]:
        """The lines of stderr, but for the progress bar's."""
        lines = self.err.replace("\r", "\n").split("\n")
        return [line for line in lines if line.strip() and not line.startswith(("faces: ", "frames: "))]


def run_prepare(arguments: Sequence[str]) -> CommandResult:
    """Run ``python -m icegan_jax.prepare`` with these arguments."""
    code, crash = None, ""
    with _captured(1) as out, _captured(2) as err, warnings.catch_warnings(), time_limit(TIME_LIMIT):
        warnings.simplefilter("default")  # as outside of tests
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        try:
            code = prepare.main(list(arguments))
        except TimeLimitExceeded:
            crash = f"hang: more than {TIME_LIMIT} s\n{traceback.format_exc()}"
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            crash = traceback.format_exc()
    return CommandResult(code, out[0], err[0], crash)


@contextmanager
def _captured(number: int) -> Iterator[list[str]]:
    """Collect what is written to a file descriptor, by Python or not; the list holds the text at the end."""
    text: list[str] = []
    name = {1: "stdout", 2: "stderr"}[number]
    before = getattr(sys, name)
    before.flush()
    kept = os.dup(number)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), number)
        stream = io.TextIOWrapper(os.fdopen(os.dup(number), "wb", 0), encoding="utf-8", write_through=True)
        setattr(sys, name, stream)
        try:
            yield text
        finally:
            stream.close()
            setattr(sys, name, before)
            os.dup2(kept, number)
            os.close(kept)
            file.seek(0)
            text.append(file.read().decode("utf-8", "replace"))


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise ``TimeLimitExceeded`` where the block takes longer."""

    def over(number: int, frame: FrameType | None) -> None:
        raise TimeLimitExceeded

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
