import csv
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from icegan_jax import predict
from icegan_jax.data.video import read_color_frames, read_video_info
from icegan_jax.evaluation.calibration import Calibration, CloseCall, Reliability, Threshold, write_calibration
from icegan_jax.inference import ensemble
from tests.data.databases.write_files import write_xlsx
from tests.inference.recordings import astronaut, write_folder, write_pair, write_video

HEADER = "dataset,subject,clip,label,frames,onset,apex,offset\n"
Run = Callable[..., int]


@pytest.fixture
def run(run_dir: Path, tmp_path: Path) -> Run:
    """The command on the shared run, with its answers in tmp_path/out."""

    def call(*arguments: str) -> int:
        where = [f"--workdir={run_dir}", f"--out={tmp_path / 'out'}"]
        return predict.main([*where, *arguments])

    return call


def table(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_folder_of_frames(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = write_folder(tmp_path / "frames"), tmp_path / "out"
    assert run(f"--input={folder}", "--fps=100") == 0
    (row,) = table(out)
    assert (row["kind"], row["onset"], row["apex"], row["offset"]) == ("clip", "10", "14", "16")
    assert (row["onset_s"], row["apex_s"], row["offset_s"]) == ("0.0", "0.04", "0.06")
    lengths = {name: float(row[name]) for name in ("negative", "positive", "surprise")}
    assert row["prediction"] in (max(lengths, key=lengths.__getitem__), "no expression")
    content = json.loads((out / "predictions.json").read_text())
    (recognition,) = content["readings"]
    assert recognition["scores"] == lengths and recognition["folds"] == ["tiny_s0", "tiny_s1", "tiny_s2"]
    assert content["frames"] == 7 and content["frames_per_second"] > 0
    with Image.open(out / row["strip"]) as strip:
        assert strip.width > 800 and np.asarray(strip).std() > 20
    page = (out / "index.html").read_text()
    assert "data:image/webp;base64," in page and row["prediction"] in page
    printed = capsys.readouterr().out
    assert f"frames: {row['prediction']}" in printed and "per second" in printed
    assert not (out / "annotated.mp4").exists() and not (out / "trace.csv").exists()


def test_a_pair(run: Run, tmp_path: Path) -> None:
    onset, apex = write_pair(tmp_path / "pair")
    assert run("--input", str(onset), str(apex)) == 0
    (row,) = table(tmp_path / "out")
    assert (row["onset"], row["apex"], row["apex_s"], row["flags"].find("rate_unknown")) == ("0", "1", "", -1)


def test_a_short_video_and_its_copy(run: Run, tmp_path: Path) -> None:
    video = write_video(tmp_path / "film.avi", fps=60)
    assert run(f"--input={video}") == 0
    (row,) = table(tmp_path / "out")
    assert (row["kind"], row["apex"]) == ("clip", "4")
    copy = tmp_path / "out" / "annotated.mp4"
    assert read_video_info(copy).rate == 60
    pictures = list(read_color_frames(copy))
    assert len(pictures) == 7 and pictures[0].shape == (520, 480, 3)  # twice as large
    orange = np.abs(pictures[4].astype(int) - (255, 200, 60)).max(axis=2) < 60
    assert orange.sum() > 200  # the box and the words


def test_annotated_clips_are_compared_each_by_networks_that_never_saw_its_person(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for person in ("s0", "s2"):
        write_folder(tmp_path / person)
    rows = [("dataset", "subject", "label", "frames", "apex"), ("tiny", "s0", "positive", "s0", 14)]
    clips = write_xlsx(tmp_path / "clips.xlsx", [*rows, ("tiny", "s2", "surprise", "s2", None)])
    assert run(f"--input={clips}", "--exclude_subject=each") == 0
    content = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [recognition["folds"] for recognition in content["readings"]] == [["tiny_s0"], ["tiny_s2"]]
    assert [recognition["truth"] for recognition in content["readings"]] == ["positive", "surprise"]
    assert [recognition["apex"] for recognition in content["readings"]] == [14, 14]
    scores = {recognition["truth"]: recognition["scores"] for recognition in content["readings"]}
    right = sum(max(lengths, key=lengths.__getitem__) == truth for truth, lengths in scores.items())
    assert content["score"]["right"] == right and content["score"]["clips"] == 2
    assert content["networks"]["networks"] == "for each clip those that never saw its subject"
    assert f"{right} of 2" in (tmp_path / "out" / "index.html").read_text()
    assert f"{right} of 2 clips as annotated" in capsys.readouterr().out


def test_short_capsules_are_no_expression(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The scores count the longest capsule all the same, and a run of drawn faces says that it is one."""
    run = tmp_path / "run"
    shutil.copytree(run_dir, run)
    threshold = Threshold(1.0, (3, 2, 1), (), (0, 0, 0), (1, 1, 1), (1, 1, 1))
    write_calibration(
        run / "calibration.json", Calibration(threshold, CloseCall(0.0, 0, 0), Reliability((), (), (), 0.0))
    )
    for path in run.glob("folds/*/predictions.csv"):
        path.write_text(path.read_text().replace("tiny,", "procedural,"))
    write_folder(tmp_path / "s0")
    (tmp_path / "clips.csv").write_text(HEADER + "mine,anna,a,positive,s0,10,14,16\n")
    out = tmp_path / "out"
    assert predict.main([f"--workdir={run}", f"--out={out}", f"--input={tmp_path / 'clips.csv'}"]) == 0
    (row,) = table(out)
    assert row["prediction"] == "no expression"
    assert {"below_threshold", "trained_on_drawn_faces"} <= set(row["flags"].split())
    content = json.loads((out / "predictions.json").read_text())
    assert content["threshold"] == 1.0 and content["score"]["clips"] == content["score"]["no_expression"] == 1
    page = (out / "index.html").read_text()
    assert "no expression" in page and page.count("trained on drawn faces only") == 1
    printed = capsys.readouterr().out
    assert "mine_anna_a: no expression [" in printed and "1 answered no expression" in printed
    assert printed.count("trained on drawn faces only") == 1


def test_earlier_answers_are_replaced_and_nothing_else(run: Run, tmp_path: Path) -> None:
    pair = [str(path) for path in write_pair(tmp_path / "pair")]
    assert run("--input", *pair) == 0
    (tmp_path / "out" / "left.txt").write_text("x")
    assert run("--input", *pair) == 0
    assert not (tmp_path / "out" / "left.txt").exists()
    (tmp_path / "out" / "predictions.json").unlink()
    (tmp_path / "out" / "left.txt").write_text("x")
    assert run("--input", *pair) == 2
    assert (tmp_path / "out" / "left.txt").read_text() == "x"


class Camera:
    """Stands for a camera of three pictures."""

    def __init__(self, pictures: int) -> None:
        self.left = pictures

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        time.sleep(0.01)
        gray = astronaut()
        return (True, cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        pass


def camera(monkeypatch: pytest.MonkeyPatch, pictures: int) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda index: Camera(pictures))


def test_a_camera_is_recorded_first(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    camera(monkeypatch, pictures=5)
    monkeypatch.chdir(tmp_path)
    assert run("--input=0", "--seconds=5") == 0
    assert (tmp_path / "out" / "recording.mkv").stat().st_size > 1000
    assert json.loads((tmp_path / "out" / "predictions.json").read_text())["frames"] == 5


def write_picture(path: Path, picture: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), picture)
    return path


def bad(tmp_path: Path) -> dict[str, tuple[list[str], str]]:
    """By name: arguments, and what the line says."""
    onset, apex = write_pair(tmp_path / "pair")
    one = write_picture(tmp_path / "one.png", np.zeros((1, 1), np.uint8))
    blank = write_picture(tmp_path / "blank.png", np.full((200, 200), 90, np.uint8))
    cut = tmp_path / "cut.png"
    cut.write_bytes(onset.read_bytes()[:2000])
    bare = write_picture(tmp_path / "bare.png", np.full((200, 200), 90, np.uint8))
    frames = write_folder(tmp_path / "frames")
    (tmp_path / "clips.csv").write_text(HEADER + "tiny,s9,a,positive,frames,10,14,16\n")
    (tmp_path / "words.csv").write_text(HEADER + "tiny,s0,a,boredom,frames,10,14,16\n")
    return {
        "no face": (["--input", str(bare), str(blank)], f"{bare}: no face in onset 0"),
        "a picture of one pixel": (["--input", str(one), str(one)], f"{one}: no face"),
        "a truncated picture": (["--input", str(onset), str(cut)], f"{cut}: not a readable image"),
        "one picture": (["--input", str(apex)], "one picture shows no change"),
        "nothing there": ([f"--input={tmp_path / 'nowhere'}"], "nowhere: no such file or folder"),
        "a person nobody knows": ([f"--input={frames}", "--exclude_subject=zoe"], "held out a subject of that name"),
        "a clip of one": ([f"--input={tmp_path / 'clips.csv'}", "--exclude_subject=each"], "--exclude_subject=tiny/s9"),
        "each without clips": ([f"--input={frames}", "--exclude_subject=each"], "only a clips.csv names the subject"),
        "an unknown label": ([f"--input={tmp_path / 'words.csv'}"], "words.csv, line 2: label 'boredom' has no class"),
        "an unknown fold": ([f"--input={frames}", "--fold=tiny_s7"], "no finished fold of that name (did you mean"),
        "an unknown onset": ([f"--input={frames}", "--onset=last"], "neither first nor quietest nor a frame number"),
        "no rate for events": ([f"--input={frames}", "--mode=events"], "cannot be timed without a frame rate"),
        "a wrong rate": ([f"--input={frames}", "--fps=-1"], "'-1' is no number above 0"),
        "an unknown option": ([f"--input={frames}", "--emotion"], "unrecognized arguments: --emotion"),
    }


def test_bad_input_is_one_line_before_networks_are_read_and_leaves_nothing(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensemble, "_read_state", lambda *arguments: pytest.fail("the networks were read"))
    for name, (arguments, message) in bad(tmp_path).items():
        try:
            code = run(*arguments)
        except SystemExit as end:  # argparse
            code = end.code  # type: ignore[assignment]
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert code == 2, name
        assert len(errors) == 1 and message in errors[0], (name, errors)
        assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*")), name


def test_no_camera(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    camera(monkeypatch, pictures=0)
    assert run("--input=0") == 2
    assert "camera 0: delivers no frames" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert run("--input=97") == 2
    assert "camera 97: cannot be opened; check that it is connected" in capsys.readouterr().err
