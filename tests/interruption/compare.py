"""What a run comes to, read without the program that wrote it, and how two runs differ."""

import hashlib
import json
from pathlib import Path

import numpy as np
import tensorstore

from tests.interruption.kill_points import folds, half_written, steps

_TIMES = ("steps_per_s", "waiting_share")
# In the names of what is written before it is put in place; and a kill damages no checkpoint.
_TEMPORARY = (".tmp", ".partial", ".replaced", ".lock", ".unfinished", "damaged")


def contents(run_dir: Path) -> dict[str, str]:
    """Digests of all that may not depend on interruptions, by name.

    predictions.csv and every fold's byte by byte; every array of synthesis.npz; the fold's log without its times;
    everything that the fold's last checkpoint stores of its state.
    """
    found = {"predictions.csv": _digest((run_dir / "predictions.csv").read_bytes())}
    for folder in folds(run_dir):
        found[f"{folder.name}/predictions.csv"] = _digest((folder / "predictions.csv").read_bytes())
        with np.load(folder / "synthesis.npz") as sheet:
            for name in sheet.files:
                array = sheet[name]
                found[f"{folder.name}/{name}"] = _digest(str((array.dtype, array.shape)).encode() + array.tobytes())
        found[f"{folder.name}/metrics.jsonl"] = _digest(_log(folder / "metrics.jsonl").encode())
        found |= {f"{folder.name}/{name}": value for name, value in last_state(folder).items()}
    return found


def last_state(folder: Path) -> dict[str, str]:
    """Digests of what a fold's last checkpoint stores of its state (Orbax's OCDBT), by key: arrays and their forms."""
    store = folder / "checkpoints" / str(max(steps(folder))) / "state"
    entries = tensorstore.KvStore.open(f"file://{store.absolute()}/|ocdbt:").result()
    return {f"state {key.decode()}": _digest(entries.read(key).result().value) for key in entries.list().result()}


def differences(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """The names of what differs, or is there in one run only."""
    return sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))


def leftovers(run_dir: Path) -> list[str]:
    """Temporary files and folders, which no run that has ended may leave."""
    left = [
        str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if any(mark in path.name for mark in _TEMPORARY)
    ]
    return left + [name for name in half_written(run_dir) if not any(mark in name for mark in _TEMPORARY)]


def _log(path: Path) -> str:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return json.dumps([{name: line[name] for name in line if name not in _TIMES} for line in lines])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
