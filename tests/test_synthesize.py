"""The command in this process on a tiny run; the details of its output are tested in tests/inference."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from icegan_jax.data.images import read_color
from icegan_jax.inference import ensemble
from icegan_jax.io import read_json_with_checksum, write_json_with_checksum
from icegan_jax.synthesize import main


@pytest.fixture(scope="module")
def unfit(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directories that cannot serve: ``plain`` has no generator, ``young`` no finished fold, ``empty`` nothing."""
    folder = tmp_path_factory.mktemp("unfit")
    for name in ("plain", "young", "empty"):
        (folder / name).mkdir()
    shutil.copy(run_dir / "config.json", folder / "young")
    config = read_json_with_checksum(run_dir / "config.json")
    config["generator"]["kind"] = "none"
    write_json_with_checksum(folder / "plain" / "config.json", config)
    return folder


def test_a_picture_comes_out(
    run_dir: Path, face_picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "face.png"
    options = ["--expression=surprise", "--fold=tiny_s1", "--seed=2"]
    assert main([f"--workdir={run_dir}", f"--input={face_picture}", f"--out={out}", *options]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0].startswith("Synthetic expression, not a recording: surprise, intensity 1, draw 2; ")
    assert lines[0].endswith(", fold tiny_s1")
    assert lines[1:] == [f"written: {out}, and how it was made: face.png.json, face.png.html"]
    assert sorted(path.name for path in out.parent.iterdir()) == ["face.png", "face.png.html", "face.png.json"]
    changed = (read_color(out) != read_color(face_picture)).any(axis=2)
    assert 0.05 < changed.mean() < 0.5


def test_a_sequence_by_networks_that_never_saw_a_person(run_dir: Path, face_picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.webp"
    options = ["--exclude_subject=s2", "--frames=5", "--fps=10", "--apex_at=0.25", "--crop", "--expression=positive"]
    assert main([f"--workdir={run_dir}", f"--input={face_picture}", f"--out={out}", *options]) == 0
    record = json.loads((tmp_path / "clip.webp.json").read_text())
    assert record["folds"] == ["tiny_s2"]
    assert record["sequence"]["apex"] == 1 and record["sequence"]["frames_per_second"] == 10
    with Image.open(out) as image:
        assert image.size == (32, 32)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--frames=9", "--out=OUT/a.png"], "--out=OUT/a.png is a still, --frames a sequence: give a name in .gif, "),
        (["--out=OUT/a.gif"], "--out=OUT/a.gif is a sequence: give --frames=25, for example, or a name in .png, .jpg"),
        (["--out=OUT/a.tif"], "--out=OUT/a.tif: give a name that ends in .png, .jpg, .jpeg or, with --frames, in .gif"),
        (["--intensity=nan"], "--intensity=nan: give 0 (the onset) to 2"),
        (["--intensity=much"], "argument --intensity: invalid float value: 'much'; see --help"),
        (["--frames=2", "--out=OUT/a.gif"], "--frames=2: give 3 (onset, apex, offset) to 1000"),
        (["--frames=9", "--fps=60", "--out=OUT/a.gif"], "--fps=60: give 1 to 50; a GIF shows no more, .webp and .mp4"),
        (["--frames=9", "--apex_at=1", "--out=OUT/a.gif"], "--apex_at=1: give a share between 0 (the onset) and 1"),
        (["--fps=25"], "--fps is of a sequence; give --frames=25 too, for example"),
        (["--draws=0"], "--draws=0: give 1 to 32"),
        (["--seed=-1"], "--seed=-1: give 0 to 2147483615"),
        (["--face=0"], "--face=0: give 1 or more; faces are counted from the left"),
        (["--input=FOLDER", "--face=1"], "--face counts the faces of one picture; give a picture as --input"),
        (["--expression=joy"], "--expression=joy: no class of the run; use one of negative, positive, surprise, all"),
        (["--input=FOLDER/no.png"], "FOLDER/no.png: no such picture or folder; correct --input"),
        (["--input=FOLDER"], "FOLDER: no picture in this folder; put jpg, jpeg, png, bmp, webp files there"),
        (["--out=INPUT"], "--out=INPUT is the picture given as --input, which it would replace; give another name"),
        (["--workdir=UNFIT/empty"], "UNFIT/empty: not a run directory: it has no config.json; give one that main"),
        (["--workdir=UNFIT/plain"], "UNFIT/plain: trained without a generator (config.generator.kind=none); give"),
        (["--fold=tiny_s7"], "--fold=tiny_s7: RUN has no finished fold of that name (did you mean tiny_s"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    run_dir: Path,
    unfit: Path,
    face_picture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.setattr(ensemble, "_read_state", lambda *arguments: pytest.fail("the networks were read"))
    places = {"OUT": tmp_path, "INPUT": face_picture, "UNFIT": unfit, "RUN": run_dir, "FOLDER": unfit / "empty"}

    def named(text: str) -> str:
        for name, path in places.items():
            text = text.replace(name, str(path))
        return text

    usual = [f"--workdir={run_dir}", f"--input={face_picture}", f"--out={tmp_path}/a.png"]
    try:
        code = main([*usual, *map(named, options)])
    except SystemExit as ended:  # argparse
        code = ended.code
    printed = capsys.readouterr()
    assert code == 2 and printed.out == ""
    assert printed.err.startswith(f"error: {named(words)}") and printed.err.count("\n") == 1, printed.err
    assert list(tmp_path.iterdir()) == []


def test_a_picture_without_a_face_leaves_nothing(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (80, 80), "gray").save(tmp_path / "wall.png")
    assert main([f"--workdir={run_dir}", f"--input={tmp_path}/wall.png", f"--out={tmp_path}/a.png"]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/wall.png: no face found; give a picture of a frontal face\n"
    assert [path.name for path in tmp_path.iterdir()] == ["wall.png"]


def test_a_full_disk_and_a_file_in_the_way_leave_nothing(
    run_dir: Path,
    face_picture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = [f"--workdir={run_dir}", f"--input={face_picture}", "--crop", "--expression=positive"]
    (tmp_path / "file").touch()
    assert main([*usual, f"--out={tmp_path}/file/a.png"]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: {tmp_path}/file") and message.endswith("; move it away\n")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "a.png").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    assert main([*usual, f"--out={tmp_path}/a.png"]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/a.png: No space left on device; free some space\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "file"]
    assert (tmp_path / "a.png").read_bytes() == b"old"
