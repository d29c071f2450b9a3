"""Training by Dask: the predictions of one process, lost workers and schedulers, workers that do not fit."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import psutil
import pytest
from ml_collections import ConfigDict

from icegan_jax.errors import UserError
from icegan_jax.signals import Stopped, handle_signals
from icegan_jax.training import distributed
from icegan_jax.training.distributed import (
    Expected,
    check_workers,
    connect,
    inspect_worker,
    installed_versions,
    run_tasks,
)
from tests.training import tiny_run, workers

ROOT = Path(__file__).parents[2]
EXPECTED = Expected(installed_versions(["jax"]), {})
WAIT_S = 120.0


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def worker_processes() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@pytest.fixture(scope="module", autouse=True)
def one_device() -> Iterator[None]:
    """Give each worker one device, as the run in this process has."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"].replace("device_count=4", "device_count=1"))
        patched.setenv("PYTHONPATH", str(ROOT))
        yield


@pytest.mark.parametrize(
    ("expected", "threads", "words"),
    [
        (EXPECTED._replace(versions={"icegan-jax": "9.9"}), 1, ["has icegan-jax", "not 9.9; install this version"]),
        (EXPECTED._replace(versions={**EXPECTED.versions, "jax": "9.9"}), 1, ["has jax", "not 9.9"]),
        (EXPECTED._replace(files={"/none/prepared.json": ""}), 1, ["does not see /none/prepared.json", "mount"]),
        (EXPECTED._replace(files={__file__: "another content"}), 1, [f"does not see {__file__}"]),
        (EXPECTED, 8, ["runs 8 tasks at once", "--nthreads 1"]),
    ],
)
def test_a_worker_that_does_not_fit(expected: Expected, threads: int, words: list[str]) -> None:
    with pytest.raises(UserError, match=rf"^worker on {socket.gethostname()}: ") as caught:
        inspect_worker(expected, SimpleNamespace(state=SimpleNamespace(nthreads=threads)))
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(("address", "words"), [("node1", "must be HOST:PORT"), ("127.0.0.1:1", "`dask scheduler`")])
def test_an_address_without_a_scheduler(monkeypatch: pytest.MonkeyPatch, address: str, words: str) -> None:
    monkeypatch.setattr(distributed, "CONNECT_S", 0.5)
    with pytest.raises(UserError, match=rf"^--scheduler={address}: .*{words}"), connect(address, 0):
        pass


@pytest.mark.slow
def test_tasks_in_a_local_cluster(tmp_path: Path) -> None:
    with connect(None, 1) as client:
        (report,) = check_workers(client, EXPECTED)
        assert report.number == 1 and report.machine.startswith("1 x cpu")
        with pytest.raises(UserError, match="does not see /none"):
            check_workers(client, Expected({}, {"/none": ""}))
        assert run_tasks(client, workers.count, [(1,), (2,)], EXPECTED, steps=0) == [2, 3]
        with pytest.raises(UserError, match="^data/none: no prepared pairs; prepare them$"):
            run_tasks(client, workers.fail, [("user",)], EXPECTED, steps=0)
        with pytest.raises(ValueError, match="a bug"):
            run_tasks(client, workers.fail, [("other",)], EXPECTED, steps=0)
        path = tmp_path / "interrupted"
        threading.Timer(0, lambda: (wait_until(path.exists), os.kill(os.getpid(), signal.SIGTERM))).start()
        with pytest.raises(Stopped), handle_signals():
            run_tasks(client, workers.append, [(str(path),)], EXPECTED, steps=600)
        wait_until(lambda: path.read_text().endswith("saved\n"))


@pytest.mark.slow
def test_a_lost_scheduler_ends_command_and_workers(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    dask = [sys.executable, "-m", "dask"]
    host, port = address.split(":")
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    path = tmp_path / "log"
    with (
        subprocess.Popen(
            [*dask, "scheduler", f"--host={host}", f"--port={port}", "--no-dashboard"], **quiet
        ) as scheduler,
        subprocess.Popen([*dask, "worker", address, "--nthreads=1", "--no-dashboard"], **quiet) as worker,
    ):
        try:
            with connect(address, 0) as client, pytest.raises(UserError, match="the scheduler was lost"):
                threading.Timer(0, lambda: (wait_until(path.exists), scheduler.kill())).start()
                run_tasks(client, workers.append, [(str(path),)], EXPECTED, steps=600)
            wait_until(lambda: path.read_text().endswith("saved\n"))
            assert worker.wait(WAIT_S) == 0
        finally:
            scheduler.kill()
            worker.kill()


def config_of(run_dir: Path) -> ConfigDict:
    """Return the config of the tiny run with one fold at a time, so that every worker runs the same program."""
    return tiny_run.config_of(run_dir.parent / "data", training__folds_per_device=1)


@pytest.fixture(scope="module")
def alone(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The predictions of a run without Dask."""
    folder, devices = tmp_path_factory.mktemp("alone"), jax.local_devices()[:1]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jax, "local_devices", lambda: devices)
        tiny_run.start(config_of(run_dir), folder)
    return (folder / "predictions.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("kill", [False, True], ids=["undisturbed", "one killed"])
def test_two_workers_predict_what_one_does(run_dir: Path, alone: bytes, tmp_path: Path, kill: bool) -> None:
    killed = []

    def kill_worker() -> None:
        wait_until(lambda: list(tmp_path.glob("folds/*/checkpoints/4")))
        killed.append(worker_processes()[0])
        killed[0].kill()

    if kill:
        threading.Timer(0, kill_worker).start()
    tiny_run.start(config_of(run_dir), tmp_path, workers=2)
    assert len(killed) == kill
    assert (tmp_path / "predictions.csv").read_bytes() == alone
    assert {path.stem for path in (tmp_path / "locks").iterdir()} == {"run", *tiny_run.FOLDS}
