"""The Python interface: arrays and paths in, typed results out, no printing, light imports."""

import dataclasses
import inspect
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

import icegan_jax
from configs import demo
from icegan_jax import train
from icegan_jax.data.dataset import load_pairs
from icegan_jax.data.images import read_color
from icegan_jax.inference.synthesizer import Synthesizer
from tests.inference.read_metadata import metadata_in
from tests.inference.recordings import astronaut, frames, write_folder, write_pair, write_video
from tests.training.tiny_run import config_of

CLASSES = ("negative", "positive", "surprise")
NOT_FOR_PREDICTION = ("tensorflow_datasets", "matplotlib", "grain", "sklearn", "scipy", "pandas", "gradio")


@pytest.fixture(scope="module")
def run(run_dir: Path) -> icegan_jax.Run:
    return icegan_jax.load_run(str(run_dir))


@pytest.fixture(autouse=True)
def nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> Any:
    """The interface prints nothing, not even a progress bar."""
    yield
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def python(code: str) -> str:
    """Runs a program in a process of its own, and returns what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_alone_imports_almost_nothing() -> None:
    code = "import icegan_jax, sys; dir(icegan_jax); print([m for m in ('jax', 'numpy', 'cv2') if m in sys.modules])"
    assert python(code) == "[]\n"


def test_a_prediction_imports_what_it_needs(run_dir: Path, tmp_path: Path) -> None:
    onset, apex = write_pair(tmp_path)
    arguments = [f"--workdir={run_dir}", f"--out={tmp_path / 'out'}", "--input", str(onset), str(apex)]
    code = f"""
