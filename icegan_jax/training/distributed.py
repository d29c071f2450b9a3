"""Several processes that train the folds of one run: start (by hand, SLURM, Open MPI), assignment, and results.

Folds are independent trainings: the processes share a run directory and exchange nothing else. ``jax.distributed`` is
used only at the start, in a subprocess, to check that all processes are present. In a process that is connected by
jax.distributed, jax ends every process when one is lost, whatever the settings (jax's page "Fault Tolerant Distributed
JAX"); only process 0 writes the compilation cache; Orbax makes each checkpoint wait for all processes; and compilation
for GPUs shares autotuning results. Without it, each process has a jax of its own, on its own devices.

The processes coordinate by files in the run directory:

    processes/lock       locked by process 0, see locks.py
    processes/run.json   the run's token, and the folds of each process; written by process 0
    processes/<i>.json   the status of process i, written every other second

No fold is trained twice: a new run uses a run directory only when process 0 has the lock and no status file changes any
more. A process ends at once if a later run has started in its run directory.
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
from icegan_jax.run_dir import ASSIGNMENT_FILE, LOCK_FILE, PROCESSES_DIR

START_TIMEOUT_S = 300  # jax's own limit for all processes to start
LOST_S = 60.0  # without a change of its status file a process counts as lost; shared file systems may lag that much

_STATUS_PERIOD_S = 2.0  # between two writes of a status file
_EARLIER_RUN_LOST_S = 10.0  # the same for processes of an earlier run in the same directory
_REFRESH_S = 60.0  # between two lines of a progress bar in a log file

_PORTS = (61440, 4096)  # first and number of the ports for process 0; jax picks one from this range, too


@dataclass(frozen=True)
class Processes:
    """This process among the processes of the run.

    Attributes:
      index: 0 to ``count`` - 1; process 0 prepares the data, assigns the folds and gathers the results.
      count: Number of processes.
      coordinator: ``host:port`` of process 0; empty where jax finds the address by itself.
      gpu: Index of the only GPU that this process uses; None: all visible ones.
      local_count: Number of processes on this machine; ``count`` where it is not known.
    """

    index: int = 0
    count: int = 1
    coordinator: str = ""
    gpu: int | None = None
    local_count: int = 1

    @property
    def name(self) -> str:
        """A name like ``process 0 of 2``."""
        return f"process {self.index} of {self.count}"


def find_processes(
    environment: Mapping[str, str],
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> Processes:
    """Return index and number of the processes, from the three options or from the variables of mpirun or srun.

    A plain shell, also one inside a SLURM allocation, is a single process.

    Args:
      environment: The environment variables.
      coordinator: Option of a start by hand, ``HOST:PORT``.
      num_processes: Likewise.
      process_id: Likewise.

    Raises:
      UserError: Only some of the options are given, they are out of range, or the variables cannot be parsed.
    """
    options = {"--coordinator": coordinator, "--num_processes": num_processes, "--process_id": process_id}
    missing = [flag for flag, value in options.items() if value is None]
    if len(missing) < len(options):
        if missing:
            raise UserError(f"{' and '.join(missing)}: missing; give all of {', '.join(options)}, or none")
        assert coordinator is not None and num_processes is not None and process_id is not None
        return _from_options(coordinator, num_processes, process_id)
    try:
        if "OMPI_COMM_WORLD_SIZE" in environment:  # before SLURM: mpirun starts its ranks inside a job step
            return _from_open_mpi(environment)
        # Variables of the job step: SLURM_NTASKS is also set in the shell of salloc and sbatch, which is one process.
        if "SLURM_STEP_NUM_TASKS" in environment:
            return _from_slurm(environment)
    except (KeyError, ValueError) as error:
        raise UserError(
            f"the launcher's environment variables cannot be read ({error}); give {', '.join(options)}"
        ) from None
    return Processes()


def _from_options(coordinator: str, count: int, index: int) -> Processes:
    if count < 1:
        raise UserError(f"--num_processes={count}: must be 1 or more")
    if not 0 <= index < count:
        raise UserError(f"--process_id={index}: must be 0 to {count - 1}, of --num_processes={count}")
    address = re.fullmatch(r"(?:\[[0-9a-fA-F:]+\]|[^\s:]+):(\d{1,5})", coordinator)
    if not address or not 0 < int(address[1]) < 65536:
        raise UserError(
            f"--coordinator={coordinator}: must be HOST:PORT, a machine's name and a free port of process 0"
        )
    return Processes(index, count, coordinator, local_count=count)


def _from_open_mpi(environment: Mapping[str, str]) -> Processes:
    """Read the variables of mpirun. Open MPI 4 sets the address of rank 0 for jax, 5 does not (jax issue 14576)."""
    index, count = int(environment["OMPI_COMM_WORLD_RANK"]), int(environment["OMPI_COMM_WORLD_SIZE"])
    local_count = int(environment["OMPI_COMM_WORLD_LOCAL_SIZE"])
    if count == 1:
        return Processes()
    coordinator = ""
    if not {"JAX_COORDINATOR_ADDRESS", "OMPI_MCA_orte_hnp_uri"} & environment.keys():
        if local_count < count:
            raise UserError(
                "Open MPI 5 hides the address of process 0; add -x JAX_COORDINATOR_ADDRESS=HOST:PORT to mpirun, "
                "the machine of rank 0 and a free port on it"
            )
        # All ranks are on this machine, and compute the same port from the name of the job.
        first, number = _PORTS
        coordinator = f"127.0.0.1:{first + zlib.crc32(environment.get('PMIX_NAMESPACE', '').encode()) % number}"
    local_index = int(environment["OMPI_COMM_WORLD_LOCAL_RANK"])
    return Processes(index, count, coordinator, _assign_gpu(environment, local_index, local_count), local_count)


def _from_slurm(environment: Mapping[str, str]) -> Processes:
    index, count = int(environment["SLURM_PROCID"]), int(environment["SLURM_STEP_NUM_TASKS"])
    if count == 1:
        return Processes()
    local_count = math.ceil(count / int(environment["SLURM_STEP_NUM_NODES"]))
    gpu = _assign_gpu(environment, int(environment["SLURM_LOCALID"]), local_count)
    return Processes(index, count, "", gpu, local_count)


def _assign_gpu(environment: Mapping[str, str], local_index: int, local_count: int) -> int | None:
    """Return the GPU of a process; None if it is alone on the machine or the launcher has given it a GPU."""
    given = "SLURM_GPUS_PER_TASK" in environment or "JAX_CUDA_VISIBLE_DEVICES" in environment
    visible = [number for number in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if number]
    return None if local_count == 1 or given or len(visible) == 1 else local_index


def start_processes(processes: Processes, timeout_s: int = START_TIMEOUT_S) -> None:
    """Restrict this process to its GPU, and wait until all processes have started.

    The function must be called before the first use of a device, since jax then reads the settings.

    Raises:
      UserError: Not all have started within ``timeout_s`` seconds, or two have the same index.
    """
    if processes.gpu is not None:
        jax.config.update("jax_cuda_visible_devices", str(processes.gpu))
        jax.config.update("jax_rocm_visible_devices", str(processes.gpu))
    if processes.count > 1:
        print(f"{processes.name} waits for the others, {timeout_s} s at most", file=sys.stderr, flush=True)
        check_all_present(processes, timeout_s)


def check_all_present(processes: Processes, timeout_s: int) -> None:
    """Wait until all processes have called this function.

    Raises:
      UserError: See ``start_processes``.
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
        address = f" at {processes.coordinator}" if processes.coordinator else ""
        reason = _failure_reason(done.stderr)
        raise UserError(
            f"{processes.name}: not all processes started{address} within {timeout_s} s ({reason}); "
            "start each index once, at the same time, all with the same coordinator and number, its port free"
        )


