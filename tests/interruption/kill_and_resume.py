"""Kill a run several times, and start it again with the same command until it ends."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.interruption.kill_points import ANY, KillPoint, common_step, count, describe, wait_for

ROOT = Path(__file__).parents[2]
_EXTRA_S = 120.0  # time limit of a start beyond three times the uninterrupted run, for a busy machine


class Failed(Exception):
    """A failed check of a run; the message gives the reason."""


@dataclass
class Timing:
    """Durations of the parts of a run, in seconds.

    Attributes:
      data_s: Drawing and preparing the data.
      start_s: From the start to the first logged step, without the data; of the fastest start so far.
      train_s: From the first logged step to the end.
      total_s: The uninterrupted run.
      steps: Updates of each fold.
    """

    data_s: float
    start_s: float
    train_s: float
    total_s: float
    steps: int

    @property
    def limit_s(self) -> float:
        """The time limit of one start."""
        return 3 * self.total_s + _EXTRA_S

    def remaining_s(self, run_dir: Path) -> float:
        """Return the estimated duration of the next start of a run directory."""
        data_s = 0.0 if (run_dir / "data" / "prepared.json").exists() else self.data_s
        return data_s + self.start_s + self.train_s * (1 - min(1.0, common_step(run_dir) / self.steps))


def start_run(run_dir: Path, options: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Start the command on one CPU device, in a process group of its own, with its output appended to ``log``."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1"}
    flags = re.sub(r"--xla_force_host_platform_device_count=\d+", "", environment.get("XLA_FLAGS", ""))
    environment["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=1"
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "icegan_jax.main", *options, f"--workdir={run_dir}"],
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def kill(process: "subprocess.Popen[bytes]") -> bool:
    """Send SIGKILL to the process and its subprocesses; return whether the process was still running."""
    alive = process.poll() is None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        alive = False
    return process.wait() == -signal.SIGKILL and alive


def run_uninterrupted(run_dir: Path, options: Sequence[str], log: Path, show: Callable[[str], None]) -> Timing:
    """Run to the end, and measure the durations."""
    start = time.monotonic()
    process = start_run(run_dir, options, log)
    seen: dict[str, float] = {}
    events = {
        "data started": lambda: any(run_dir.glob("*data*")) or any(run_dir.glob(".*data*")),
        "data ready": lambda: (run_dir / "data" / "prepared.json").exists(),
        "first step": lambda: any(path.stat().st_size for path in (run_dir / "folds").glob("*/metrics.jsonl")),
    }
    try:
        while process.poll() is None:
            for name, has_happened in events.items():
                if name not in seen and has_happened():
                    seen[name] = time.monotonic() - start
                    show(f"uninterrupted run: {name}")
            time.sleep(0.01)
    finally:
        kill(process)
    check_log(log)
    if process.returncode:
        raise Failed(f"the uninterrupted run ended with {process.returncode}; see {log}")
    total_s = time.monotonic() - start
    ready = seen.get("data ready", 0.0)
    data_s = ready - seen.get("data started", ready)
    first = seen["first step"]
    steps = json.loads((run_dir / "config.json").read_text())["training"]["steps"]
    return Timing(data_s, first - data_s, total_s - first, total_s, steps or 1)


def run_with_kills(
    run_dir: Path,
    options: Sequence[str],
    log: Path,
    kill_points: Sequence[KillPoint],
    timing: Timing,
    show: Callable[[str], None],
    report: Callable[[str], None],
) -> list[KillPoint]:
    """Kill a run at each of the kill points, start it again, and let the last start end.

    Args:
      run_dir: The run directory.
      options: Of the command.
      log: File for the output.
      kill_points: In the order in which the run reaches them.
      timing: Of the uninterrupted run.
      show: Receives the current activity.
      report: Receives a line about each kill.

    Returns:
      The kill points that were not reached before the run ended.

    Raises:
      Failed: A start ended with an error or a traceback, or took too long.
    """
    remaining = list(kill_points)
    for number in itertools.count(1):
        point = remaining.pop(0) if remaining else None
        show(f"{run_dir.name}, start {number}" + (f", waits: {point.kind}" if point else ""))
        start = time.monotonic()
        process = start_run(run_dir, options, log)
        try:
            if point and _reached(point, run_dir, process, timing) and kill(process):
                seconds = time.monotonic() - start
                report(f"{seconds:.1f} s ({point.kind}), resumed from: {describe(run_dir)}")
                check_log(log)
                continue
            while process.poll() is None and time.monotonic() - start < timing.limit_s:
                time.sleep(0.02)
        finally:
            ended = not kill(process)
        check_log(log)
        if not ended:
            raise Failed(f"{run_dir.name}: a start took longer than {timing.limit_s:.0f} s; see {log}")
        if process.returncode:
            raise Failed(f"{run_dir.name}: a start ended with {process.returncode}; see {log}")
        return ([point] if point else []) + remaining
    raise AssertionError("not reached: the last start returns or raises")


def check_log(log: Path) -> None:
    """Raise Failed if the output of a run has a traceback."""
    if "Traceback" in log.read_text(errors="replace"):
        raise Failed(f"a traceback: see {log}")


def _reached(point: KillPoint, run_dir: Path, process: "subprocess.Popen[bytes]", timing: Timing) -> bool:
    """Wait for the kill point; return False if the run ended, or took too long, before."""
    if point.kind != ANY:
        return wait_for(point, run_dir, lambda: process.poll() is not None, timing.limit_s, timing.data_s)
    start, since = time.monotonic(), time.time()
    end, first = start + point.after * timing.remaining_s(run_dir), None
    had_data = (run_dir / "data" / "prepared.json").exists()
    while process.poll() is None and time.monotonic() < end:
        if first is None and had_data and count(run_dir, "metrics.jsonl", since):
            first = time.monotonic() - start
            timing.start_s = min(timing.start_s, first)
        time.sleep(0.005)
    return process.poll() is None
