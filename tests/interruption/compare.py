"""Compare the results of two runs, read without the package that wrote them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import tensorstore

_TIMES = ("steps_per_s", "waiting_share")
_TEMPORARY = (".tmp", "-tmp", ".partial", ".replaced")  # parts of the names of temporary files


def folds(run_dir: Path) -> list[Path]:
    """Return the folders of the folds that have started."""
    return sorted((run_dir / "folds").glob("*"))


def contents(run_dir: Path) -> dict[str, str]:
    """Return digests of all results that must not depend on interruptions, by name.

    These are the bytes of predictions.csv and evaluations.jsonl, every array of synthesis.npz, the fold's log without
    its times, and every entry of the state in the fold's last checkpoint.
    """
    actual = {"predictions.csv": _digest((run_dir / "predictions.csv").read_bytes())}
    for folder in folds(run_dir):
        names = [name for name in ("predictions.csv", "evaluations.jsonl") if (folder / name).is_file()]
        actual |= {f"{folder.name}/{name}": _digest((folder / name).read_bytes()) for name in names}
        with np.load(folder / "synthesis.npz") as arrays:
            for name, array in arrays.items():
                actual[f"{folder.name}/{name}"] = _digest(str((array.dtype, array.shape)).encode() + array.tobytes())
        actual[f"{folder.name}/metrics.jsonl"] = _digest(_log(folder / "metrics.jsonl").encode())
        actual |= {f"{folder.name}/{name}": value for name, value in last_state(folder).items()}
    return actual


def last_state(folder: Path) -> dict[str, str]:
    """Return digests of the state in a fold's last checkpoint (Orbax's OCDBT) by key: arrays and their metadata."""
    last = max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name))
    entries = tensorstore.KvStore.open(f"file://{last.absolute()}/state/|ocdbt:").result()
    return {f"state {key.decode()}": _digest(entries.read(key).result().value) for key in entries.list().result()}


def differences(actual: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Return the names of digests that differ or are missing in one run."""
    return sorted(name for name in actual.keys() | expected.keys() if actual.get(name) != expected.get(name))


def leftovers(run_dir: Path) -> list[str]:
    """Return temporary files and folders, which a finished run must not have."""
    return [
        str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if any(part in path.name for part in _TEMPORARY)
    ]


def _log(path: Path) -> str:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return json.dumps([{name: line[name] for name in line if name not in _TIMES} for line in lines])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
