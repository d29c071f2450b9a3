"""Harness of the fuzz tests: run a case under a time limit, check the outcome, and damage bytes."""

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
from tests.data.fuzz.command import TimeLimitExceeded, time_limit

LIMIT_S = 20  # a case takes a tenth of a second on an idle machine
MAX_MESSAGE = 1000  # characters


@dataclass
class CaseResult:
    """The outcome of a case.

    Attributes:
      kind: The change of the input.
      outcome: "accepted", "refused" or "broken".
      message: Of the refusal.
      violations: Failed requirements.
    """

    kind: str
    outcome: str = "accepted"
    message: str = ""
    violations: list[str] = field(default_factory=list)

    def require(self, holds: object, violation: str) -> None:
        """Record a violation unless the condition holds."""
        if not holds:
            self.violations.append(violation)

    def record_refusal(self, error: Exception, *named: str) -> None:
        """Record a refusal, which must be one line with one of the names."""
        self.outcome, self.message = "refused", str(error)
        self.require(self.message.isprintable() and self.message.strip(), f"not one line: {self.message!r}")
        self.require(len(self.message) <= MAX_MESSAGE, f"{len(self.message)} characters")
        self.require(any(name in self.message for name in named), f"names none of {named}: {self.message}")


Case = Callable[[random.Random, Path, CaseResult], None]


def run_case(case: Case, seed: str, folder: Path) -> CaseResult:
    """Run a case in an empty folder; the case depends on the seed alone."""
    result = CaseResult("")
    try:
        with _silent(result), time_limit(LIMIT_S), warnings.catch_warnings():
            warnings.simplefilter("error")
            case(random.Random(seed), folder, result)
    except TimeLimitExceeded:
        result.violations.append(f"more than {LIMIT_S} s: {_place()}")
    except UserError as error:
        result.violations.append(f"refused where nothing may be refused: {error}")
    except BaseException as error:
        result.violations.append(f"{type(error).__name__}: {str(error)[:200]}\n{traceback.format_exc()}")
    if result.violations:
        result.outcome = "broken"
    return result


def damage_bytes(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    """Return the kind of a random damage, and the damaged bytes."""
    kind = rng.choice(("flipped", "flipped", "truncated", "emptied", "zeros", "noise", "inserted", "doubled"))
    at = rng.randrange(len(data)) if data else 0
    if kind == "flipped":
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 3, 20))):
            if changed:
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return kind, bytes(changed)
    return kind, {
        "truncated": data[:at],
        "emptied": b"",
        "zeros": bytes(len(data)),
        "noise": rng.randbytes(rng.randrange(1, 400)),
        "inserted": data[:at] + rng.randbytes(rng.randrange(1, 20)) + data[at:],
        "doubled": data + data,
    }[kind]


@contextmanager
def _silent(result: CaseResult) -> Iterator[None]:
    """Record output to stderr, also of C libraries, as a violation: a refusal must be the only line."""
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
            result.require(not printed, f"prints {printed[:200]!r}")


def _place() -> str:
    return " ".join(traceback.format_exc().split())[-300:]