import sys, icegan_jax
from icegan_jax import predict
icegan_jax.load_run({str(run_dir)!r}).synthesize({str(onset)!r}, "surprise")
assert predict.main({arguments}) == 0
print([name for name in {NOT_FOR_PREDICTION} if name in sys.modules])
"""
    assert python(code).splitlines()[-1] == "[]"


def test_the_names_of_the_interface() -> None:
    assert set(icegan_jax.__all__) <= set(dir(icegan_jax))
    for name in icegan_jax.__all__:
        assert getattr(icegan_jax, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        icegan_jax.nothing  # noqa: B018


@pytest.mark.parametrize(
    "lines",
    [
        "import icegan_jax.prepare; import icegan_jax; prepare = icegan_jax.prepare",
        "from icegan_jax import prepare; import icegan_jax.prepare",
    ],
)
def test_prepare_is_a_function_and_a_command_in_any_order_of_imports(lines: str) -> None:
    code = (
        f"{lines}\nassert callable(prepare) and callable(icegan_jax.prepare)\nprint(icegan_jax.prepare.main.__name__)"
    )
    assert python(code) == "main\n"


def test_prepare_returns_a_summary(tmp_path: Path) -> None:
    assert list(inspect.signature(icegan_jax.prepare).parameters)[:3] == ["source", "out", "raw"]
    dataset = icegan_jax.prepare(
        "procedural", out=str(tmp_path / "data"), subjects=1, clips_per_class=1, frames=6, size=32, workers=1
    )
    assert dataset.path == tmp_path / "data" and dataset.collected is None
    assert dataset.summary.clips == 3 and dataset.summary.classes == dict.fromkeys(CLASSES, 1)
    assert dataset.summary.fingerprint == load_pairs(dataset.path).fingerprint
    write_folder(tmp_path / "frames")
    header = "dataset,subject,clip,label,frames,onset,apex,offset\n"
    (tmp_path / "clips.csv").write_text(f"{header}mine,anna,a,positive,frames,10,,16\n")
    mine = icegan_jax.prepare(source="clips", raw=tmp_path / "clips.csv", out=tmp_path / "mine", size=32, workers=1)
    assert mine.collected is not None and [clip.name for clip in mine.collected.clips] == ["mine/anna/a"]
    with pytest.raises(icegan_jax.UserError, match="--raw is not read with --source=procedural"):
        icegan_jax.prepare("procedural", raw="x", out=tmp_path / "data")
    with pytest.raises(icegan_jax.UserError, match="--strict wants every clip"):
        icegan_jax.prepare("samm", raw=tmp_path, out=tmp_path / "data", strict=True, skip_damaged=True)


def test_a_pair_of_paths_or_arrays(run: icegan_jax.Run, tmp_path: Path) -> None:
    paths = write_pair(tmp_path)
    wanted = run.recognize(str(paths[0]), paths[1])
    assert wanted.longest_class == max(wanted.scores, key=wanted.scores.__getitem__) and tuple(wanted.scores) == CLASSES
    assert (wanted.onset, wanted.apex, wanted.folds) == (0, 1, ("tiny_s0", "tiny_s1", "tiny_s2"))
    gray = [np.asarray(Image.open(path)) for path in paths]
    forms = {
        "gray": gray,
        "one channel": [face[..., None] for face in gray],
        "color": [np.repeat(face[..., None], 3, axis=2) for face in gray],
        "float": [face.astype(np.float32) / 255 for face in gray],
        "mixed": [paths[0], gray[1]],
    }
    for name, pair in forms.items():
        found = run.recognize(*pair)
        assert found.scores == wanted.scores and found.label == wanted.label, name
        assert np.array_equal(found.apex_face, wanted.apex_face), name
    with pytest.raises(dataclasses.FrozenInstanceError):
        wanted.onset = 3  # type: ignore[misc]


def test_a_clip(run: icegan_jax.Run, tmp_path: Path) -> None:
    folder, video = write_folder(tmp_path / "frames"), write_video(tmp_path / "film.avi", fps=60)
    of_folder, of_video = run.recognize(folder, fps=100), run.recognize(str(video))
    assert (of_folder.onset, of_folder.apex, of_folder.offset) == (10, 14, 16)
    assert of_folder.seconds(of_folder.apex) == pytest.approx(0.04)
    assert (of_video.onset, of_video.apex, of_video.fps) == (0, 4, 60)
    of_array = run.recognize(np.stack(frames()), fps=100)
    assert of_array.scores == of_folder.scores and of_array.apex == 4
    rgb = np.repeat(np.stack(frames())[..., None], 3, axis=3)
    assert run.recognize(rgb, onset_frame=1).onset == 1


def test_prepared_crops(run: icegan_jax.Run, run_dir: Path) -> None:
    pairs = load_pairs(run_dir.parent / "data")
    result = run.recognize(pairs.onset[0], pairs.apex[0], cropped=True)
    wanted = run.recognizer.ensemble.predict(pairs.onset[:1], pairs.apex[:1])[0]
    assert list(result.scores.values()) == pytest.approx(wanted.tolist()) and result.box is None
    assert np.array_equal(result.onset_face, pairs.onset[0])


def test_the_events_of_a_recording(run: icegan_jax.Run, tmp_path: Path) -> None:
    rest, rise = [0.0] * 90, np.sin(np.linspace(0, np.pi, 20)).tolist()
    video = write_video(tmp_path / "long.avi", [*rest, *rise, *rest], fps=60)
    result = run.recognize_events(video, trace=tmp_path / "trace.csv")
    assert len(result) == len(result.events) and list(result) == list(result.events)
    assert [event.longest_class in CLASSES for event in result if event.kind == "micro"]
    assert (tmp_path / "trace.csv").read_text().count("\n") == 201
    with pytest.raises(icegan_jax.UserError, match="recording: events cannot be timed"):
        run.recognize_events(np.stack(frames()))


GRAY = np.zeros((40, 40), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((GRAY.astype(np.int64), GRAY), {}, TypeError, "onset: dtype int64; give uint8, or floats in"),
        ((GRAY, GRAY + 2.0), {}, ValueError, "apex: values from 2 to 2; give floats in"),
        ((GRAY, GRAY[0]), {}, ValueError, r"apex: shape \(40,\); give a gray picture"),
        ((GRAY[:5, :5], GRAY), {}, ValueError, "onset: 5x5 pixels are too few"),
        ((GRAY, GRAY[:30]), {}, ValueError, r"apex: shape \(30, 40\), but the onset has"),
        ((GRAY,), {}, ValueError, "onset: .* is one picture, which shows no change; give the apex"),
        ((GRAY, GRAY), {"fps": 25}, ValueError, "fps: 25; two pictures have no frame rate"),
        ((GRAY[None],), {"onset_frame": "last"}, ValueError, "onset_frame: 'last'"),
        ((GRAY, GRAY), {"cropped": True}, ValueError, r"onset: shape \(40, 40\); a prepared crop of this run is 32x32"),
        (("nowhere.mp4",), {}, icegan_jax.UserError, "nowhere.mp4: no such file"),
        ((GRAY, GRAY), {}, icegan_jax.UserError, "onset: no face"),
    ],
)
def test_wrong_input_names_the_argument(
    run: icegan_jax.Run, arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run.recognize(*arguments, **options)


def test_synthesis(run: icegan_jax.Run, face_picture: Path, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with Image.open(face_picture) as image:
        image.save(tmp_path / "neutral.png", icc_profile=profile)
    of_path = run.synthesize(str(tmp_path / "neutral.png"), "surprise", intensity=0.6)
    picture = read_color(face_picture)
    of_array = run.synthesize(picture / 255, "surprise", intensity=0.6)
    assert np.array_equal(of_path.picture, of_array.picture)
    assert of_path.picture.shape == picture.shape and of_path.picture.dtype == np.uint8
    changed = (of_path.picture != picture).any(axis=2)
    assert 0.05 < changed.mean() < 0.5
    assert of_path.crop.shape == of_path.onset.shape == (32, 32) and of_path.label == "surprise"
    still = run.synthesize(picture, "surprise", intensity=0)
    assert np.array_equal(still.picture, picture)
    gray = run.synthesize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), "surprise")
    assert gray.picture.shape == picture.shape
    of_path.save(str(tmp_path / "face.png"))
    assert np.array_equal(read_color(tmp_path / "face.png"), of_path.picture)
    with Image.open(tmp_path / "face.png") as image:
        assert image.info["icc_profile"] == profile
    assert metadata_in(tmp_path / "face.png")[0].endswith("/compositeWithTrainedAlgorithmicMedia")
    with pytest.raises(ValueError, match="path: .*give a name that ends in"):
        of_path.save("face.gif")


def test_synthesis_of_a_prepared_crop(run: icegan_jax.Run, run_dir: Path) -> None:
    onset = load_pairs(run_dir.parent / "data").onset[0]
    made = run.synthesize(onset, "positive", seed=3, cropped=True)
    wanted = run.synthesizer.ensemble.synthesize(
        onset[None], np.array([1], np.int32), np.array([3], np.int32), np.ones(1, np.float32)
    )
    assert np.array_equal(made.crop, wanted[0]) and np.array_equal(made.picture[..., 0], made.crop)
    assert made.box is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"expression": "surprised"},
            "expression: 'surprised'; the classes of the run are negative, positive, surprise",
        ),
        ({"intensity": 3}, "intensity: 3; give 0"),
        ({"seed": -1}, "seed: -1"),
        ({"cropped": True}, r"face: shape \(260, 240\); a prepared crop of this run is 32x32"),
    ],
)
def test_wrong_options_of_synthesis(run: icegan_jax.Run, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run.synthesize(astronaut(), **{"expression": "surprise", **options})


def test_which_networks(run_dir: Path) -> None:
    assert icegan_jax.load_run(run_dir, fold="tiny_s1").folds == ("tiny_s1",)
    stranger = icegan_jax.load_run(run_dir, exclude_subject="s2")
    assert stranger.folds == ("tiny_s2",) and stranger.classes == CLASSES and stranger.has_generator
    assert Synthesizer(run_dir, exclude_subject="s2").ensemble.fold_names == ("tiny_s2",)
    for wrong in ({"path": "nowhere"}, {"path": run_dir, "fold": "s7"}, {"path": run_dir, "exclude_subject": "zoe"}):
        with pytest.raises(icegan_jax.UserError, match="nowhere|s7|zoe"):
            icegan_jax.load_run(**wrong)  # type: ignore[arg-type]


def test_the_named_configs() -> None:
    assert icegan_jax.get_config("demo").to_dict() == demo.get_config().to_dict()
    with pytest.raises(icegan_jax.UserError, match="config 'dmo': .*demo, loso"):
        icegan_jax.get_config("dmo")


def test_training(run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(run_dir, tmp_path / "run")
    config = config_of(run_dir.parent / "data")
    results = icegan_jax.train_and_evaluate(config, str(tmp_path / "run"))  # all folds are finished
    assert 0 <= results["overall"]["uf1"] <= 1
    calls: list[Any] = []
    monkeypatch.setattr(train, "train_and_evaluate", lambda *arguments, **_: calls.extend(arguments) or results)
    icegan_jax.train_and_evaluate("demo", tmp_path / "demo")
    assert calls == [icegan_jax.get_config("demo"), tmp_path / "demo"]
