"""Which of several processes this one is (by hand, SLURM, Open MPI), and their roll call before the start.

Folds are independent trainings: the processes share a run directory and exchange nothing else. ``jax.distributed``
serves the roll call, then nobody belongs to it any more. Within it, jax ends every process when one is lost, and
all of them whenever process 0 is, whatever the settings (jax's page "Fault Tolerant Distributed JAX"); only process
0 writes the compilation cache; Orbax makes each checkpoint wait for everybody; and a GPU program's compilation
shares its measurements among the processes. Outside of it each process is a jax of its own, on its own devices.
"""

import math
import re
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax

from icegan_jax.errors import UserError

ROLL_CALL_S = 300  # jax's own limit for all processes to come
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


def start_processes(processes: Processes, timeout_s: int = ROLL_CALL_S) -> None:
    """Leaves this process its devices and waits until all processes are there; to be called before jax is used.

    Raises:
      UserError: they have not all come within ``timeout_s`` seconds, or one came twice.
    """
    if processes.gpu is not None:
        jax.config.update("jax_cuda_visible_devices", str(processes.gpu))
        jax.config.update("jax_rocm_visible_devices", str(processes.gpu))
    if processes.count > 1:
        print(f"{processes.name} waits for the others, {timeout_s} s at most", file=sys.stderr, flush=True)
        call_roll(processes, timeout_s)


def call_roll(processes: Processes, timeout_s: int) -> None:
    """Returns when all processes have called it.

    Raises:
      UserError: see ``start_processes``.
    """
    arguments = (processes.coordinator, processes.count, processes.index, timeout_s)
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.roll_call", *map(str, arguments)],
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


def share(names: Sequence[str], count: int) -> list[list[str]]:
    """Deals names out to ``count`` processes: neighbours together, numbers equal but for one."""
    cuts = [index * len(names) // count for index in range(count + 1)]
    return [list(names[start:stop]) for start, stop in zip(cuts, cuts[1:], strict=False)]
