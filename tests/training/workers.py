"""Functions that the tests of Dask call in workers, without networks."""

import time
from pathlib import Path

from icegan_jax.errors import UserError
from icegan_jax.training.distributed import Task


def append(path: str, task: Task) -> str:
    """Append the worker's name to a file; end soon after the task is canceled, with one more line."""
    with Path(path).open("a") as file:
        for step in range(600):
            print(f"{step} {task.worker}", file=file, flush=True)
            task.show_progress(1, {"L1": 0.5})
            if task.requested_signal() is not None:
                print("saved", file=file, flush=True)
                break
            time.sleep(0.05)
    return path


def count(number: int, task: Task) -> int:
    return number + 1


def fail(kind: str, task: Task) -> None:
    raise UserError("data/none: no prepared pairs; prepare them") if kind == "user" else ValueError("a bug")
