"""What every kind of fuzzed input shares: a verdict, a time limit, and damage to bytes."""

import os
import random
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from icegan_jax.errors import UserError
from tests.data.fuzz.running import Hang, limited

LIMIT = 20  # seconds; a case takes a tenth of one on an idle machine
LONGEST = 1000  # characters of a message


@dataclass
class Verdict:
    """What became of a case.

    Attributes:
        kind: what was done to the input.
        outcome: "accepted", "refused", or "broken".
        message: the refusal.
        breaches: what a case must not do; none where all is well.
    """

    kind: str
    outcome: str = "accepted"
    message: str = ""
    breaches: list[str] = field(default_factory=list)

    def must(self, holds: object, breach: str) -> None:
        if not holds:
            self.breaches.append(breach)

    def refused(self, error: Exception, *named: str) -> None:
        """Notes a refusal, which must be one line that names one of these."""
        self.outcome, self.message = "refused", str(error)
        self.must(self.message.isprintable() and self.message.strip(), f"not one line: {self.message!r}")
        self.must(len(self.message) <= LONGEST, f"{len(self.message)} characters")
        self.must(any(name in self.message for name in named), f"names none of {named}: {self.message}")


Case = Callable[[random.Random, Path, Verdict], None]


def judged(case: Case, seed: str, folder: Path) -> Verdict:
    """Runs a case in an empty folder; all of it depends on the seed alone."""
    verdict = Verdict("")
    try:
        with _silent(verdict), limited(LIMIT), warnings.catch_warnings():
            warnings.simplefilter("error")
            case(random.Random(seed), folder, verdict)
    except Hang:
        verdict.breaches.append(f"more than {LIMIT} s: {_place()}")
    except UserError as error:
        verdict.breaches.append(f"refused where nothing may be refused: {error}")
    except BaseException as error:
        verdict.breaches.append(f"{type(error).__name__}: {str(error)[:200]}\n{traceback.format_exc()}")
    if verdict.breaches:
        verdict.outcome = "broken"
    return verdict


def damaged(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    """Bytes with something wrong, and what."""
    what = rng.choice(("flipped", "flipped", "truncated", "emptied", "zeros", "noise", "inserted", "doubled"))
    at = rng.randrange(len(data)) if data else 0
    if what == "flipped":
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 3, 20))):
            if changed:
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return what, bytes(changed)
    return what, {
        "truncated": data[:at],
        "emptied": b"",
        "zeros": bytes(len(data)),
        "noise": rng.randbytes(rng.randrange(1, 400)),
        "inserted": data[:at] + rng.randbytes(rng.randrange(1, 20)) + data[at:],
        "doubled": data + data,
    }[what]


@contextmanager
def _silent(verdict: Verdict) -> Iterator[None]:
    """What is printed to stderr, by C libraries too, is a breach: the line of a refusal would not stand alone."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            printed = file.read().decode("utf-8", "replace").strip()
            verdict.must(not printed, f"prints {printed[:200]!r}")


def _place() -> str:
    return " ".join(traceback.format_exc().split())[-300:]
