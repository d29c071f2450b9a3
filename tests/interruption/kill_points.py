"""The moments at which a run is killed: what its run directory looks like while something is going on.

Seen from outside, in the names of the files alone: nothing of the program is asked.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

# The order in which a run comes to them: the moments of one run directory are taken in it.
TARGETS = (
    "data are being drawn or prepared",
    "a checkpoint is being written",
    "between two folds' checkpoints",
    "an old checkpoint is being removed",
    "predictions are being written",
    "right after a fold's result",
)
ANY = "any time"
_LEAST_SHARE_S = 0.2  # how long what was seen goes on at least, about: an Orbax save took 0.15 to 0.2 s


@dataclass
class Moment:
    """When to kill.

    Attributes:
      kind: one of ``TARGETS``, or ``ANY``.
      after: share, 0 to 1, of the time that it lasts (``ANY``: of the time that the run still needs) to let pass.
      number: of the folds' predictions or results that are there, at least.
    """

    kind: str
    after: float
    number: int = 1

    def has_come(self, run_dir: Path, since: float) -> bool:
        """Whether it is now, by the files; those of folds' results count where written after ``since``."""
        return _SEEN[self.kind](run_dir, self.number, since)

    def lasts_s(self, data_s: float) -> float:
        """Seconds within which the kill falls once the moment has come; ``data_s``: what drawing the data took."""
        if self.kind == TARGETS[0]:
            return data_s
        return 0.0 if self.kind in (TARGETS[2], TARGETS[5]) else _LEAST_SHARE_S


def draw(rng: Random, kind: str, folds: int) -> Moment:
    """A moment of a kind."""
    return Moment(kind, rng.random(), rng.randint(1, max(1, min(2, folds - 1))))


def steps(folder: Path) -> set[int]:
    """The steps of a fold's whole checkpoints, by the names of their folders."""
    return {int(name) for name in _names(folder / "checkpoints") if name.isdigit()}


def folds(run_dir: Path) -> list[Path]:
    """The folders of the folds that have begun."""
    return [run_dir / "folds" / name for name in sorted(_names(run_dir / "folds"))]


def count(run_dir: Path, name: str, since: float = 0.0) -> int:
    """In how many folds a file is there that was written after ``since``, seconds as ``time.time``."""
    return sum(_written(folder / name) > since for folder in folds(run_dir))


def common_step(run_dir: Path) -> int:
    """The newest step of which every fold that has begun and has no result has a checkpoint."""
    open_folds = [folder for folder in folds(run_dir) if not (folder / "result.json").exists()]
    return max(set.intersection(*map(steps, open_folds)), default=0) if open_folds else 0


def half_written(run_dir: Path) -> list[str]:
    """The entries in the folders of checkpoints that are no checkpoint's."""
    return [
        f"{folder.name}/{name}"
        for folder in folds(run_dir)
        for name in _names(folder / "checkpoints")
        if not name.isdigit()
    ]


def describe(run_dir: Path) -> str:
    """What a killed run had come to, in a few words."""
    if not (run_dir / "data" / "prepared.json").exists():
        return "data not ready"
    begun, newest = folds(run_dir), [max(steps(folder), default=0) for folder in folds(run_dir)]
    said = [f"{len(begun)} folds begun"]
    if begun:
        least, most = min(newest), max(newest)
        said.append(
            f"step {most}" if least == most else f"step {most} of {newest.count(most)} folds, {least} of others"
        )
    said += [f"half written: {', '.join(half_written(run_dir))}"] if half_written(run_dir) else []
    for name in ("predictions.csv", "result.json"):
        said += [f"{count(run_dir, name)} x {name}"] if count(run_dir, name) else []
    return ", ".join(said)


def wait_for(moment: Moment, run_dir: Path, over: Callable[[], bool], within_s: float, data_s: float) -> bool:
    """Watches the files as fast as it can; whether the moment came before ``over`` or the time was up.

    What the run before left behind looks the same: it must have been put away first. The kill comes at the latest
    when the moment is over.
    """
    since, end = time.time(), time.monotonic() + within_s
    cleared = False
    while time.monotonic() < end and not over():
        now = moment.has_come(run_dir, since)
        cleared = cleared or not now
        if now and cleared:
            let_pass = time.monotonic() + moment.after * moment.lasts_s(data_s)
            while time.monotonic() < let_pass and moment.has_come(run_dir, since):
                time.sleep(0.0005)
            return not over()
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
    return bool(half_written(run_dir))


def _between_saves(run_dir: Path, _: int, __: float) -> bool:
    newest = {max(steps(folder), default=0) for folder in folds(run_dir) if not (folder / "result.json").exists()}
    return len(newest) > 1 and not half_written(run_dir)


def _removing(run_dir: Path, _: int, __: float) -> bool:
    """More whole checkpoints than the newest two, or something unfinished of a step before the newest."""

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
