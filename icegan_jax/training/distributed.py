"""Which of several processes this one is (by hand, SLURM, Open MPI), and their roll call before the start.

Folds are independent trainings: the processes share a run directory and exchange nothing else. ``jax.distributed``
serves the roll call, then nobody belongs to it any more. Within it, jax ends every process when one is lost, and
all of them whenever process 0 is, whatever the settings (jax's page "Fault Tolerant Distributed JAX"); only process
0 writes the compilation cache; Orbax makes each checkpoint wait for everybody; and a GPU program's compilation
shares its measurements among the processes. Outside of it each process is a jax of its own, on its own devices.

What the processes of a run leave for each other in the run directory, its only place to meet.

    processes/lock       held by process 0, see ``lock``
    processes/run.json   the run's token, and which folds each process trains: written by process 0
    processes/<i>.json   sign of life of process i, written anew every other second, see ``signs``

Nobody trains a fold twice: a start takes over a run directory only when it has the lock and no sign of life in it
changes any more, and a process that finds its run directory taken over ends at once.
"""

import contextlib
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
from tqdm import tqdm

from icegan_jax import locks
from icegan_jax.errors import UserError
from icegan_jax.io import write_json
from icegan_jax.locks import FINISHED, LOST, RUNNING, STOPPED, ProcessMonitor, not_writable_error, read_status, run_lock

START_TIMEOUT_S = 300  # jax's own limit for all processes to come

_PORTS = (61440, 4096)  # first and number of the ephemeral ports among which jax picks one too


@dataclass(frozen=True)
class Processes:
    """This process among those of the run.

    Attributes:
      index: 0 to count - 1; process 0 prepares the data, deals out the folds and gathers the results.
      count: of the processes.
      coordinator: ``host:port`` of process 0; empty where jax finds it by itself.
      gpu: number of the one GPU that is left to this process; None leaves it all that it sees.
      here: how many of the processes share this machine; all of them where nobody tells.
    """

    index: int = 0
    count: int = 1
    coordinator: str = ""
    gpu: int | None = None
    here: int = 1

    @property
    def name(self) -> str:
        """Such as ``process 0 of 2``."""
        return f"process {self.index} of {self.count}"


