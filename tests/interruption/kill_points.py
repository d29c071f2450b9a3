"""Points at which a run is killed, recognized by the files in its run directory alone."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

# In the order in which a run reaches them; the kill points of one run directory are used in this order.
TARGETS = (
    "data are being drawn or prepared",
    "a checkpoint is being written",
    "between two folds' checkpoints",
    "an old checkpoint is being removed",
    "predictions are being written",
    "right after a fold's result",
)
ANY = "any time"
_MIN_DURATION_S = 0.2  # about, of each target; an Orbax save took 0.15 to 0.2 s


@dataclass
class KillPoint:
    """A point at which to kill.

    Attributes:
      kind: One of ``TARGETS``, or ``ANY``.
      after: Fraction, 0 to 1, of its duration (for ``ANY``: of the remaining time of the run) at which to kill.
      number: Minimum number of folds with predictions or results.
    """

    kind: str
    after: float
    number: int = 1

    def has_come(self, run_dir: Path, since: float) -> bool:
        """Return whether the run is at this point; results of folds count if written after ``since``."""
        return _SEEN[self.kind](run_dir, self.number, since)

    def lasts_s(self, data_s: float) -> float:
        """Return the seconds within which to kill; ``data_s`` is the duration of the data preparation."""
        if self.kind == TARGETS[0]:
            return data_s
        return 0.0 if self.kind in (TARGETS[2], TARGETS[5]) else _MIN_DURATION_S


def draw(rng: Random, kind: str, folds: int) -> KillPoint:
    """Return a random kill point of a kind."""
    return KillPoint(kind, rng.random(), rng.randint(1, max(1, min(2, folds - 1))))


def steps(folder: Path) -> set[int]:
    """Return the steps of a fold's complete checkpoints, by the names of their folders."""
    return {int(name) for name in _names(folder / "checkpoints") if name.isdigit()}


def folds(run_dir: Path) -> list[Path]:
    """Return the folders of the folds that have started."""
    return [run_dir / "folds" / name for name in sorted(_names(run_dir / "folds"))]


def count(run_dir: Path, name: str, since: float = 0.0) -> int:
    """Return the number of folds with a file that was written after ``since``, in seconds as ``time.time``."""
    return sum(_written(folder / name) > since for folder in folds(run_dir))


def common_step(run_dir: Path) -> int:
    """Return the newest step of which every started fold without result has a checkpoint."""
    open_folds = [folder for folder in folds(run_dir) if not (folder / "result.json").exists()]
    return max(set.intersection(*map(steps, open_folds)), default=0) if open_folds else 0


def temporary_names(run_dir: Path) -> list[str]:
    """Return the names in the checkpoint folders that are not those of complete checkpoints."""
    return [
        f"{folder.name}/{name}"
        for folder in folds(run_dir)
        for name in _names(folder / "checkpoints")
        if not name.isdigit()
    ]


def describe(run_dir: Path) -> str:
    """Return the state of a killed run in a few words."""
    if not (run_dir / "data" / "prepared.json").exists():
        return "data not ready"
    started, newest = folds(run_dir), [max(steps(folder), default=0) for folder in folds(run_dir)]
    parts = [f"{len(started)} folds started"]
    if started:
        least, most = min(newest), max(newest)
        parts.append(
            f"step {most}" if least == most else f"step {most} of {newest.count(most)} folds, {least} of others"
        )
    parts += [f"temporary: {', '.join(temporary_names(run_dir))}"] if temporary_names(run_dir) else []
    for name in ("predictions.csv", "result.json"):
        parts += [f"{count(run_dir, name)} x {name}"] if count(run_dir, name) else []
    return ", ".join(parts)


def wait_for(point: KillPoint, run_dir: Path, ended: Callable[[], bool], within_s: float, data_s: float) -> bool:
    """Poll the files without pause until the kill point; return False if the run ended or the time was up before.

    Files that the previous start left look the same, so that they must have disappeared first. The kill comes at the
    latest at the end of the kill point.
    """
    since, end = time.time(), time.monotonic() + within_s
    cleared = False
    while time.monotonic() < end and not ended():
        now = point.has_come(run_dir, since)
        cleared = cleared or not now
        if now and cleared:
            let_pass = time.monotonic() + point.after * point.lasts_s(data_s)
            while time.monotonic() < let_pass and point.has_come(run_dir, since):
                time.sleep(0.0005)
            return not ended()
        time.sleep(0.0005)
    return False


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return -1.0


def _names(folder: Path) -> Sequence[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _data(run_dir: Path, _: int, __: float) -> bool:
    return not (run_dir / "data").exists() and any("data" in name for name in _names(run_dir))


def _saving(run_dir: Path, _: int, __: float) -> bool:
    return bool(temporary_names(run_dir))


def _between_saves(run_dir: Path, _: int, __: float) -> bool:
    newest = {max(steps(folder), default=0) for folder in folds(run_dir) if not (folder / "result.json").exists()}
    return len(newest) > 1 and not temporary_names(run_dir)


def _removing(run_dir: Path, _: int, __: float) -> bool:
    """Return whether there are more than two checkpoints, or a temporary one older than the newest."""

    def old(folder: Path) -> bool:
        begun = [name.split(".")[0] for name in _names(folder / "checkpoints") if not name.isdigit()]
        newest = max(steps(folder), default=0)
        return len(steps(folder)) > 2 or any(name.isdigit() and int(name) < newest for name in begun)

    return any(map(old, folds(run_dir)))


def _predicting(run_dir: Path, number: int, since: float) -> bool:
    return count(run_dir, "predictions.csv", since) >= number and not count(run_dir, "result.json", since)


def _results(run_dir: Path, number: int, since: float) -> bool:
    return count(run_dir, "result.json", since) >= number


_SEEN: dict[str, Callable[[Path, int, float], bool]] = dict(
    zip(TARGETS, (_data, _saving, _between_saves, _removing, _predicting, _results), strict=True)
)