def _failure_reason(log: str) -> str:
    """Return the reason out of the output of jax, which has many lines and a stack trace."""
    status = re.findall(r"absl::Status: (.+)", log) or re.findall(r"^\w*(?:Error|Exception): (.+)", log, re.MULTILINE)
    lines = status or log.splitlines() or ["no reason given"]
    return str(lines[-1]).strip()[:200]


def assign_folds(names: Sequence[str], count: int) -> list[list[str]]:
    """Split names into ``count`` contiguous parts whose sizes differ by at most one."""
    cuts = [index * len(names) // count for index in range(count + 1)]
    return [list(names[start:stop]) for start, stop in zip(cuts, cuts[1:], strict=False)]


class Coordination:
    """Context manager in which the processes of one run coordinate; every process enters the context after the start.

    In the context, a thread writes the status of this process. At the exit the status becomes ``finished``, or
    ``stopped`` after an exception. Process 0 enters the context inside ``acquire_run_dir``.
    """

    def __init__(self, run_dir: Path, processes: Processes, lost_s: float = LOST_S, token: str = "") -> None:
        """Prepare the coordination.

        Args:
          run_dir: The run directory.
          processes: This process among those of the run.
          lost_s: Seconds without a change of its status file after which another process counts as lost.
          token: For process 0, the token of ``acquire_run_dir``.
        """
        self._folder = run_dir / PROCESSES_DIR
        self._processes = processes
        self._lost_s = lost_s
        self._token = token
        self._identity: dict[str, Any] = locks.process_identity()
        self._exit = threading.Event()
        self._status_writer = threading.Thread(target=self._write_status_until_exit, daemon=True)

    def __enter__(self) -> "Coordination":
        self._token = self._token or read_status(self._folder / ASSIGNMENT_FILE).get("token", "")
        self._status_writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.set()
        self._status_writer.join()
        reason = " ".join(str(error).split()) or kind.__name__ if kind else ""
        self._write_status(STOPPED if kind else FINISHED, reason)

    def assign(self, names: Sequence[str]) -> list[str]:
        """Assign the unfinished folds to all processes, and return those of process 0; for process 0.

        Raises:
          UserError: The run directory cannot be written.
        """
        parts = assign_folds(names, self._processes.count)
        try:
            write_json(self._folder / ASSIGNMENT_FILE, {"token": self._token, "folds": parts})
        except OSError as error:
            raise not_writable_error(self._folder.parent, error) from None
        return parts[0]

    def wait_for_assignment(self) -> list[str]:
        """Wait until process 0 has prepared the data, and return the folds to train; for the other processes.

        Raises:
          UserError: Process 0 stopped or was lost, or uses another folder.
        """
        first = ProcessMonitor(self._folder / "0.json", self._lost_s)
        with _progress_bar(f"{self._processes.name} waits for the data") as bar:
            while True:
                content = read_status(self._folder / ASSIGNMENT_FILE)
                if content.get("folds") is not None:
                    self._token = content["token"]
                    return list(content["folds"][self._processes.index])
                state = first.poll()
                if state == STOPPED:
                    raise UserError(f"process 0 stopped: {first.reason}")
                if state in (LOST, FINISHED):
                    raise UserError(
                        f"{self._folder}: process 0 is not running; --workdir must be one folder that all "
                        "processes share; run the same command again"
                    )
                _pause(bar)

    def wait_for_other_folds(self, unfinished: Callable[[], list[str]]) -> None:
        """Wait until the other processes have finished their folds; for process 0, after its own folds.

        Args:
          unfinished: Returns the names of the folds that are not finished at present.

        Raises:
          UserError: Folds are missing, because processes stopped or were lost.
        """
        count = self._processes.count
        others = [ProcessMonitor(self._folder / f"{index}.json", self._lost_s) for index in range(1, count)]
        missing = unfinished()
        if not missing:
            return
        total = len(missing)
        with _progress_bar(f"{self._processes.name} waits for the others' folds", total) as bar:
            while missing:
                # The states are read before the folds: a process finishes its folds before its status becomes finished.
                states = [other.poll() for other in others]
                missing = unfinished()
                bar.n = total - len(missing)
                if missing and RUNNING not in states:
                    ends = ", ".join(f"process {n} {state}" for n, state in enumerate(states, 1) if state != FINISHED)
                    raise UserError(_missing_folds(missing, ends or "trained by no process"))
                _pause(bar)

    def wait_for_process_0(self, unfinished: Callable[[], list[str]]) -> None:
        """Wait until process 0, which gathers the results, is known to run or to have ended; for the other processes.

        Raises:
          UserError: Process 0 stopped or was lost; the message names its missing folds.
        """
        first = ProcessMonitor(self._folder / "0.json", self._lost_s)
        with _progress_bar(f"{self._processes.name} waits for process 0") as bar:
            while (state := first.poll()) == RUNNING and not first.changed:
                _pause(bar)
        if state in (STOPPED, LOST):
            missing = set(unfinished())
            folds = read_status(self._folder / ASSIGNMENT_FILE).get("folds") or [[]]
            raise UserError(_missing_folds([name for name in folds[0] if name in missing], f"process 0 {state}"))

    def _write_status_until_exit(self) -> None:
        """Write the status periodically; end the process if another run took over the run directory."""
        number = 0
        while True:
            token = read_status(self._folder / ASSIGNMENT_FILE).get("token", self._token)
            if self._token and token != self._token:
                print(f"error: {self._folder.parent}: taken over by a later run; this one ends", file=sys.stderr)
                sys.stderr.flush()
                os._exit(1)
            number += 1
            self._write_status(RUNNING, str(number))
            if self._exit.wait(_STATUS_PERIOD_S):
                return

    def _write_status(self, state: str, note: str) -> None:
        """Write this process's status file; errors of the file system are ignored, since they may pass.

        The method does not use ``write_json``, whose fsync may take long while checkpoints are written; a status need
        not survive a power failure.
        """
        path = self._folder / f"{self._processes.index}.json"
        temporary = path.with_name(f".{path.name}.tmp")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(self._identity | {"state": state, "note": note}), encoding="utf-8")
            os.replace(temporary, path)


