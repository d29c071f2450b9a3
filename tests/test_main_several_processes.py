"""The command in two processes: the same predictions as in one, also after processes were killed."""

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.test_main import FOLDS, ROOT, SMALL, command, read_json
from tests.training.test_distributed import free_port

# One fold at a time, so that one and two processes run the same program: the predictions are equal byte by byte.
FEW = [*SMALL, "--config.training.folds_per_device=1", "--config.training.steps=12", "--lost_after=4"]
FEW.append("--config.loss.perceptual=0")  # compiles sooner


class Ended(NamedTuple):
    """Exit code and output of a process; ``err`` includes overwritten progress bars."""

    code: int
    out: str
    err: str


def start(run_dir: Path, index: int, port: int) -> "subprocess.Popen[str]":
    return start_single(run_dir, f"--coordinator=127.0.0.1:{port}", "--num_processes=2", f"--process_id={index}")


def start_single(run_dir: Path, *options: str) -> "subprocess.Popen[str]":
    flags = os.environ["XLA_FLAGS"].replace("device_count=4", "device_count=1")
    return subprocess.Popen(
        [sys.executable, "-m", "icegan_jax.main", *FEW, f"--workdir={run_dir}", *options],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_two(run_dir: Path, kill: int | None = None, fold: str = "") -> list[Ended]:
    """Run two processes; kill one after its first step of ``fold``."""
    port = free_port()
    with start(run_dir, 1, port) as second, start(run_dir, 0, port) as first, ThreadPoolExecutor(2) as pool:
        both = (first, second)
        ends = [pool.submit(process.communicate) for process in both]
        log = run_dir / "folds" / fold / "metrics.jsonl"
        while kill is not None and both[kill].poll() is None:
            if log.is_file() and log.read_text():
                both[kill].kill()
                break
            time.sleep(0.02)
        try:
            written = [end.result(timeout=500) for end in ends]
        finally:
            for process in both:
                process.kill()
    return [Ended(process.returncode, *texts) for process, texts in zip(both, written, strict=True)]


def last_line(err: str) -> str:
    return err.strip().splitlines()[-1].rpartition("\r")[2].strip()


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("single") / "run"
    done = command(*FEW, f"--workdir={run_dir}")
    assert done.returncode == 0, done.stderr
    assert "programs from the cache)" in done.stdout
    return run_dir


@pytest.fixture(scope="module")
def together(single: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Ended]]:
    run_dir = tmp_path_factory.mktemp("together") / "run"
    ends = run_two(run_dir)
    assert [end.code for end in ends] == [0, 0], ends
    return run_dir, ends


def test_two_processes_predict_what_one_does(single: Path, together: tuple[Path, list[Ended]]) -> None:
    run_dir, _ = together
    assert (run_dir / "predictions.csv").read_bytes() == (single / "predictions.csv").read_bytes()
    actual, expected = (read_json(folder / "results.json") for folder in (run_dir, single))
    for field in ("overall", "datasets", "floors", "data_fingerprint"):
        assert actual[field] == expected[field]
    assert actual["versions"]["machine"] == f"2 processes, the first with {expected['versions']['machine']}"


def test_each_process_prints_its_folds(together: tuple[Path, list[Ended]]) -> None:
    _, (first, second) = together
    for index, end in enumerate((first, second)):
        assert f"process {index} of 2: 1 of 2 folds of 12 steps, 30 pairs of 6 clips, 1 x cpu" in end.out
        assert f"process {index} of 2, folds 1-1, group 1/1" in end.err
        assert "Traceback" not in end.err
    assert "process 1 of 2: 1 of 1 folds finished" in second.out.splitlines()[-1]
    assert "process 0 gathers the results" in second.out.splitlines()[-1]
    assert "overall" in first.out and "overall" not in second.out
    assert "drawing faces" in first.err and "drawing faces" not in second.err  # by one process, the other waited
    assert "process 1 of 2 waits for the data" in second.err


def test_each_process_trained_its_own_folds_at_the_same_time(together: tuple[Path, list[Ended]]) -> None:
    """The time of the run is that of the slower process, not the sum."""
    run_dir, _ = together
    results = [read_json(run_dir / "folds" / fold / "result.json") for fold in FOLDS]
    assert [result["process"] for result in results] == [0, 1]
    timing = read_json(run_dir / "results.json")["timing"]
    assert timing["wall_s"] == max(result["wall_s"] for result in results)
    assert timing["steps_per_s"] == pytest.approx(24 / (timing["wall_s"] - timing["compile_s"]))


