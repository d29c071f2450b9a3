"""Kill runs at random points, start them again, and compare their results with those of an uninterrupted run.

    python -m tests.interruption.kill_and_resume --kills=20 --seed=0
    python -m tests.interruption.kill_and_resume --kills=20 --seed=0 -- --config=configs/demo.py

Each run directory is killed about four times (SIGKILL) and started again by the same command until it ends. Every
second kill comes at a random file operation (see ``main_killed_at``), the others at a random time. Then
predictions.csv, every fold's predictions, faces, log and last checkpoint must be, byte for byte, those of the
uninterrupted run, and no temporary file may remain. The exit code is 0 if all results were equal, otherwise 1.
"""

import argparse
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.interruption.compare import contents, differences, leftovers

ROOT = Path(__file__).parents[2]
_PER_RUN = 4  # kills of one run directory
_RESUMED = 0.5  # duration of a resumed start, about, as a part of that of the uninterrupted run
_EXTRA_S = 120.0  # time limit of a start beyond three times the uninterrupted run, for a busy machine


class Failed(Exception):
    """A failed check of a run; the message gives the reason."""


def small() -> list[str]:
    """Return the options of the smallest run: two folds of 12 steps side by side, a checkpoint every 4."""
    from tests.test_main import SMALL

    return [*SMALL, "--config.training.steps=12", "--config.training.checkpoint_every=4", "--config.loss.perceptual=0"]


def start_run(run_dir: Path, options: Sequence[str], log: Path, kill_at: int = 0) -> "subprocess.Popen[bytes]":
    """Start the command on one CPU device, in a process group of its own, with its output appended to ``log``."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}
    flags = re.sub(r"--xla_force_host_platform_device_count=\d+", "", environment.get("XLA_FLAGS", ""))
    environment["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=1"
    command = ["-m", "tests.interruption.main_killed_at", str(kill_at), *options, f"--workdir={run_dir.absolute()}"]
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )


def wait_and_kill(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Wait until the process ends, at most some seconds, then kill its group; return whether it was killed."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def check_log(log: Path) -> None:
    """Raise Failed if the output of a run has a traceback."""
    if "Traceback" in log.read_text(errors="replace"):
        raise Failed(f"a traceback: see {log}")


def run_uninterrupted(run_dir: Path, options: Sequence[str], log: Path) -> tuple[float, int]:
    """Run to the end; return the seconds and the number of file operations."""
    start = time.monotonic()
    process = start_run(run_dir, options, log)
    wait_and_kill(process, 3600)
    check_log(log)
    if process.returncode:
        raise Failed(f"the uninterrupted run ended with {process.returncode}; see {log}")
    return time.monotonic() - start, int(log.read_text(errors="replace").rpartition("operations ")[2])


def run_with_kills(
    run_dir: Path, options: Sequence[str], log: Path, kills: int, rng: random.Random, seconds: float, operations: int
) -> int:
    """Kill a run at most ``kills`` times, starting it again each time; return the number of kills before it ended.

    Args:
      run_dir: The run directory.
      options: Of the command.
      log: File for the output.
      kills: The largest number of kills.
      rng: Draws the points.
      seconds: Duration of the uninterrupted run.
      operations: File operations of the uninterrupted run.

    Raises:
      Failed: A start ended with an error or a traceback, or took too long.
    """
    limit = 3 * seconds + _EXTRA_S
    for killed in itertools.count():
        by_time = killed % 2 == 1
        kill_at = 0 if killed == kills or by_time else rng.randint(1, operations)
        process = start_run(run_dir, options, log, kill_at)
        start = time.monotonic()
        was_killed = wait_and_kill(process, _RESUMED * seconds * rng.random() if by_time and killed < kills else limit)
        check_log(log)
        if not was_killed and process.returncode == 0:
            return killed
        if not was_killed or killed == kills:
            raise Failed(f"{run_dir.name}: a start ended with {process.returncode}; see {log}")
        where = log.read_text(errors="replace").splitlines()[-1] if kill_at else "killed at a random time"
        print(f"{run_dir.name}, start {killed + 1}: {where} ({time.monotonic() - start:.1f} s)", flush=True)
    raise AssertionError("not reached: the last start returns or raises")


def kill_runs(kills: int, seed: int, out: Path, options: Sequence[str]) -> int:
    """Kill runs until there were as many kills, and print a line for each.

    Returns:
      The number of kills in runs whose results are equal to those of an uninterrupted run.
    """
    rng, good, total = random.Random(seed), 0, 0
    uninterrupted = out / "uninterrupted"
    seconds, operations = run_uninterrupted(uninterrupted, options, out / "uninterrupted.log")
    expected = contents(uninterrupted)
    print(f"uninterrupted: {seconds:.0f} s, {operations} file operations, {len(expected)} digests", flush=True)
    for number in itertools.count(1):
        run_dir, log = out / f"run{number}", out / f"run{number}.log"
        count = run_with_kills(run_dir, options, log, min(_PER_RUN, kills - total), rng, seconds, operations)
        wrong, left = differences(contents(run_dir), expected), leftovers(run_dir)
        print(
            f"{run_dir.name}: {count} kills, {len(expected) - len(wrong)} of {len(expected)} digests equal", *wrong[:5]
        )
        if left:
            print(f"{run_dir.name}: left behind: {', '.join(left)}")
        total += count
        if not wrong and not left:
            good += count
            shutil.rmtree(run_dir)  # the demo's is hundreds of MB
        if total == kills:
            return good
    raise AssertionError("not reached")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("options", nargs="*", help="of icegan_jax.main, after -- (default: a tiny run)")
    args = parser.parse_args(argv)
    out = Path(tempfile.mkdtemp(prefix="kill-and-resume-"))
    print(f"runs in {out}")
    try:
        good = kill_runs(args.kills, args.seed, out, args.options or small())
    except Failed as error:
        print(error)
        good = 0
    print(f"{good} of {args.kills}")
    return 0 if good == args.kills else 1


if __name__ == "__main__":
    sys.exit(main())
