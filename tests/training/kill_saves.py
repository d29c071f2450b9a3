"""Kill a process by SIGKILL at its first, second, ... file operation while it saves and deletes checkpoints.

    python -m tests.training.kill_saves FOLDER

Each time, the newest intact checkpoint must be the last one that was reported as saved, or a newer one.
"""

import itertools
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orbax.checkpoint  # noqa: F401  # before the forks

from icegan_jax.training.checkpoint import FoldCheckpoints, newest_common_checkpoint
from icegan_jax.training.state import TrainState

_OPERATIONS = ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate")  # audit events of Python
_CLEANUP_S = 30.0


def state_of(step: int) -> TrainState:
    """Return a state of numpy arrays alone: jax takes a second to compile what makes others."""
    arrays = {str(index): np.random.default_rng([step, index]).normal(size=5000) for index in range(4)}
    return TrainState(np.array(step, np.int32), None, arrays, {}, {}, {}, {}, {})


def save(folder: Path, step: int) -> None:
    with FoldCheckpoints(folder, "run") as store:
        store.save(state_of(step), {"at": step})


def save_and_delete(folder: Path, kill_at: int, reported: Path) -> None:
    """Save step 6, write ``reported``, and keep step 6 alone; kill this process at the given file operation."""
    count = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in _OPERATIONS and str(folder) in str(arguments[0]):
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    with FoldCheckpoints(folder, "run") as store:
        store.save(state_of(6), {"at": 6})
        reported.touch()
        store.keep_newest(2)
        store.keep_newest(1)


def check(folder: Path, saved: int) -> None:
    """Check that the newest common checkpoint is ``saved`` or newer, with the content of its step."""
    with FoldCheckpoints(folder, "run") as store:
        step, restored = newest_common_checkpoint([store], ["fold"], [state_of(0)], lambda line: None)
        assert step in (saved, 6), (step, saved)
        state, progress = restored[0]
        assert progress == {"at": step} and state.step == step
        assert all(np.array_equal(array, state_of(step).g_params[name]) for name, array in state.g_params.items())
        wait_for_cleanup(folder / "checkpoints")


def wait_for_cleanup(checkpoints: Path) -> None:
    """Wait until a thread of Orbax, which only the next save waits for, has removed the unfinished checkpoint."""
    end = time.monotonic() + _CLEANUP_S
    while not {path.name for path in checkpoints.iterdir()} <= {"2", "4", "6"}:
        assert time.monotonic() < end, list(checkpoints.iterdir())
        time.sleep(0.01)


def in_child(function: Callable[..., None], *arguments: object) -> int:
    """Call a function in a forked process; return the status of ``os.waitpid``."""
    child = os.fork()
    if child == 0:
        try:
            function(*arguments)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def main(folder: Path) -> None:
    written, fold, reported = folder / "written" / "fold", folder / "fold", folder / "reported"
    for step in (2, 4):
        assert in_child(save, written, step) == 0
    for kill_at in itertools.count(1):
        shutil.copytree(written, fold)
        status = in_child(save_and_delete, fold, kill_at, reported)
        assert status in (0, signal.SIGKILL), f"operation {kill_at}: status {status}"
        assert in_child(check, fold, 6 if reported.exists() else 4) == 0, f"killed at operation {kill_at}"
        if status == 0:
            print(kill_at - 1)
            return
        shutil.rmtree(fold)
        reported.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
