"""Two commands started on one run directory at the same moment: one works, the other refuses, the result is whole."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.test_main import ROOT, command
from tests.test_main_processes import FEW  # the same programs: compiled once a session


def begin(run_dir: Path) -> "subprocess.Popen[str]":
    flags = os.environ["XLA_FLAGS"].replace("device_count=4", "device_count=1")
    return subprocess.Popen(
        [sys.executable, "-m", "icegan_jax.main", *FEW, f"--workdir={run_dir}"],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def files(run_dir: Path) -> set[str]:
    """Of the folds and the data; checkpoints have their own tests."""
    found = {path.relative_to(run_dir).as_posix() for path in run_dir.rglob("*") if path.is_file()}
    return {name for name in found if name.startswith(("folds/", "data/")) and "/checkpoints/" not in name}


def test_two_commands_on_one_run_directory(tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "new" / "shared"
    done = command(*FEW, f"--workdir={alone}")
    assert done.returncode == 0, done.stderr

    both = (begin(shared), begin(shared))
    try:
        while all(process.poll() is None for process in both):
            time.sleep(0.02)
        first_to_end = next(process for process in both if process.poll() is not None)
        works = both[0] if first_to_end is both[1] else both[1]
        assert works.poll() is None, "the refusal does not wait for the run's end"
        out, err = first_to_end.communicate(timeout=60)
        assert (first_to_end.returncode, out) == (2, ""), err
        who = rf"process 0 on \S+, pid {works.pid}, since \d\d:\d\d"
        message = rf"error: {shared}: a run is at work there \({who}\); let it end, or choose another --workdir\n"
        assert re.fullmatch(message, err), err
        out, err = works.communicate(timeout=300)
        assert works.returncode == 0, err
    finally:
        for process in both:
            process.kill()
            process.communicate()

    assert (shared / "predictions.csv").read_bytes() == (alone / "predictions.csv").read_bytes()
    assert files(shared) == files(alone)
    assert (shared / "processes" / "lock").read_text() == ""
