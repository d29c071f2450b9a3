"""Run icegan_jax.main, and kill the process at its n-th file operation in the run directory; never for n = 0.

    python -m tests.interruption.main_killed_at N OPTIONS --workdir=RUN

The operations are those of Python, as its audit events report them; ``operations N`` is printed at the end.
"""

import atexit
import os
import runpy
import signal
import sys

_OPERATIONS = ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate")


def main() -> None:
    kill_at, run_dir, count = int(sys.argv.pop(1)), sys.argv[-1].partition("=")[2], 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in _OPERATIONS and str(arguments[0]).startswith(run_dir):
            count += 1
            if count == kill_at:
                os.write(2, f"\nkilled at {event} {str(arguments[0]).removeprefix(run_dir)}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    atexit.register(lambda: print(f"operations {count}", flush=True))
    runpy.run_module("icegan_jax.main", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
