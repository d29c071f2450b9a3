import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.data.fuzz.case import Case, CaseRunner
from tests.data.fuzz.damage import KINDS
from tests.data.fuzz.invariants import violations
from tests.data.fuzz.run import main
from tests.data.fuzz.sources import build_sources


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> CaseRunner:
    return CaseRunner(tmp_path_factory.mktemp("fuzz") / "work", seed=0)


# A case per kind, but for those that differ little from another; the command tries all, with many more cases.
_SIMILAR = (
    "video: zeros",
    "csv: zeros",
    "image: zeros",
    "workbook: zeros",
    "noise",
    "files deleted",
    "files swapped",
    "table: other number",
)
_KINDS = [kind for kind in KINDS if kind not in _SIMILAR]


@pytest.mark.parametrize("kind", _KINDS)
def test_damage_ends_in_a_prepared_set_or_one_error(runner: CaseRunner, kind: str) -> None:
    assert violations(runner.run(list(KINDS).index(kind))) == []


@pytest.fixture(scope="module")
def prepared_case(runner: CaseRunner) -> Iterator[Case]:
    """A case that is prepared though a file of text lies among its frames; its folder stays as it is."""
    yield runner.run(list(KINDS).index("text among frames"))


def test_a_silent_change_is_a_violation(prepared_case: Case) -> None:
    result = prepared_case.result
    assert result is not None and violations(prepared_case) == []
    key = next(key for key in result.labels if "/".join(key) not in result.reported)
    silent = {
        "label 2 became": replace(result, labels={**result.labels, key: (result.labels[key] + 1) % 3}),
        "other pixels": replace(result, pixels={**result.pixels, key: b""}),
        "frames": replace(result, frames={**result.frames, key: (0, 1, 2)}),
        "vanished": replace(result, labels={k: label for k, label in result.labels.items() if k != key}),
        "is new": replace(result, labels={**result.labels, ("samm", "099", "099_1_1"): 0}),
    }
    for words, tampered in silent.items():
        actual = violations(replace(prepared_case, result=tampered))
        assert any(words.replace("2", str(result.labels[key])) in breach for breach in actual), words


def test_a_wrong_exit_is_a_violation(prepared_case: Case) -> None:
    full, check = prepared_case.full, prepared_case.check
    wrong = {
        "full: ValueError": replace(prepared_case, full=replace(full, code=None, crash="Traceback\nValueError: x")),
        "full: exit code 1": replace(prepared_case, full=replace(full, code=1)),
        "with on stderr": replace(prepared_case, full=replace(full, err="UserWarning: something")),
        "not one error line": replace(
            prepared_case, full=replace(full, code=2, err="error: a\nerror: b\n"), result=None
        ),
        "names no file": replace(
            prepared_case, full=replace(full, code=2, out="", err="error: bad; go away\n"), result=None
        ),
        "would stop, and it does not": replace(
            prepared_case, check=replace(check, code=2, err="error: --raw: bad; mend it\n")
        ),
        "--check wrote": replace(prepared_case, written=["data"]),
    }
    for words, case in wrong.items():
        assert any(words in breach for breach in violations(case)), words


def test_a_damaged_video_is_one_line_in_a_process_of_its_own(tmp_path: Path) -> None:
    build_sources(tmp_path / "sources")
    video = tmp_path / "sources/own/videos/cleo1.mp4"
    video.write_bytes(video.read_bytes()[:500])
    arguments = ["--source=clips", f"--raw={tmp_path / 'sources/own/clips.csv'}", f"--out={tmp_path / 'data'}"]
    command = [sys.executable, "-m", "icegan_jax.prepare", *arguments, "--workers=1"]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert completed.returncode == 2
    assert completed.stderr.startswith("error: ") and completed.stderr.count("\n") == 1, completed.stderr
    assert "cleo1.mp4: not a readable video" in completed.stderr


def test_the_command_prints_the_damage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--case=3", f"--keep={tmp_path}"]) == 0
    first = capsys.readouterr().out
    assert first.startswith("case 3: workbook: zeros") and first.endswith("\n1 of 1\n")
    assert "error: " in first
    assert (tmp_path / "work/case/sources").is_dir()