def test_killed_processes_lose_their_unfinished_folds_only(single: Path, tmp_path: Path) -> None:
    """First process 0 is killed, in the next start process 1; then one process does the rest."""
    run_dir = tmp_path / "run"
    first, second = run_two(run_dir, kill=0, fold=FOLDS[0])
    assert (first.code, second.code) == (-9, 2), second
    assert last_line(second.err).startswith(f"error: 1 fold missing (process 0 lost): {FOLDS[0]}; the same command")
    done = read_json(run_dir / "folds" / FOLDS[1] / "result.json")
    assert not (run_dir / "folds" / FOLDS[0] / "result.json").exists()

    (run_dir / "folds" / FOLDS[0] / "metrics.jsonl").unlink()
    first, second = run_two(run_dir, kill=1, fold=FOLDS[0])
    assert (first.code, second.code) == (2, -9), first
    assert "process 0 of 2: 0 of 2 folds" in first.out
    assert last_line(first.err).startswith(f"error: 1 fold missing (process 1 lost): {FOLDS[0]}; the same command")
    assert not (run_dir / "results.json").exists()

    last = command(*FEW, f"--workdir={run_dir}")
    assert last.returncode == 0, last.stderr
    assert read_json(run_dir / "folds" / FOLDS[1] / "result.json") == done
    assert (run_dir / "predictions.csv").read_bytes() == (single / "predictions.csv").read_bytes()


def test_flags_that_do_not_go_together(tmp_path: Path) -> None:
    done = command(*FEW, f"--workdir={tmp_path / 'run'}", "--num_processes=2", "--process_id=1")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --coordinator: missing; give all of")
    assert len(done.stderr.strip().splitlines()) == 1 and not list(tmp_path.iterdir())


def test_an_active_run_is_not_disturbed(single: Path, tmp_path: Path) -> None:
    """A second command in the same folder, by mistake."""
    folder = tmp_path / "run" / "processes"
    folder.mkdir(parents=True)
    status = folder / "0.json"
    status.write_text(json.dumps({"state": "running", "note": "0", "host": "node7", "pid": 4711}))
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import json, pathlib, sys, time\n"
            "path = pathlib.Path(sys.argv[1])\n"
            "content = json.loads(path.read_text())\n"
            "for number in range(1, 3000):\n"
            "    path.with_suffix('.new').write_text(json.dumps(content | {'note': str(number)}))\n"
            "    path.with_suffix('.new').replace(path)\n"
            "    time.sleep(0.1)\n",
            str(status),
        ]
    )
    try:
        done = command(*FEW, f"--workdir={tmp_path / 'run'}")
    finally:
        writer.kill()
        writer.wait()
    assert done.returncode == 2
    expected = f"error: {tmp_path}/run: a run is active there (process 0 on node7, pid 4711); let it end"
    assert last_line(done.stderr).startswith(expected)
    assert not (folder / "run.json").exists()


def files(run_dir: Path) -> set[str]:
    """Return the files of folds and data without checkpoints, which have their own tests."""
    actual = {path.relative_to(run_dir).as_posix() for path in run_dir.rglob("*") if path.is_file()}
    return {name for name in actual if name.startswith(("folds/", "data/")) and "/checkpoints/" not in name}


def test_two_simultaneous_commands_on_one_run_directory(single: Path, tmp_path: Path) -> None:
    """Two runs, not two processes of one: the second is refused, and the first is not affected."""
    shared = tmp_path / "new" / "shared"
    both = [start_single(shared), start_single(shared)]
    try:
        while all(process.poll() is None for process in both):
            time.sleep(0.02)
        refused = next(process for process in both if process.poll() is not None)
        active = both[0] if refused is both[1] else both[1]
        assert active.poll() is None, "the refusal does not wait for the run's end"
        out, err = refused.communicate(timeout=60)
        assert (refused.returncode, out) == (2, ""), err
        name = rf"process 0 on \S+, pid {active.pid}, since \d\d:\d\d"
        message = rf"error: {shared}: a run is active there \({name}\); let it end, or choose another --workdir\n"
        assert re.fullmatch(message, err), err
        out, err = active.communicate(timeout=300)
        assert active.returncode == 0, err
    finally:
        for process in both:
            process.kill()
            process.communicate()
    assert (shared / "predictions.csv").read_bytes() == (single / "predictions.csv").read_bytes()
    assert files(shared) == files(single)
    assert (shared / "processes" / "lock").read_text() == ""
