"""Training on several processes or machines by Dask (``distributed``), which schedules groups of folds over workers.

Folds are independent trainings: the workers exchange nothing, and share the run directory and the data. This module
knows nothing of folds: ``icegan_jax.train`` gives a function and its arguments for each group. Dask calls the function
in a worker, and once more in another worker where the first one was lost.
"""

import contextlib
import glob
import logging
import os
import platform
import re
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
from tqdm import tqdm

from icegan_jax import __version__
from icegan_jax.errors import UserError, describe_exception
from icegan_jax.locks import LockedError
from icegan_jax.signals import Stopped
from icegan_jax.training.parallel import describe_machine

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10.0  # for the scheduler to answer
WORKERS_S = 60.0  # without any worker

_ADDRESS = re.compile(r"(?:\w+://)?(?:\[[0-9a-fA-F:]+\]|[^\s:/]+):\d{1,5}")  # host names, IPv4 and IPv6 addresses
_RETRIES = 3  # of a task that raised an error; by default Dask also accepts three lost workers
_POLL_S = 0.2
_CHECK_WORKERS_S = 5.0  # between two checks that there is a worker
_MAX_REASON = 200  # characters of an exception in a message
_PROGRESS_S = 0.5  # between two messages of a task about its progress


class Expected(NamedTuple):
    """What a worker must have.

    Attributes:
      versions: Versions of Python and packages, by name.
      files: Contents of text files in the run directory and in the data, by absolute path.
    """

    versions: Mapping[str, str]
    files: Mapping[str, str]


class WorkerDevices(NamedTuple):
    """The devices of a worker: their number, and what ``describe_machine`` returns there."""

    number: int
    machine: str


class Task:
    """The task that this worker runs at present."""

    def __init__(self, topic: str, index: int) -> None:
        """Find the task of the present thread; ``topic`` and ``index`` name the task in messages to the client."""
        from distributed import get_worker

        self._worker = get_worker()
        self._key = self._worker.get_current_task()
        self._topic, self._index = topic, index
        self._steps, self._sent = 0, 0.0
        self.worker = str(self._worker.name)

    def show_progress(self, steps: int, means: Mapping[str, float]) -> None:
        """Count steps, and send their number and the means to the client from time to time."""
        self._steps += steps
        if time.monotonic() - self._sent > _PROGRESS_S:
            self._sent = time.monotonic()
            self._worker.log_event(self._topic, {"task": self._index, "steps": self._steps, "means": dict(means)})

    def requested_signal(self) -> int | None:
        """Return SIGTERM if the task was canceled, or if the worker ends, as it does without its scheduler."""
        state = self._worker.state.tasks.get(self._key)
        is_wanted = (
            self._worker.status.name in ("running", "paused") and state is not None and state.state == "executing"
        )
        return None if is_wanted else signal.SIGTERM


@contextlib.contextmanager
def connect(scheduler: str | None, workers: int) -> Iterator["Client"]:
    """Connect to a scheduler, or start a local cluster, and print the address of its dashboard.

    Args:
      scheduler: The address of a running scheduler, ``HOST:PORT`` or ``tcp://HOST:PORT``.
      workers: Instead, the number of worker processes to start on this machine; each has a GPU of its own, if any.

    Raises:
      UserError: Nobody answers at the address, no worker is connected, or there are fewer GPUs than workers.
    """
    if scheduler is not None and not _ADDRESS.fullmatch(scheduler):
        raise UserError(f"--scheduler={scheduler}: must be HOST:PORT or tcp://HOST:PORT, as `dask scheduler` prints it")
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")  # read by Dask here and in local workers
    from distributed import Client

    # A lost scheduler is reported in one line, see ``run_tasks``; Dask would print the traceback of its reconnection.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(_local_cluster(workers)) if workers else None
        try:
            client = stack.enter_context(Client(cluster or scheduler, timeout=CONNECT_S, set_as_default=False))
        except OSError as error:
            raise UserError(
                f"--scheduler={scheduler}: no scheduler answers there ({describe_exception(error)[:_MAX_REASON]}); "
                "start one with `dask scheduler`, or correct the address"
            ) from None
        print(f"dashboard: {client.dashboard_link}", flush=True)
        try:
            client.wait_for_workers(max(workers, 1), timeout=WORKERS_S)
        except TimeoutError:
            raise UserError(f"{_no_worker(client)}; start `dask worker ADDRESS --nthreads 1`") from None
        yield client