@contextlib.contextmanager
def acquire_run_dir(run_dir: Path, lost_s: float = LOST_S) -> Iterator[str]:
    """Lock the run directory for this run (process 0, before ``start_processes``).

    Another run on this machine is detected at once, by its lock. A run on another machine or on a file system without
    locks, and processes that an earlier run left, are detected by changes of their status files, which are observed
    for ten seconds, at most ``lost_s``. The function does not wait for processes that are known to have ended.

    Yields:
      The run's token. Without locks, of two runs that start at the same moment the one ends whose token is no longer
      in the folder.

    Raises:
      UserError: Another run is active in the directory, or the directory cannot be written.
    """
    folder, token = run_dir / PROCESSES_DIR, uuid.uuid4().hex
    with run_lock(run_dir, folder / LOCK_FILE):
        monitors = [
            ProcessMonitor(path, min(_EARLIER_RUN_LOST_S, lost_s)) for path in sorted(folder.glob("[0-9]*.json"))
        ]
        _check_earlier_processes(run_dir, monitors)
        try:
            write_json(folder / ASSIGNMENT_FILE, {"token": token, "folds": None})
            for monitor in monitors:
                monitor.path.unlink(missing_ok=True)
        except OSError as error:
            raise not_writable_error(run_dir, error) from None
        yield token


