"""What this process holds while a run directory fills: memory, open files, threads. Linux only."""

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

_SAMPLE_S = 0.1


class Sample(NamedTuple):
    """What the process held at one time.

    Attributes:
      part: "steps" or "folds".
      seconds: since the part began.
      step: logged last, in any fold.
      folds: finished.
      rss_mib: resident memory.
      files: open file descriptors.
      threads: of the process, those of the libraries included.
    """

    part: str
    seconds: float
    step: int
    folds: int
    rss_mib: float
    files: int
    threads: int


class Sampler:
    """Take a sample of this process every tenth of a second, in a thread, while entered."""

    def __init__(self, part: str, run_dir: Path, per_line: int) -> None:
        """``per_line``: steps that a line of a fold's log stands for."""
        self.samples: list[Sample] = []
        self._part, self._run_dir, self._per_line = part, run_dir, per_line
        self._start = time.perf_counter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_SAMPLE_S):
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