@contextlib.contextmanager
def _local_cluster(workers: int) -> Iterator[Any]:
    from distributed import Nanny, Scheduler, SpecCluster

    gpus = _visible_gpus()
    if gpus and workers > len(gpus):
        raise UserError(f"--workers={workers}: only {len(gpus)} GPUs, and each worker needs one; lower the number")
    # Without limit of memory: Dask would end a worker that uses more than its share of the machine's memory.
    options = {"nthreads": 1, "memory_limit": 0, "host": "127.0.0.1"}
    environments = [{"CUDA_VISIBLE_DEVICES": gpus[index]} if gpus else {} for index in range(workers)]
    spec = {index: {"cls": Nanny, "options": options | {"env": env}} for index, env in enumerate(environments)}
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}}
    # The threads that start here and the workers that they start inherit the blocked signals: this process alone
    # handles Ctrl-C and SIGTERM, which terminals and batch systems send to every process. The tracker's start would
    # unblock them.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        cluster = SpecCluster(workers=spec, scheduler=scheduler, silence_logs=False)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with cluster:
        yield cluster


def _visible_gpus() -> list[str]:
    """Return names of GPUs for ``CUDA_VISIBLE_DEVICES``, without jax, which would occupy their memory."""
    if os.environ.get("JAX_PLATFORMS", "").startswith("cpu"):
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name]
    return [str(index) for index in range(len(glob.glob("/dev/nvidia[0-9]*")))]


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of icegan-jax, Python and other packages."""
    own = {"icegan-jax": __version__, "python": platform.python_version()}
    return own | {name: metadata.version(name) for name in packages if name not in own}


def check_workers(client: "Client", expected: Expected) -> list[WorkerDevices]:
    """Check that every worker computes as this process does, and sees its folders; return the devices of each.

    Raises:
      UserError: See ``inspect_worker``, or there is no worker.
    """
    answers = client.run(inspect_worker, expected, on_error="return")
    for address, answer in answers.items():
        if isinstance(answer, UserError):
            raise answer
        if isinstance(answer, BaseException):  # the worker could not even load the function
            raise UserError(
                f"worker {address}: cannot run icegan-jax {__version__} ({describe_exception(answer)[:_MAX_REASON]}); "
                "install this version there"
            )
    if not answers:
        raise UserError(_no_worker(client))
    return list(answers.values())


def inspect_worker(expected: Expected, dask_worker: Any) -> WorkerDevices:
    """Check the worker in which this function is called, and return its devices.

    Raises:
      UserError: The worker does not fit; the message names its machine, and the version or the path.
    """
    name = f"worker on {socket.gethostname()}"
    installed = installed_versions(expected.versions)
    for package, version in expected.versions.items():
        if installed[package] != version:
            raise UserError(f"{name}: has {package} {installed[package]}, not {version}; install this version there")
    for path, content in expected.files.items():
        try:
            is_same = Path(path).read_text(encoding="utf-8") == content
        except (OSError, ValueError):
            is_same = False
        if not is_same:
            raise UserError(
                f"{name}: does not see {path} as this machine does; mount the same folder there, at the same path"
            )
    threads = dask_worker.state.nthreads
    if threads != 1:
        raise UserError(f"{name}: runs {threads} tasks at once on the same devices; start it with --nthreads 1")
    return WorkerDevices(jax.local_device_count(), describe_machine())


def run_tasks(
    client: "Client",
    function: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    expected: Expected,
    steps: int,
) -> list[Any]:
    """Call a function for each tuple of arguments in some worker, and show one progress bar.

    All tasks are canceled if one of them fails, or if an exception such as ``Stopped`` interrupts the wait.

    Args:
      client: From ``connect``.
      function: A function of a module, called with the arguments and a ``Task``.
      arguments: Plain values.
      expected: Checked in each worker, since workers may join at any time.
      steps: Steps that each call counts with ``Task.show_progress``; 0 shows no progress bar.

    Returns:
      The results in order.

    Raises:
      UserError: A call raised a UserError, or the scheduler or all workers were lost.
      Exception: Another error of a call, after retries.
    """
    from distributed import KilledWorker

    topic, done_steps, means = f"icegan-jax-{uuid.uuid4().hex}", [0] * len(arguments), dict[str, float]()

    def receive(event: tuple[float, Mapping[str, Any]]) -> None:
        done_steps[event[1]["task"]] = event[1]["steps"]
        means.update(event[1]["means"])

    client.subscribe_topic(topic, receive)
    futures = [
        client.submit(_run_task, function, values, topic, index, expected, retries=_RETRIES, pure=False)
        for index, values in enumerate(arguments)
    ]
    results: dict[int, Any] = {}
    workers = set[str]()
    checked = with_workers = time.monotonic()
    try:
        with tqdm(total=steps * len(futures), unit="step", dynamic_ncols=True, disable=not steps) as bar:
            while len(results) < len(futures):
                for index, future in enumerate(futures):
                    if index in results or not future.done():
                        continue
                    if future.cancelled():
                        raise UserError(f"{_address(client)}: the scheduler was lost")
                    results[index] = future.result()
                    done_steps[index] = steps
                    if isinstance(results[index], _UserErrorText):
                        raise UserError(*results[index].splitlines())
                if time.monotonic() - checked > _CHECK_WORKERS_S:
                    checked = time.monotonic()
                    with contextlib.suppress(OSError):  # without a scheduler, the futures are canceled soon
                        now = set(client.nthreads(callback_timeout=CONNECT_S))
                        for address in workers - now:
                            tqdm.write(f"warning: worker {address} was lost; another one continues", file=sys.stderr)
                        workers, with_workers = now, checked if now else with_workers
                    if checked - with_workers > WORKERS_S:
                        raise UserError(_no_worker(client))
                bar.set_description(f"groups of folds {len(results)}/{len(futures)}", refresh=False)
                bar.set_postfix({name: f"{mean:.3f}" for name, mean in means.items()}, refresh=False)
                bar.update(sum(done_steps) - bar.n)
                time.sleep(_POLL_S)
    except KilledWorker as error:
        raise UserError(
            f"workers were lost again and again ({describe_exception(error)[:_MAX_REASON]}); their logs tell why"
        ) from None
    finally:
        if len(results) < len(futures) and client.status == "running":
            client.cancel(futures)
        client.unsubscribe_topic(topic)
    return [results[index] for index in range(len(futures))]


class _UserErrorText(str):
    """The lines of a UserError, returned instead of raised, since a retry would not help."""


def _run_task(
    function: Callable[..., Any], arguments: tuple[Any, ...], topic: str, index: int, expected: Expected
) -> Any:
    """Call a function in the worker in which Dask runs this task."""
    from distributed import Reschedule, get_worker

    try:
        inspect_worker(expected, get_worker())
        return function(*arguments, Task(topic, index))
    except LockedError:  # another worker, which was told to stop, still trains the folds: retry
        raise
    except UserError as error:
        return _UserErrorText(error)
    except Stopped:  # the worker ends, or the task was canceled, and then the exception has no effect
        raise Reschedule from None


def _no_worker(client: "Client") -> str:
    return f"{_address(client)}: no worker for {WORKERS_S:.0f} s"


def _address(client: "Client") -> str:
    return str(client.scheduler.address) if client.scheduler is not None else "scheduler"
