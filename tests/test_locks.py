"""Locks on files."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from icegan_jax.errors import UserError
from icegan_jax.locks import LockedError, hold_lock
from icegan_jax.train import _lock_run_dir

HOLD = """
import sys, time
from pathlib import Path
from icegan_jax.locks import hold_lock
with hold_lock(Path(sys.argv[1]), "run", ""):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_holder_is_refused_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "run.lock"
    with hold_lock(path, "run", "let it end") as is_locked:
        assert is_locked
        with pytest.raises(LockedError, match=rf"^run: in use by another process \(.*, pid {os.getpid()}, .*; let it"):
            with hold_lock(path, "run", "let it end"):
                pass
        assert path.stat().st_size
    with hold_lock(path, "run", ""):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"pid {process.pid}"), hold_lock(path, "run", ""):
            pass
        process.kill()
        process.wait()
        with hold_lock(path, "run", "", timeout_s=5):
            pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with _lock_run_dir(tmp_path), _lock_run_dir(tmp_path):
        assert "never start a second command" in capsys.readouterr().err


def test_a_run_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/run: cannot be written \(Not a directory\); choose another --workdir"):
        with _lock_run_dir(tmp_path / "file" / "run"):
            pass


def test_a_second_command_is_refused(tmp_path: Path) -> None:
    with _lock_run_dir(tmp_path), pytest.raises(UserError, match=r"let it end, or choose another --workdir"):
        with _lock_run_dir(tmp_path):
            pass
