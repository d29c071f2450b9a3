"""What the processes of a run leave for each other in the run directory, its only place to meet.

    processes/lock       held by process 0, see ``lock``
    processes/run.json   the run's token, and which folds each process trains: written by process 0
    processes/<i>.json   sign of life of process i, written anew every other second, see ``signs``

Nobody trains a fold twice: a start takes over a run directory only when it has the lock and no sign of life in it
changes any more, and a process that finds its run directory taken over ends at once.
"""

import contextlib
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from icegan_jax.errors import UserError
from icegan_jax.evaluation.files import write_json
from icegan_jax.training import signs
from icegan_jax.training.lock import locked, unwritable
from icegan_jax.training.processes import Processes, share
from icegan_jax.training.signs import FINISHED, LOST, RUNNING, STOPPED, Watch, content_of

FOLDER = "processes"
LOCK = "lock"
_RUN = "run.json"
_BEAT_S = 2.0  # between two signs of life
_STILL_S = 10.0  # without one, before an earlier run that did not end by itself counts as dead
LOST_S = 60.0  # likewise for a process of the same run; a shared file system may show changes that much later
_LINE_S = 60.0


class Meeting:
    """The place where the processes of one run meet; entered by every process after the roll call.

    Process 0 does so within ``take``. Leaving it, by whatever way, tells the others.
    """

    def __init__(self, run_dir: Path, processes: Processes, lost_s: float = LOST_S, token: str = "") -> None:
        """What the meeting needs to know.

        Args:
          lost_s: seconds without a sign of life after which another process counts as lost.
          token: of process 0, what ``take`` gave it.
        """
        self._folder = run_dir / FOLDER
        self._processes = processes
        self._lost_s = lost_s
        self._token = token
        self._mine: dict[str, Any] = signs.myself()
        self._over = threading.Event()
        self._beats = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Meeting":
        self._token = self._token or content_of(self._folder / _RUN).get("token", "")
        self._beats.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._beats.join()
        reason = " ".join(str(error).split()) or kind.__name__ if kind else ""
        self._sign(STOPPED if kind else FINISHED, reason)

    def deal(self, names: Sequence[str]) -> list[str]:
        """Process 0: deals the unfinished folds out to all processes; returns its own.

        Raises:
          UserError: the run directory cannot be written.
        """
        shares = share(names, self._processes.count)
        try:
            write_json(self._folder / _RUN, {"token": self._token, "folds": shares})
        except OSError as error:
            raise unwritable(self._folder.parent, error) from None
        return shares[0]

    def wait_for_deal(self) -> list[str]:
        """Another process: waits until process 0 has prepared the data; returns the names of the folds to train.

        Raises:
          UserError: process 0 stopped or was lost, or works in another folder.
        """
        first = Watch(self._folder / "0.json", self._lost_s)
        with _bar(f"{self._processes.name} waits for the data") as bar:
            while True:
                content = content_of(self._folder / _RUN)
                if content.get("folds") is not None:
                    self._token = content["token"]
                    return list(content["folds"][self._processes.index])
                state = first.look()
                if state == STOPPED:
                    raise UserError(f"process 0 stopped: {first.reason}")
                if state in (LOST, FINISHED):
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
        others = [Watch(self._folder / f"{index}.json", self._lost_s) for index in range(1, count)]
        missing = unfinished()
        if not missing:
            return
        total = len(missing)
        with _bar(f"{self._processes.name} waits for the others' folds", total) as bar:
            while missing:
                states = [other.look() for other in others]
                missing = unfinished()  # looked up after the states: a process finishes its folds, then says so
                bar.n = total - len(missing)
                if missing and RUNNING not in states:
                    ends = ", ".join(f"process {n} {end}" for n, end in enumerate(states, 1) if end != FINISHED)
                    raise UserError(_missing(missing, ends or "trained by nobody"))
                _pause(bar)

    def leave(self, unfinished: Callable[[], list[str]]) -> None:
        """Another process, its own folds done: makes sure that process 0 is there to gather the results.

        Raises:
          UserError: process 0 stopped or was lost; its folds that are missing are named.
        """
        first = Watch(self._folder / "0.json", self._lost_s)
        with _bar(f"{self._processes.name} looks for process 0") as bar:
            while (state := first.look()) == RUNNING and not first.moved:
                _pause(bar)
        if state in (STOPPED, LOST):
            mine = set(unfinished())
            folds = content_of(self._folder / _RUN).get("folds") or [[]]
            raise UserError(_missing([name for name in folds[0] if name in mine], f"process 0 {state}"))

    def _beat(self) -> None:
        """Shows signs of life until the meeting is over; ends the process when another run took the folder."""
        number = 0
        while True:
            token = content_of(self._folder / _RUN).get("token", self._token)
            if self._token and token != self._token:
                print(f"error: {self._folder.parent}: taken over by a later run; this one ends", file=sys.stderr)
                sys.stderr.flush()
                os._exit(1)
            number += 1
            self._sign(RUNNING, str(number))
            if self._over.wait(_BEAT_S):
                return

    def _sign(self, state: str, note: str) -> None:
        """Writes this process's file; a file system that fails for a while must not end the training.

        Not with ``write_json``, which waits for the disk: that may take long beside checkpoints, and a sign of life
        need not outlast a power cut.
        """
        path = self._folder / f"{self._processes.index}.json"
        temporary = path.with_name(f".{path.name}.tmp")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(self._mine | {"state": state, "note": note}), encoding="utf-8")
            os.replace(temporary, path)