def find_processes(
    environment: Mapping[str, str],
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> Processes:
    """Tells which process this is: by the three arguments, or by what mpirun or srun left in the environment.

    A plain shell, also one inside a SLURM allocation, is a single process.

    Raises:
      UserError: only some of the arguments are given, they are out of range, or a launcher's variables are odd.
    """
    given = {"--coordinator": coordinator, "--num_processes": num_processes, "--process_id": process_id}
    missing = [flag for flag, value in given.items() if value is None]
    if len(missing) < len(given):
        if missing:
            raise UserError(f"{' and '.join(missing)}: missing; give all of {', '.join(given)}, or none")
        assert coordinator is not None and num_processes is not None and process_id is not None
        return _by_hand(coordinator, num_processes, process_id)
    try:
        if "OMPI_COMM_WORLD_SIZE" in environment:  # before SLURM: mpirun starts its ranks inside a job step
            return _open_mpi(environment)
        # Of the job step: SLURM_NTASKS is set in the shell of salloc and sbatch too, where nobody else would come.
        if "SLURM_STEP_NUM_TASKS" in environment:
            return _slurm(environment)
    except (KeyError, ValueError) as error:
        raise UserError(
            f"the launcher's environment variables cannot be read ({error}); give {', '.join(given)}"
        ) from None
    return Processes()


def _by_hand(coordinator: str, count: int, index: int) -> Processes:
    if count < 1:
        raise UserError(f"--num_processes={count}: must be 1 or more")
    if not 0 <= index < count:
        raise UserError(f"--process_id={index}: must be 0 to {count - 1}, of --num_processes={count}")
    address = re.fullmatch(r"(?:\[[0-9a-fA-F:]+\]|[^\s:]+):(\d{1,5})", coordinator)
    if not address or not 0 < int(address[1]) < 65536:
        raise UserError(
            f"--coordinator={coordinator}: must be HOST:PORT, a machine's name and a free port of process 0"
        )
    return Processes(index, count, coordinator, here=count)


def _open_mpi(environment: Mapping[str, str]) -> Processes:
    """Open MPI 4 tells jax where the first process is; 5 does not (jax issue 14576)."""
    index, count = int(environment["OMPI_COMM_WORLD_RANK"]), int(environment["OMPI_COMM_WORLD_SIZE"])
    here = int(environment["OMPI_COMM_WORLD_LOCAL_SIZE"])
    if count == 1:
        return Processes()
    coordinator = ""
    if not {"JAX_COORDINATOR_ADDRESS", "OMPI_MCA_orte_hnp_uri"} & environment.keys():
        if here < count:
            raise UserError(
                "Open MPI 5 does not tell where process 0 runs; add -x JAX_COORDINATOR_ADDRESS=HOST:PORT to mpirun, "
                "the machine of rank 0 and a free port on it"
            )
        first, number = _PORTS
        coordinator = f"127.0.0.1:{first + zlib.crc32(environment.get('PMIX_NAMESPACE', '').encode()) % number}"
    local = int(environment["OMPI_COMM_WORLD_LOCAL_RANK"])
    return Processes(index, count, coordinator, _own_gpu(environment, local, here), here)


def _slurm(environment: Mapping[str, str]) -> Processes:
    index, count = int(environment["SLURM_PROCID"]), int(environment["SLURM_STEP_NUM_TASKS"])
    if count == 1:
        return Processes()
    here = math.ceil(count / int(environment["SLURM_STEP_NUM_NODES"]))
    return Processes(index, count, "", _own_gpu(environment, int(environment["SLURM_LOCALID"]), here), here)


def _own_gpu(environment: Mapping[str, str], local: int, here: int) -> int | None:
    """The GPU of the ``local``-th of ``here`` processes of a machine; None where it is alone or was given one."""
    given = "SLURM_GPUS_PER_TASK" in environment or "JAX_CUDA_VISIBLE_DEVICES" in environment
    seen = [number for number in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if number]
    return None if here == 1 or given or len(seen) == 1 else local


def start_processes(processes: Processes, timeout_s: int = START_TIMEOUT_S) -> None:
    """Leaves this process its devices and waits until all processes are there; to be called before jax is used.

    Raises:
      UserError: they have not all come within ``timeout_s`` seconds, or one came twice.
    """
    if processes.gpu is not None:
        jax.config.update("jax_cuda_visible_devices", str(processes.gpu))
        jax.config.update("jax_rocm_visible_devices", str(processes.gpu))
    if processes.count > 1:
        print(f"{processes.name} waits for the others, {timeout_s} s at most", file=sys.stderr, flush=True)
        check_all_present(processes, timeout_s)


def check_all_present(processes: Processes, timeout_s: int) -> None:
    """Returns when all processes have called it.

    Raises:
      UserError: see ``start_processes``.
    """
    arguments = (processes.coordinator, processes.count, processes.index, timeout_s)
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.check_processes", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    if done.returncode:
        place = f" at {processes.coordinator}" if processes.coordinator else ""
        why = _reason(done.stderr)
        raise UserError(
            f"{processes.name}: the processes did not come together{place} within {timeout_s} s ({why}); "
            "start each index once, at the same time, all with the same coordinator and number, its port free"
        )


def _reason(log: str) -> str:
    """What jax gives as the reason, of many lines and a stack trace."""
    status = re.findall(r"absl::Status: (.+)", log) or re.findall(r"^\w*(?:Error|Exception): (.+)", log, re.MULTILINE)
    lines = status or log.splitlines() or ["no reason given"]
    return str(lines[-1]).strip()[:200]


def assign_folds(names: Sequence[str], count: int) -> list[list[str]]:
    """Deals names out to ``count`` processes: neighbours together, numbers equal but for one."""
    cuts = [index * len(names) // count for index in range(count + 1)]
    return [list(names[start:stop]) for start, stop in zip(cuts, cuts[1:], strict=False)]


PROCESSES_DIR = "processes"

LOCK_FILE = "lock"

_RUN = "run.json"

_BEAT_S = 2.0  # between two signs of life

_STILL_S = 10.0  # without one, before an earlier run that did not end by itself counts as dead

LOST_S = 60.0  # likewise for a process of the same run; a shared file system may show changes that much later

_LINE_S = 60.0


class Coordination:
    """The place where the processes of one run meet; entered by every process after the roll call.

    Process 0 does so within ``take``. Leaving it, by whatever way, tells the others.
    """

    def __init__(self, run_dir: Path, processes: Processes, lost_s: float = LOST_S, token: str = "") -> None:
        """What the meeting needs to know.

        Args:
          lost_s: seconds without a sign of life after which another process counts as lost.
          token: of process 0, what ``take`` gave it.
        """
        self._folder = run_dir / PROCESSES_DIR
        self._processes = processes
        self._lost_s = lost_s
        self._token = token
        self._mine: dict[str, Any] = locks.process_identity()
        self._over = threading.Event()
        self._beats = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Coordination":
        self._token = self._token or read_status(self._folder / _RUN).get("token", "")
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
        shares = assign_folds(names, self._processes.count)
        try:
            write_json(self._folder / _RUN, {"token": self._token, "folds": shares})
        except OSError as error:
            raise not_writable_error(self._folder.parent, error) from None
        return shares[0]

    def wait_for_deal(self) -> list[str]:
        """Another process: waits until process 0 has prepared the data; returns the names of the folds to train.

        Raises:
          UserError: process 0 stopped or was lost, or works in another folder.
        """
        first = ProcessMonitor(self._folder / "0.json", self._lost_s)
        with _bar(f"{self._processes.name} waits for the data") as bar:
            while True:
                content = read_status(self._folder / _RUN)
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
        others = [ProcessMonitor(self._folder / f"{index}.json", self._lost_s) for index in range(1, count)]
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
        first = ProcessMonitor(self._folder / "0.json", self._lost_s)
        with _bar(f"{self._processes.name} looks for process 0") as bar:
            while (state := first.look()) == RUNNING and not first.moved:
                _pause(bar)
        if state in (STOPPED, LOST):
            mine = set(unfinished())
            folds = read_status(self._folder / _RUN).get("folds") or [[]]
            raise UserError(_missing([name for name in folds[0] if name in mine], f"process 0 {state}"))

    def _beat(self) -> None:
        """Shows signs of life until the meeting is over; ends the process when another run took the folder."""
        number = 0
        while True:
            token = read_status(self._folder / _RUN).get("token", self._token)
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
def acquire_run_dir(run_dir: Path, lost_s: float = LOST_S) -> Iterator[str]:
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
    folder, token = run_dir / PROCESSES_DIR, uuid.uuid4().hex
    with run_lock(run_dir, folder / LOCK_FILE):
        watches = [ProcessMonitor(path, min(_STILL_S, lost_s)) for path in sorted(folder.glob("[0-9]*.json"))]
        _wait_for_an_end(run_dir, watches)
        try:
            write_json(folder / _RUN, {"token": token, "folds": None})
            for watch in watches:
                watch.path.unlink(missing_ok=True)
        except OSError as error:
            raise not_writable_error(run_dir, error) from None
        yield token


def _wait_for_an_end(run_dir: Path, watches: Sequence[ProcessMonitor]) -> None:
    """Waits until nobody who left a sign of life can still be at work; refuses where somebody is."""
    if not any(watch.look() == RUNNING for watch in watches):
        return
    with _bar(f"{run_dir}: is the run that began here still at work?") as bar:
        while RUNNING in [watch.look() for watch in watches]:
            moved = [watch for watch in watches if watch.moved and watch.state == RUNNING]
            if moved:
                content = read_status(moved[0].path)
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
    time.sleep(locks.POLL_S)
