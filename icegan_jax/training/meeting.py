"""What the processes of a run leave for each other in the run directory, its only place to meet.

    processes/run.json   the run's token, and which folds each process trains: written by process 0
    processes/<i>.json   sign of life of process i, written anew every other second

Nothing here depends on clocks of different machines agreeing: a process is lost whose sign of life has not changed
for a while by the watcher's own clock. And nobody trains a fold twice: a start takes over a run directory only when
no sign of life in it changes any more, and a process that finds its run directory taken over ends at once.
"""

import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from icegan_jax.errors import UserError
from icegan_jax.evaluation.files import write_json
from icegan_jax.training.processes import Processes, share

FOLDER = "processes"
_RUN = "run.json"
_BEAT_S = 2.0  # between two signs of life
_STILL_S = 10.0  # without one, before an earlier run that did not end by itself counts as dead
LOST_S = 60.0  # likewise for a process of the same run; a shared file system may show changes that much later
_POLL_S = 0.5
_LINE_S = 60.0
_RUNNING, _FINISHED, _STOPPED, _LOST = "running", "finished", "stopped", "lost"


class Meeting:
    """The place where the processes of one run meet; entered by every process after the roll call.

    Process 0 has called ``take`` before. Leaving it, by whatever way, tells the others.
    """

    def __init__(self, run_dir: Path, processes: Processes, lost_s: float = LOST_S) -> None:
        """``lost_s``: seconds without a sign of life after which another process counts as lost."""
        self._folder = run_dir / FOLDER
        self._processes = processes
        self._lost_s = lost_s
        self._token = ""
        self._mine: dict[str, Any] = {"state": _RUNNING, "host": socket.gethostname(), "pid": os.getpid()}
        self._over = threading.Event()
        self._beats = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Meeting":
        self._token = _content(self._folder / _RUN).get("token", "")
        self._beats.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._beats.join()
        reason = " ".join(str(error).split()) or kind.__name__ if kind else ""
        self._sign(_STOPPED if kind else _FINISHED, reason)

    def deal(self, names: Sequence[str]) -> list[str]:
        """Process 0: deals the unfinished folds out to all processes; returns its own."""
        shares = share(names, self._processes.count)
        write_json(self._folder / _RUN, {"token": self._token, "folds": shares})
        return shares[0]

    def wait_for_deal(self) -> list[str]:
        """Another process: waits until process 0 has prepared the data; returns the names of the folds to train.

        Raises:
          UserError: process 0 stopped or was lost, or works in another folder.
        """
        first = _Watch(self._folder / "0.json", self._lost_s)
        with _bar(f"{self._processes.name} waits for the data") as bar:
            while True:
                content = _content(self._folder / _RUN)
                if content.get("folds") is not None:
                    self._token = content["token"]
                    return list(content["folds"][self._processes.index])
                state = first.look()
                if state == _STOPPED:
                    raise UserError(f"process 0 stopped: {first.reason}")
                if state in (_LOST, _FINISHED):
                    raise UserError(
                        f"{self._folder}: process 0 shows no sign of life; --workdir must be one folder that all "
                        "processes share, and the same command begins anew"
                    )
                _pause(bar)

    def gather(self, unfinished: Callable[[], list[str]]) -> None:
        """Process 0, its own folds done: waits until the others have finished theirs.

        Args:
          unfinished: names the folds that are not finished yet.

        Raises:
          UserError: folds are missing, since processes stopped or were lost.
        """
        count = self._processes.count
        others = [_Watch(self._folder / f"{index}.json", self._lost_s) for index in range(1, count)]
        missing = unfinished()
        if not missing:
            return
        total = len(missing)
        with _bar(f"{self._processes.name} waits for the others' folds", total) as bar:
            while missing:
                states = [other.look() for other in others]
                missing = unfinished()  # looked up after the states: a process finishes its folds, then says so
                bar.n = total - len(missing)
                if missing and _RUNNING not in states:
                    ends = ", ".join(f"process {n} {end}" for n, end in enumerate(states, 1) if end != _FINISHED)
                    raise UserError(_missing(missing, ends or "trained by nobody"))
                _pause(bar)

    def leave(self, unfinished: Callable[[], list[str]]) -> None:
        """Another process, its own folds done: makes sure that process 0 is there to gather the results.

        Raises:
          UserError: process 0 stopped or was lost; its folds that are missing are named.
        """
        first = _Watch(self._folder / "0.json", self._lost_s)
        with _bar(f"{self._processes.name} looks for process 0") as bar:
            while (state := first.look()) == _RUNNING and not first.moved:
                _pause(bar)
        if state in (_STOPPED, _LOST):
            mine = set(unfinished())
            folds = _content(self._folder / _RUN).get("folds") or [[]]
            raise UserError(_missing([name for name in folds[0] if name in mine], f"process 0 {state}"))

    def _beat(self) -> None:
        """Shows signs of life until the meeting is over; ends the process when another run took the folder."""
        number = 0
        while True:
            token = _content(self._folder / _RUN).get("token", self._token)
            if self._token and token != self._token:
                print(f"error: {self._folder.parent}: taken over by a later run; this one ends", file=sys.stderr)
                sys.stderr.flush()
                os._exit(1)
            number += 1
            self._sign(_RUNNING, str(number))
            if self._over.wait(_BEAT_S):
                return

    def _sign(self, state: str, note: str) -> None:
        """Writes this process's file; a file system that fails for a while must not end the training."""
        try:
            write_json(self._folder / f"{self._processes.index}.json", self._mine | {"state": state, "note": note})
        except OSError:
            return


