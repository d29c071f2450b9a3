"""A fold's logs, which a resumed run continues: metrics.jsonl has a line per call of the training program."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

METRICS = "metrics.jsonl"


@contextlib.contextmanager
def open_log(folder: Path, step: int, name: str = METRICS) -> Iterator[TextIO]:
    """Opens a fold's log for appending, without what was logged after ``step``, half written or damaged."""
    path = folder / name
    kept = []
    if step and path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError):  # no JSON, no object, no step
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(kept))
    with path.open("a") as stream:
        yield stream


def write_line(log: TextIO, step: int, epoch: float, values: Mapping[str, Any]) -> None:
    """Appends the line of a step: its numbers, rounded to six decimals."""
    line = {name: round(float(value), 6) for name, value in values.items()}
    log.write(json.dumps({"step": step, "epoch": round(epoch, 3), **line}) + "\n")
    log.flush()


def named(metrics: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """The same with ``..._length_negative`` for ``..._length_0``."""
    parts = {name: name.rpartition("_") for name in metrics}
    return {
        f"{head}_{classes[int(tail)]}" if tail.isdigit() else name: metrics[name]
        for name, (head, _, tail) in parts.items()
    }
