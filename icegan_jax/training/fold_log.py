"""A fold's logs, which a resumed run continues: metrics.jsonl has a line per call of the training program."""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from icegan_jax.evaluation.files import SEAL, sealed, sync, write_text

METRICS = "metrics.jsonl"


@contextlib.contextmanager
def open_log(folder: Path, step: int, name: str = METRICS) -> Iterator[TextIO]:
    """Opens a fold's log for appending, without what was logged after ``step``, half written or damaged.

    What is left out goes in one move: a process that is killed meanwhile leaves the log as it was, or without it.

    Raises:
      OSError: the log cannot be read or written, with its path.
    """
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.is_file() else b""
    kept = "".join(f"{line}\n" for line in before.decode("utf-8", errors="replace").split("\n") if _keeps(line, step))
    if kept.encode() != before or not path.is_file():
        write_text(path, kept)
    stream = path.open("a", encoding="utf-8", newline="")
    try:
        yield stream
    finally:
        with contextlib.suppress(OSError):  # of a line that could not be written, as ``append`` said
            stream.close()


def write_line(log: TextIO, step: int, epoch: float, values: Mapping[str, Any]) -> None:
    """Appends the line of a step: its numbers, rounded to six decimals; null for one that is not finite.

    Raises:
      OSError: as ``append``.
    """
    append(log, {"step": step, "epoch": round(epoch, 3), **{name: _number(value) for name, value in values.items()}})


def append(log: TextIO, entry: Mapping[str, Any]) -> None:
    """Appends an object as a line of its own, and hands it to the operating system.

    Raises:
      OSError: it cannot be written, such as on a full disk; with the log's path. A part of the line may be there, which
        ``open_log`` leaves out.
    """
    try:
        log.write(json.dumps(entry, allow_nan=False) + "\n")
        log.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, log.name) from error


def keep_logs(logs: Sequence[TextIO]) -> None:
    """Puts the lines so far on the disk: a checkpoint must not outlive what was logged before it.

    Raises:
      OSError: as ``append``.
    """
    for log in logs:
        try:
            sync(log.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, log.name) from error


def named(metrics: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """The same with ``..._length_negative`` for ``..._length_0``."""
    parts = {name: name.rpartition("_") for name in metrics}
    return {
        f"{head}_{classes[int(tail)]}" if tail.isdigit() else name: metrics[name]
        for name, (head, _, tail) in parts.items()
    }


def _keeps(line: str, step: int) -> bool:
    """Whether a line is of a step until ``step``, whole, and as it was sealed if it was."""
    try:
        entry = json.loads(line)
        if not isinstance(entry, dict) or not 0 < entry["step"] <= step:
            return False
    except (ValueError, TypeError, KeyError, RecursionError):  # no JSON, no step
        return False
    return sealed(entry) if SEAL in entry else all(isinstance(value, int | float | None) for value in entry.values())


def _number(value: Any) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
