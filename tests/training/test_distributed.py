"""Index and number of processes, from flags or a launcher's environment, and the check that all have started."""

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import pytest

from icegan_jax.errors import UserError
from icegan_jax.training import distributed
from icegan_jax.training.distributed import Processes, assign_folds, check_all_present, find_processes, start_processes

# What srun and mpirun set, as in their manuals and in jax's own detection (jax/_src/clusters).
SLURM = {
    "SLURM_JOB_ID": "71",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
}
ORTE = {"OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1:34911"}  # Open MPI 4


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Processes()),
        # The shell of sbatch or salloc: tasks are allocated, but none of them has been started.
        ({"SLURM_JOB_ID": "71", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, Processes()),
        (SLURM | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, Processes()),  # srun --pty bash
        (SLURM, Processes(3, 4, "", gpu=1, local_count=2)),
        (SLURM | {"SLURM_GPUS_PER_TASK": "1"}, Processes(3, 4, local_count=2)),
        (SLURM | {"CUDA_VISIBLE_DEVICES": "2"}, Processes(3, 4, local_count=2)),
        (SLURM | {"CUDA_VISIBLE_DEVICES": "0,1"}, Processes(3, 4, gpu=1, local_count=2)),
        (SLURM | {"JAX_CUDA_VISIBLE_DEVICES": "2,3"}, Processes(3, 4, local_count=2)),
        (SLURM | {"SLURM_STEP_NUM_NODES": "4", "SLURM_LOCALID": "0"}, Processes(3, 4)),  # one for each machine
        (OPEN_MPI | ORTE, Processes(2, 4, "", gpu=1, local_count=2)),
        (OPEN_MPI | {"JAX_COORDINATOR_ADDRESS": "node1:1234"}, Processes(2, 4, "", gpu=1, local_count=2)),
        (OPEN_MPI | ORTE | SLURM, Processes(2, 4, "", gpu=1, local_count=2)),  # mpirun within an allocation
        (OPEN_MPI | ORTE | {"OMPI_COMM_WORLD_LOCAL_SIZE": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}, Processes(2, 4)),
        (OPEN_MPI | {"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}, Processes()),
    ],
)
def test_the_variables_of_launchers(environment: dict[str, str], expected: Processes) -> None:
    assert find_processes(environment) == expected


def test_open_mpi_5_on_one_machine_agrees_on_a_port() -> None:
    here = OPEN_MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "4", "PMIX_NAMESPACE": "prterun-node1-4711@1"}
    addresses = {
        find_processes(here | {"OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_LOCAL_RANK": rank}).coordinator
        for rank in "0123"
    }
    (address,) = addresses
    host, port = address.split(":")
    assert host == "127.0.0.1" and 61440 <= int(port) < 65536
    assert find_processes(here | {"PMIX_NAMESPACE": "prterun-node1-4712@1"}).coordinator != address


def test_flags_come_before_the_launcher() -> None:
    assert find_processes(SLURM, "node7:1234", 2, 1) == Processes(1, 2, "node7:1234", local_count=2)
    assert find_processes({}, "[fe80::1]:80", 1, 0) == Processes(0, 1, "[fe80::1]:80")
    assert Processes(1, 2).name == "process 1 of 2"


@pytest.mark.parametrize(
    ("environment", "flags", "words"),
    [
        ({}, {"coordinator": "a:1"}, "--num_processes and --process_id: missing; give all of --coordinator, "),
        ({}, {"num_processes": 2, "process_id": 0}, "--coordinator: missing"),
        ({}, {"coordinator": "a", "num_processes": 2, "process_id": 0}, "--coordinator=a: must be HOST:PORT"),
        ({}, {"coordinator": "a:0", "num_processes": 2, "process_id": 0}, "--coordinator=a:0: must be HOST:PORT"),
        ({}, {"coordinator": "a:65536", "num_processes": 2, "process_id": 0}, "must be HOST:PORT"),
        ({}, {"coordinator": "a:1", "num_processes": 0, "process_id": 0}, "--num_processes=0: must be 1 or more"),
        ({}, {"coordinator": "a:1", "num_processes": 2, "process_id": 2}, "--process_id=2: must be 0 to 1"),
        ({}, {"coordinator": "a:1", "num_processes": 2, "process_id": -1}, "--process_id=-1: must be 0 to 1"),
        (OPEN_MPI, {}, "-x JAX_COORDINATOR_ADDRESS=HOST:PORT"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, {}, "cannot be read .'OMPI_COMM_WORLD_RANK'.; give --coordinator"),
        (SLURM | {"SLURM_PROCID": "x"}, {}, "cannot be read"),
    ],
)
def test_bad_flags_and_environments(environment: dict[str, str], flags: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        find_processes(environment, **flags)


def test_folds_are_assigned_evenly_and_each_once() -> None:
    names = [f"fold{number}" for number in range(10)]
    for count in range(1, 13):
        shares = assign_folds(names, count)
        assert len(shares) == count
        assert [name for each in shares for name in each] == names
        sizes = sorted(map(len, shares))
        assert sizes[-1] - sizes[0] <= 1
    assert assign_folds([], 2) == [[], []]


def test_a_single_process_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("waits without need")

    monkeypatch.setattr(distributed, "check_all_present", refuse)
    start_processes(Processes())


def test_a_process_with_one_gpu_sees_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    changed: dict[str, Any] = {}
    monkeypatch.setattr(jax.config, "update", changed.__setitem__)
    monkeypatch.setattr(distributed, "check_all_present", lambda *_: None)
    start_processes(Processes(3, 4))
    assert not changed
    start_processes(Processes(3, 4, gpu=1))
    assert changed == {"jax_cuda_visible_devices": "1", "jax_rocm_visible_devices": "1"}


def test_the_check_returns_when_all_processes_are_present_and_leaves_jax_unconnected() -> None:
    address = f"127.0.0.1:{free_port()}"
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(check_all_present, Processes(index, 2, address), 60) for index in range(2)]
        assert [call.result() for call in calls] == [None, None]
    assert not jax.distributed.is_initialized()
    assert jax.process_count() == 1


def test_a_process_that_does_not_start_is_one_line() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(UserError) as caught:
        check_all_present(Processes(0, 2, address), 2)
    message = str(caught.value)
    assert message.startswith(f"process 0 of 2: not all processes started at {address} within 2 s (")
    assert "start each index once" in message and "\n" not in message
