import errno
import json
import os
import re
import shutil
import signal
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from icegan_jax import prepare
from icegan_jax.data import crop
from icegan_jax.data.clips import Clip
from icegan_jax.data.databases import READERS
from icegan_jax.data.dataset import load_pairs
from icegan_jax.data.folds import build_folds
from icegan_jax.errors import UserError
from tests.data.fabricate import replace_file
from tests.data.fabricated_casme2 import build_casme2
from tests.data.fabricated_samm import build_samm
from tests.data.fabricated_smic import build_smic

HEADER = "dataset,subject,clip,label,frames,onset,apex,offset"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A clips.csv of two clips whose frames are the astronaut, ever brighter, and mirrored."""
    gray = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)[0:260, 110:350]
    for name, picture in (("frames", gray), ("mirrored", gray[:, ::-1])):
        (tmp_path / "raw" / name).mkdir(parents=True)
        for n in range(4):
            brighter = np.clip(picture + 5 * n, 0, 255).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "raw" / name / f"{n}.png"), brighter)
    path = tmp_path / "raw" / "clips.csv"
    path.write_text(f"{HEADER}\nd,anna,a,happiness,frames,0,2,3\nd,bob,b,Anger,mirrored,0,1,3\n")
    return path


def test_prepares_and_says_what_and_where(tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "data"
    arguments = ["--source=clips", f"--raw={raw}", f"--out={out}", "--workers=1", "--size=64"]
    assert prepare.main(arguments) == 0
    captured = capsys.readouterr().out
    assert "2 of 2 faces found" in captured
    assert "2 clips of 2 subjects: 1 negative, 1 positive, 0 surprise" in captured
    assert f"{out}/contact_sheet.png" in captured
    pairs = load_pairs(out)
    assert pairs.onset.shape == (6, 64, 64)
    assert pairs.fingerprint[:12] in captured
    # Again, over the earlier one.
    assert prepare.main(arguments) == 0
    assert load_pairs(out).fingerprint == pairs.fingerprint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source=clips", "--raw={tmp}/gone.csv"], "gone.csv: no such file"),
        (["--source=clips"], "1 --source but 0 --raw: give one --raw after each --source"),
        (["--source=clips", "--raw={raw}", "--workers=0"], "--workers=0: give 1 or more"),
        (["--source=clips", "--raw={raw}", "--size=3"], "size 3 is out of range"),
        (["--source=clips", "--raw={raw}", "--subjects=3"], "--subjects is of --source=procedural"),
        (["--source=clips", "--raw={tmp}/raw"], "is a folder; give the path of the clips.csv in it"),
        (["--source=clips", "--raw={raw}", "--out={tmp}/raw"], "which prepare will not replace"),
        (["--source=clips", "--raw={raw}", "--out={raw}/x"], "move it away"),
        (["--source=clips", "--raw={raw}", "--out="], "--out is missing; name the folder to make, or use --check"),
        (["--source=procedural", "--raw={raw}"], "--raw is not read with --source=procedural"),
        (["--source=procedural", "--check"], "--check is not read with --source=procedural"),
        (["--source=procedural", "--source=clips"], "--source=procedural goes alone"),
        (["--source=clips", "--raw={raw}", "--like=megc2019"], "--like is of --source=procedural; remove it"),
        (
            ["--source=procedural", "--like=megc2018"],
            "--like=megc2018 is unknown (did you mean megc2019?); use megc2019",
        ),
        (["--source=procedural", "--like=megc2019", "--subjects=3"], "--subjects is not read with --like=megc2019"),
        (["--source=samm", "--source=smic", "--raw=A"], "2 --source but 1 --raw: give one --raw after each --source"),
        (["--source=clips", "--raw={raw}", "--strict", "--skip_damaged"], "remove one of them"),
        (["--source=clips", "--raw={raw}", "--annotation=x.csv"], "--annotation belongs to one database"),
        (["--source=clips", "--raw={raw}", "--release=raw"], "--release is of databases"),
        (["--source=samm", "--raw=A", "--classes=a,b"], "--classes names the classes of --source=clips"),
        (["--source=clips", "--raw={raw}", "--classes=a,a"], "class 'a' is there twice"),
        (["--source=clips", "--raw={raw}", "--official={raw}"], "the organizers' list is of casme2, samm, smic"),
        (["--source=clips", "--raw={raw}", "--repairs={tmp}/gone.csv"], "gone.csv"),
        (["--source=samm", "--raw={tmp}/gone"], "gone"),
        (
            ["--source=casme3"],
            "source 'casme3' is unknown (did you mean casme_cubed?); use one of procedural, clips, meg",
        ),
        (["--source=samm", "--raw={tmp}/raw"], "looked for"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    tmp_path: Path,
    raw: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    filled = [a.format(tmp=tmp_path, raw=raw) for a in ["--out={tmp}/data", *arguments]]
    assert prepare.main(filled) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert message in captured.err
    assert not (tmp_path / "data").exists()
    if not {"--source=procedural", "--out=", "--out={raw}/x"} & set(
        arguments
    ):  # what stops preparation stops its check
        assert prepare.main([*filled, "--check"]) == 2
        assert capsys.readouterr() == captured


def test_one_recording_of_two_subjects(tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(raw.parent / "frames", raw.parent / "copied")
    rows = raw.read_text()
    raw.write_text(f"{rows}d,carl,c,happiness,copied,0,1,2\n")
    arguments = ["--source=clips", f"--raw={raw}", "--workers=1", "--size=64"]
    assert prepare.main([*arguments, "--check"]) == 1
    shared = f"d/carl/c: shares 3 frames with d/anna/a ({raw.parent}/frames), a clip of another subject"
    assert shared in capsys.readouterr().out
    out = tmp_path / "data"
    assert prepare.main([*arguments, f"--out={out}"]) == 0
    assert shared in capsys.readouterr().out and "d/carl/c" in (out / "findings.csv").read_text()
    with pytest.raises(UserError, match="fold d_anna: clip d/anna/a shows a face of d/carl/c, on which the fold is"):
        build_folds(load_pairs(out), protocol="loso", share=0, inner_share=0, seed=0)
    raw.write_text(f"{rows}d,carl,c,anger,copied,0,1,2\n")
    message = "d/carl/c: shares 3 frames with d/anna/a .*, a clip of another subject, under another label; "
    assert prepare.main([*arguments, "--check"]) == 2
    captured = capsys.readouterr().out
    assert re.search(message, captured) and "preparation would stop" in captured
    assert prepare.main([*arguments, f"--out={out}"]) == 2
    assert re.search(message.replace("c:", "c"), capsys.readouterr().err)


@pytest.mark.parametrize(
    ("number", "code", "how"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "stopped by SIGTERM")]
)
def test_an_interruption_is_one_line_and_leaves_no_dataset(
    tmp_path: Path,
    raw: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
    how: str,
) -> None:
    def interrupted(*_: object) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr(crop, "find_face", interrupted)
    out = tmp_path / "data"
    assert prepare.main(["--source=clips", f"--raw={raw}", f"--out={out}", "--workers=1"]) == code
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"error: {how}; the finished clips are kept, start the same command again"
    assert not out.exists()


def test_an_out_that_holds_a_source_or_its_frames_is_refused(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (raw.parent / "prepared.json").touch()  # as an earlier prepared folder
    elsewhere = raw.rename(tmp_path / "clips.csv")
    elsewhere.write_text(
        elsewhere.read_text().replace(",frames,0", ",raw/frames,0").replace(",mirrored", ",raw/mirrored")
    )
    for source in (raw.parent / "frames", elsewhere):
        assert prepare.main(["--source=clips", f"--raw={source}", f"--out={raw.parent}"]) == 2
        assert "which it would replace; choose another --out" in capsys.readouterr().err
    assert len(list((raw.parent / "frames").iterdir())) == 4


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        prepare.main(["--help"])
    assert stopped.value.code == 0
    captured = capsys.readouterr().out
    for source in ("procedural", "clips", "megc2019", "casme2", "samm", "smic"):
        assert f"python -m icegan_jax.prepare --source={source} " in captured
    assert all(name in captured for name in READERS)
    assert "--source=casme2 --raw=A --source=samm --raw=B --source=smic --raw=C --out=" in captured
    assert HEADER in captured
    assert "clip,onset,apex,offset,reason" in captured
    assert all(f"--{name}" in captured for name in ("check", "strict", "official", "repairs", "annotation", "release"))


def few(root: Path, images: Sequence[Path]) -> Path:
    """SAMM with frames of four clips, of which one has a wrong apex."""
    build_samm(root, images=images)
    kept: list[Path] = []
    for folder in sorted(root.glob("SAMM/*/*")):
        if folder.name not in ("006_1_2", "028_4_1", "032_3_1", "013_1_9"):
            shutil.rmtree(folder)
            continue
        for frame in folder.iterdir():  # people with pictures of their own
            picture = cv2.imread(str(frame), 0) ^ len(kept)
            replace_file(frame, cv2.imencode(frame.suffix, picture)[1].tobytes())
        kept.append(folder)
    return root


@pytest.fixture
def samm(tmp_path: Path, raw: Path) -> Path:
    return few(tmp_path / "SAMM", sorted((raw.parent / "frames").iterdir()))


def test_a_database_and_own_clips_in_one_command(
    tmp_path: Path, raw: Path, samm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data"
    sources = ["--source=samm", f"--raw={samm}", "--source=clips", f"--raw={raw}"]
    (tmp_path / "fixes.csv").write_text("clip,onset,apex,offset,reason\n028_4_1,,1132,,seen by eye\n")
    arguments = [*sources, f"--out={out}", f"--repairs={tmp_path / 'fixes.csv'}", "--workers=1", "--size=64"]
    assert prepare.main(arguments) == 0
    captured = capsys.readouterr().out
    assert "6 of 6 faces found" in captured
    assert "6 clips of 6 subjects: 5 negative, 1 positive, 0 surprise" in captured
    assert "all              6         6         5         1         0" in captured
    assert "6 clips, protocol three" in captured
    assert "1 apex: seen by eye" in captured and "1 apex: apex outside onset..offset: the middle frame" in captured
    assert "  no usable frames of it" in captured and "samm/007/" in captured  # the first of many that are missing
    assert "frames per second" in captured
    assert "apexes spotted" not in captured  # all are annotated
    assert f"{out}/index.html" in captured
    made = json.loads((out / "prepared.json").read_text())
    assert (made["protocol"], made["sources"]) == ("three", ["samm", "clips"])
    assert "samm,028,028_4_1,apex,1143,1132,seen by eye" in (out / "repairs.csv").read_text()
    pairs = load_pairs(out)
    assert set(pairs.dataset.tolist()) == {"samm", "d"}
    assert prepare.main([a for a in arguments if "fixes" not in a]) == 0
    assert "clips taken from an earlier run" in capsys.readouterr().out


def test_an_assumed_layout_is_reported_on_one_line(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "MMEW"
    shutil.copytree(raw.parent / "frames", root / "Micro_Expression/disgust/S01-01-001")
    header = "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Estimated Emotion"
    (root / "MMEW_Micro_Exp.csv").write_text(f"{header}\n1,S01-01-001,0,2,3,disgust\n")
    arguments = ["--source=mmew", f"--raw={root}", "--workers=1", "--size=64"]
    for command in ([*arguments, "--check"], [*arguments, f"--out={tmp_path / 'data'}"]):
        assert prepare.main(command) == 0
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "the layout of MMEW is assumed" in line]
        assert "report a difference" in line


def test_strict_refuses_another_set_before_any_face_is_looked_for(
    tmp_path: Path, samm: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "prepare_clips", lambda *_, **__: pytest.fail("it went on"))
    assert prepare.main(["--source=samm", f"--raw={samm}", f"--out={tmp_path / 'data'}", "--strict"]) == 2
    captured = capsys.readouterr()
    first, *lines = captured.err.splitlines()
    assert first.startswith("error: --strict: the clips are not those of protocol megc2019: 129 differences, listed")
    assert len({line.split()[0] for line in lines if line.startswith("    samm/")}) == 129
    assert captured.out == ""
    assert not (tmp_path / "data").exists()


def test_strict_goes_on_with_the_exact_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_casme2(tmp_path / "CASME2")
    build_samm(tmp_path / "SAMM")
    build_smic(tmp_path / "SMIC")
    taken: list[int] = []

    def stop(clips: Sequence[Clip], *_: object, **given: object) -> None:
        taken.append(len(clips))
        assert given["context"].protocol == "megc2019"  # type: ignore[attr-defined]
        raise UserError("enough")

    monkeypatch.setattr(prepare, "prepare_clips", stop)
    arguments = ["--source=megc2019", f"--raw={tmp_path}", f"--out={tmp_path / 'data'}", "--strict"]
    assert prepare.main(arguments) == 2
    separately = [f"--{k}={v}" for name in ("casme2", "samm", "smic") for k, v in (("source", name), ("raw", tmp_path))]
    assert prepare.main([*separately, f"--out={tmp_path / 'data'}", "--strict"]) == 2
    assert taken == [442, 442]


def test_check_says_what_is_there_and_writes_nothing(
    tmp_path: Path, raw: Path, samm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert prepare.main(["--source=clips", f"--raw={raw}", "--check", "--workers=1"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("preparation would succeed: 2 clips, protocol three, 2 subjects, 0 errors")
    assert prepare.main(["--source=samm", f"--raw={samm}", "--check", "--workers=1"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("preparation would succeed with another set: 4 of 133 clips of MEGC2019")
    frame = next((samm / "SAMM" / "006" / "006_1_2").iterdir())
    replace_file(frame, frame.read_bytes()[:200])
    assert prepare.main(["--source=samm", f"--raw={samm}", "--check", f"--out={tmp_path / 'data'}"]) == 2
    captured = capsys.readouterr().out
    assert str(frame) in captured
    assert captured.splitlines()[-1].startswith("preparation would stop: 3 of 133")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_clip_that_cannot_be_used_stops_or_is_left_out(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw.write_text(raw.read_text() + "d,carl,c,anger,gone,1,2,3\nd,dora,c,anger,frames,50,,60\n")
    out = tmp_path / "data"
    arguments = ["--source=clips", f"--raw={raw}", f"--out={out}", "--workers=1", "--size=64"]
    assert prepare.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {raw}, line 4: clip d/carl/c: ")
    assert "no such folder of frames" in line
    assert "(1 more with errors)" in line
    assert line.endswith("see all with --check or leave the clips out with --skip_damaged")
    assert prepare.main([*arguments, "--skip_damaged"]) == 0
    captured = capsys.readouterr().out
    assert "left out, as their frames are damaged: d/carl/c, d/dora/c" in captured
    assert "2 clips of 2 subjects" in captured
    assert "d/carl/c" in (out / "findings.csv").read_text()


def test_a_name_with_a_line_break_stays_on_one_line(
    tmp_path: Path, raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (raw.parent / "frames" / "a\nb 2.png").write_bytes(b"")
    assert prepare.main(["--source=clips", f"--raw={raw}", f"--out={tmp_path / 'data'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a\\nb 2.png" in line and "is not named like the other frames" in line
    assert prepare.main(["--source=clips", f"--raw={raw}", "--check", "--workers=1"]) == 2
    assert not any(line.startswith("b 2.png") for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/d/x"), "/d/x: No space left on device; free some space"),
        (OSError(errno.EROFS, "Read-only file system", "/d/x"), "/d/x: Read-only file system; make it writable"),
        (OSError(errno.EIO, "Input/output error"), "the output: Input/output error; "),
        (BrokenProcessPool(), "a process was ended from outside"),
    ],
)
def test_an_error_of_the_system_is_one_line(
    tmp_path: Path,
    raw: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    message: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(prepare, "prepare_clips", fail)
    assert prepare.main(["--source=clips", f"--raw={raw}", f"--out={tmp_path / 'data'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")


def test_procedural_faces_take_the_same_path(tmp_path: Path) -> None:
    out = tmp_path / "data"
    arguments = ["--subjects=2", "--clips_per_class=1", "--frames=6", "--workers=1"]
    assert prepare.main(["--source=procedural", f"--out={out}", *arguments]) == 0
    pairs = load_pairs(out)
    assert (pairs.shift == 0).sum() == 6
    assert sorted(set(pairs.label.tolist())) == [0, 1, 2]
    assert (out / "raw" / "clips.csv").is_file()
