"""One run directory, whose run is killed several times and started again by the same command until it ends."""

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

from tests.interruption.kill_points import ANY, Moment, common_step, count, describe, wait_for

ROOT = Path(__file__).parents[2]
_SPARE_S = 120.0  # that a start may take beyond three times the uninterrupted run: a machine may be busy


class Failed(Exception):
    """A run that did not do what it should; the message says what."""


@dataclass
class Timing:
    """How long the parts of a run take, in seconds.

    Attributes:
      data_s: drawing and preparing the data.
      start_s: from the start to the first logged step, without the data; of the quickest start so far.
      train_s: from there to the end.
      total_s: the uninterrupted run.
      steps: updates of each fold.
    """

    data_s: float
    start_s: float
    train_s: float
    total_s: float
    steps: int

    @property
    def limit_s(self) -> float:
        """How long one start may take."""
        return 3 * self.total_s + _SPARE_S

    def left_s(self, run_dir: Path) -> float:
        """About how long a start of this run directory will take."""
        data_s = 0.0 if (run_dir / "data" / "prepared.json").exists() else self.data_s
        return data_s + self.start_s + self.train_s * (1 - min(1.0, common_step(run_dir) / self.steps))


def begin(run_dir: Path, options: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Starts the command on one CPU device, in a process group of its own; what it writes is appended to ``log``."""
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
    """SIGKILL for the process and all it started; whether it was still at work."""
    alive = process.poll() is None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        alive = False
    return process.wait() == -signal.SIGKILL and alive


def uninterrupted(run_dir: Path, options: Sequence[str], log: Path, show: Callable[[str], None]) -> Timing:
    """Runs to the end, and measures."""
    start = time.monotonic()
    process = begin(run_dir, options, log)
    seen: dict[str, float] = {}
    looks = {
        "data begun": lambda: any(run_dir.glob("*data*")) or any(run_dir.glob(".*data*")),
        "data ready": lambda: (run_dir / "data" / "prepared.json").exists(),
        "first step": lambda: any(path.stat().st_size for path in (run_dir / "folds").glob("*/metrics.jsonl")),
    }
    try:
        while process.poll() is None:
            for name, look in looks.items():
                if name not in seen and look():
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
    data_s = ready - seen.get("data begun", ready)
    first = seen["first step"]
    steps = json.loads((run_dir / "config.json").read_text())["training"]["steps"]
    return Timing(data_s, first - data_s, total_s - first, total_s, steps or 1)


def interrupted(
    run_dir: Path,
    options: Sequence[str],
    log: Path,
    moments: Sequence[Moment],
    timing: Timing,
    show: Callable[[str], None],
    tell: Callable[[str], None],
) -> list[Moment]:
    """Kills a run at the moments, starting it again after each, and lets the last start end.

    Args:
      show: takes what is going on.
      tell: takes a line of each kill.

    Returns:
      The moments that did not come before the run ended.

    Raises:
      Failed: a start that ended with an error, a traceback, or took too long.
    """
    waiting = list(moments)
    for number in itertools.count(1):
        moment = waiting.pop(0) if waiting else None
        show(f"{run_dir.name}, start {number}" + (f", waits: {moment.kind}" if moment else ""))
        start = time.monotonic()
        process = begin(run_dir, options, log)
        try:
            if moment and _reached(moment, run_dir, process, timing) and kill(process):
                seconds = time.monotonic() - start
                tell(f"{seconds:.1f} s ({moment.kind}), went on from: {describe(run_dir)}")
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
        return ([moment] if moment else []) + waiting
    raise AssertionError("not reached: the last start ends, or fails")


def check_log(log: Path) -> None:
    """Refuses a traceback in what a run wrote."""
    if "Traceback" in log.read_text(errors="replace"):
        raise Failed(f"a traceback: see {log}")


def _reached(moment: Moment, run_dir: Path, process: "subprocess.Popen[bytes]", timing: Timing) -> bool:
    """Waits for the moment; False where the run ended, or took too long, before."""
    if moment.kind != ANY:
        return wait_for(moment, run_dir, lambda: process.poll() is not None, timing.limit_s, timing.data_s)
    start, since = time.monotonic(), time.time()
    end, first = start + moment.after * timing.left_s(run_dir), None
    had_data = (run_dir / "data" / "prepared.json").exists()
    while process.poll() is None and time.monotonic() < end:
        if first is None and had_data and count(run_dir, "metrics.jsonl", since):
            first = time.monotonic() - start
            timing.start_s = min(timing.start_s, first)
        time.sleep(0.005)
    return process.poll() is None