def _check_earlier_processes(run_dir: Path, monitors: Sequence[ProcessMonitor]) -> None:
    """Wait until every process of an earlier run has ended or is lost; raise a UserError if one is still running."""
    if not any(monitor.poll() == RUNNING for monitor in monitors):
        return
    with _progress_bar(f"{run_dir}: is the earlier run still active?") as bar:
        while RUNNING in [monitor.poll() for monitor in monitors]:
            active = [monitor for monitor in monitors if monitor.changed and monitor.state == RUNNING]
            if active:
                content = read_status(active[0].path)
                name = f"process {active[0].path.stem} on {content.get('host')}, pid {content.get('pid')}"
                raise UserError(f"{run_dir}: a run is active there ({name}); let it end, or choose another --workdir")
            _pause(bar)


def _missing_folds(names: Sequence[str], reason: str) -> str:
    if not names:
        return f"{reason} before the results were gathered; the same command gathers them"
    folds = f"{len(names)} fold{'s' * (len(names) > 1)}"
    return (
        f"{folds} missing ({reason}): {', '.join(names)}; the same command, by any number of processes, trains the rest"
    )


def _progress_bar(text: str, total: int | None = None) -> "tqdm[Any]":
    """Return a progress bar that shows the waiting time, and is cleared at the end."""
    counter = " {n_fmt}/{total_fmt}" if total is not None else ""
    return tqdm(total=total, desc=text, bar_format="{desc}" + counter + " {elapsed}", leave=False, file=sys.stderr)


def _pause(bar: "tqdm[Any]") -> None:
    """Wait for ``POLL_S``; refresh the progress bar each time on a terminal, every minute in a log file."""
    if sys.stderr.isatty() or time.time() - bar.last_print_t > _REFRESH_S:
        bar.last_print_t = time.time()
        bar.refresh()
    time.sleep(locks.POLL_S)
