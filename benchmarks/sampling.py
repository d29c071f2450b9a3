"""Samples of this process during a training: memory, open files and threads. Linux only."""

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

_SAMPLE_S = 0.1


class Sample(NamedTuple):
    """The resources of the process at one time.

    Attributes:
      part: "steps" or "folds", the part of the benchmark.
      seconds: seconds since the part began.
      step: the last logged step.
      folds: number of finished folds.
      rss_mib: resident memory in MiB.
      files: number of open file descriptors.
      threads: number of threads of the process, those of libraries included.
    """

    part: str
    seconds: float
    step: int
    folds: int
    rss_mib: float
    files: int
    threads: int


class Sampler:
    """A context manager that samples this process every tenth of a second in a thread."""

    def __init__(self, part: str, run_dir: Path, per_line: int) -> None:
        """Prepare the thread; ``per_line``: number of steps per line of a fold's log."""
        self.samples: list[Sample] = []
        self._part, self._run_dir, self._per_line = part, run_dir, per_line
        self._start = time.perf_counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            self.samples.append(self._sample())

    def _sample(self) -> Sample:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        logs = list((self._run_dir / "folds").glob("*/metrics.jsonl"))
        lines = sum(path.read_bytes().count(b"\n") for path in logs[:1])
        return Sample(
            self._part,
            time.perf_counter() - self._start,
            lines * self._per_line,
            len(list((self._run_dir / "folds").glob("*/result.json"))),
            pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
            len(os.listdir("/proc/self/fd")),
            len(os.listdir("/proc/self/task")),
        )
