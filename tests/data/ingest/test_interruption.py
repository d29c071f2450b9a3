"""A run of prepare that is killed, as by SIGKILL or a power cut."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from icegan_jax.data.clips import Clip, write_clips
from icegan_jax.data.crop import CropOptions
from icegan_jax.data.dataset import SUMMARY_FILE
from icegan_jax.data.ingest.build import prepare_clips
from icegan_jax.errors import UserError
from icegan_jax.io import atomic_dir

OPTIONS = CropOptions(size=16)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def clips(tmp_path: Path, write_clip: Callable[..., None]) -> list[Clip]:
    write_clip(tmp_path / "frames")
    clip = Clip("d", "anna", "a", 1, tmp_path / "frames", 10, 14, 16)
    return [clip, replace(clip, clip="b", apex=12), replace(clip, clip="c", apex=13)]


SCRIPT = """
import sys
from icegan_jax.data.clips import read_clips
from icegan_jax.data.ingest.build import prepare_clips
from icegan_jax.data.crop import CropOptions
if __name__ == "__main__":
    prepare_clips(read_clips(sys.argv[1]), sys.argv[2], options=CropOptions(size=16), workers=2, progress=False)
"""


def _children(process: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")
def test_a_killed_run_loses_only_unfinished_clips_and_its_processes_end(tmp_path: Path, clips: list[Clip]) -> None:
    many = [replace(clips[0], clip=f"{n}{apex}", apex=apex, offset=15 + n) for apex in range(11, 16) for n in (0, 1)]
    many = [replace(clip, clip=f"{clip.clip}{onset}", onset=onset) for clip in many for onset in (8, 9, 10)]
    for onset in (8, 9):
        (clips[0].frames / f"img{onset}.png").write_bytes((clips[0].frames / "img10.png").read_bytes())
    write_clips(tmp_path / "clips.csv", many)
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    out = tmp_path / "data"
    run = subprocess.Popen([sys.executable, str(script), str(tmp_path / "clips.csv"), str(out)])
    kept = tmp_path / ".data.partial" / "cache"
    _wait_until(lambda: kept.is_dir() and len(_names(kept)) > 3)
    with (
        pytest.raises(UserError, match=rf"data: in use by .*pid {run.pid}.*; wait"),
        atomic_dir(out, SUMMARY_FILE, "prepare"),
    ):
        pass
    workers = _children(run.pid)
    run.kill()
    run.wait()
    assert len(workers) >= 2
    _wait_until(lambda: not any(_alive(worker) for worker in workers))
    whole = len([name for name in _names(kept) if len(name) == 64])
    assert 3 <= whole < len(many) and not out.exists()
    summary = prepare_clips(many, out, options=OPTIONS, workers=1, progress=False)
    assert summary.reused == whole
    assert _names(tmp_path) == ["clips.csv", "data", "frames", "run.py"]
    prepare_clips(many, tmp_path / "fresh", options=OPTIONS, workers=1, progress=False)
    assert _files(out) == _files(tmp_path / "fresh")