def take(run_dir: Path, lost_s: float = LOST_S) -> None:
    """Makes the run directory this run's own, before process 0 calls the roll.

    Where an earlier run did not end by itself, it looks for signs of life for ten seconds, ``lost_s`` at most.

    Raises:
      UserError: another run is at work there, or it cannot be written.
    """
    folder = run_dir / FOLDER
    watches = [_Watch(path, min(_STILL_S, lost_s)) for path in sorted(folder.glob("[0-9]*.json"))]
    if any(watch.look() == _RUNNING for watch in watches):
        with _bar(f"{run_dir}: is the run that began here still at work?") as bar:
            while _RUNNING in [watch.look() for watch in watches]:
                moved = [watch for watch in watches if watch.moved and watch.state == _RUNNING]
                if moved:
                    content = _content(moved[0].path)
                    who = f"process {moved[0].path.stem} on {content.get('host')}, pid {content.get('pid')}"
                    raise UserError(
                        f"{run_dir}: a run is at work there ({who}); let it end, or choose another --workdir"
                    )
                _pause(bar)
    try:
        write_json(folder / _RUN, {"token": uuid.uuid4().hex, "folds": None})
        for watch in watches:
            watch.path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{run_dir}: cannot be written ({error.strerror}); choose another --workdir") from None


class _Watch:
    """Looks at one process's sign of life.

    Only time that it looked on counts: where the watcher itself stood still, the other may have, too.
    """

    def __init__(self, path: Path, lost_s: float) -> None:
        self.path, self._lost_s = path, lost_s
        self._seen, self._looked, self._still_s = _content(path), time.monotonic(), 0.0
        self.state, self.reason, self.moved = _RUNNING, "", False

    def look(self) -> str:
        """``running``, ``finished``, ``stopped`` or, without a change for too long, ``lost``."""
        content, now = _content(self.path), time.monotonic()
        if content and content != self._seen:
            self._seen, self._still_s, self.moved = content, 0.0, True
        else:
            self._still_s += min(now - self._looked, 2 * _POLL_S)
        self._looked = now
        self.state, self.reason = self._seen.get("state", _RUNNING), self._seen.get("note", "")
        if self.state == _RUNNING and self._still_s > self._lost_s:
            self.state = _LOST
        return str(self.state)


def _missing(names: Sequence[str], why: str) -> str:
    if not names:
        return f"{why} before the results were gathered; the same command gathers them"
    folds = f"{len(names)} fold{'s' * (len(names) > 1)}"
    return f"{folds} missing ({why}): {', '.join(names)}; the same command, by any number of processes, trains the rest"


def _content(path: Path) -> dict[str, Any]:
    """A JSON file's content; empty where there is none, or none that can be read at this moment."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _bar(what: str, total: int | None = None) -> "tqdm[Any]":
    """A line that shows for how long something has been waited for; gone when that is over."""
    counted = " {n_fmt}/{total_fmt}" if total is not None else ""
    return tqdm(total=total, desc=what, bar_format="{desc}" + counted + " {elapsed}", leave=False, file=sys.stderr)


def _pause(bar: "tqdm[Any]") -> None:
    """Waits a moment; the line is drawn anew at once on a terminal, every minute in a file."""
    if sys.stderr.isatty() or time.time() - bar.last_print_t > _LINE_S:
        bar.last_print_t = time.time()
        bar.refresh()
    time.sleep(_POLL_S)