@contextlib.contextmanager
def take(run_dir: Path, lost_s: float = LOST_S) -> Iterator[str]:
    """Makes the run directory this run's own as long as the block lasts, before process 0 calls the roll.

    Another run on this machine is found by its lock, at once. For one on another machine, or on a file system without
    locks, and for processes that an earlier run left behind, it looks for signs of life for ten seconds, ``lost_s`` at
    most; not for those of processes that are dead for certain, or that ended by themselves.

    Yields:
      The run's token. Where there are no locks, of two runs that come at the same moment the one ends whose token is
      no longer in the folder.

    Raises:
      UserError: another run is at work there, or it cannot be written.
    """
    folder, token = run_dir / FOLDER, uuid.uuid4().hex
    with locked(run_dir, folder / LOCK):
        watches = [Watch(path, min(_STILL_S, lost_s)) for path in sorted(folder.glob("[0-9]*.json"))]
        _wait_for_an_end(run_dir, watches)
        try:
            write_json(folder / _RUN, {"token": token, "folds": None})
            for watch in watches:
                watch.path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(run_dir, error) from None
        yield token


def _wait_for_an_end(run_dir: Path, watches: Sequence[Watch]) -> None:
    """Waits until nobody who left a sign of life can still be at work; refuses where somebody is."""
    if not any(watch.look() == RUNNING for watch in watches):
        return
    with _bar(f"{run_dir}: is the run that began here still at work?") as bar:
        while RUNNING in [watch.look() for watch in watches]:
            moved = [watch for watch in watches if watch.moved and watch.state == RUNNING]
            if moved:
                content = content_of(moved[0].path)
                who = f"process {moved[0].path.stem} on {content.get('host')}, pid {content.get('pid')}"
                raise UserError(f"{run_dir}: a run is at work there ({who}); let it end, or choose another --workdir")
            _pause(bar)


def _missing(names: Sequence[str], why: str) -> str:
    if not names:
        return f"{why} before the results were gathered; the same command gathers them"
    folds = f"{len(names)} fold{'s' * (len(names) > 1)}"
    return f"{folds} missing ({why}): {', '.join(names)}; the same command, by any number of processes, trains the rest"


def _bar(what: str, total: int | None = None) -> "tqdm[Any]":
    """A line that shows for how long something has been waited for; gone when that is over."""
    counted = " {n_fmt}/{total_fmt}" if total is not None else ""
    return tqdm(total=total, desc=what, bar_format="{desc}" + counted + " {elapsed}", leave=False, file=sys.stderr)


def _pause(bar: "tqdm[Any]") -> None:
    """Waits a moment; the line is drawn anew at once on a terminal, every minute in a file."""
    if sys.stderr.isatty() or time.time() - bar.last_print_t > _LINE_S:
        bar.last_print_t = time.time()
        bar.refresh()
    time.sleep(signs.POLL_S)
