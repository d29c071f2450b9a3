"""Orders carried out by a tiny run's networks."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.images import read_color
from icegan_jax.errors import UserError
from icegan_jax.inference import synthesize
from icegan_jax.inference.composite import composite_face
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.neutral_faces import NeutralFace, find_neutral_faces
from icegan_jax.inference.synthesize import SynthesisRequest, synthesize_file
from tests.inference.read_metadata import metadata_in

Colour = NDArray[np.uint8]


@pytest.fixture(scope="module")
def neutral_face(face_picture: Path, model: Ensemble) -> NeutralFace:
    (found,) = find_neutral_faces([face_picture], model.image_size)
    return found


@pytest.fixture
def request(face_picture: Path, tmp_path: Path) -> SynthesisRequest:
    """Surprise on the picture, a still."""
    return SynthesisRequest(
        input=face_picture,
        out=tmp_path / "made.png",
        expression="surprise",
        intensity=1.0,
        frames=None,
        apex_at=0.5,
        fps=25.0,
        draws=1,
        seed=0,
        face=None,
        crop=False,
        differences=False,
    )


def made(request: SynthesisRequest, model: Ensemble) -> Colour:
    synthesize_file(request, model)
    return read_color(request.out)


Asked = tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]]


def asked(neutral_face: NeutralFace, label: int, draw: int) -> Asked:
    return neutral_face.onset[None], np.array([label], np.int32), np.array([draw], np.int32)


def test_the_picture_is_changed_in_its_face(
    request: SynthesisRequest, model: Ensemble, neutral_face: NeutralFace
) -> None:
    change = model.motion_field(*asked(neutral_face, 2, 0))[0]
    found = made(request, model)
    assert np.array_equal(found, composite_face(neutral_face.picture, neutral_face.box, change, 1.0))
    assert (found != neutral_face.picture).mean() > 0.02


def test_intensity_0_is_the_picture(request: SynthesisRequest, model: Ensemble, neutral_face: NeutralFace) -> None:
    assert np.array_equal(made(replace(request, intensity=0.0), model), neutral_face.picture)


def test_a_crop_is_the_networks_own_face(request: SynthesisRequest, model: Ensemble, neutral_face: NeutralFace) -> None:
    face = model.synthesize(*asked(neutral_face, 2, 7), np.array([0.5], np.float32))[0]
    found = made(replace(request, crop=True, seed=7, intensity=0.5), model)
    assert np.array_equal(found, np.repeat(face[..., None], 3, axis=2))
    assert metadata_in(request.out)[0].endswith("/trainedAlgorithmicMedia")


def test_file_and_json_say_how_it_was_made(request: SynthesisRequest, model: Ensemble) -> None:
    lines = synthesize_file(replace(request, seed=3, intensity=0.6), model)
    source, description, record = metadata_in(request.out)
    assert source.endswith("/compositeWithTrainedAlgorithmicMedia")
    assert description == (
        "Synthetic expression, not a recording: surprise, intensity 0.6, draw 3; "
        f"icegan_jax 0.1.0 (ICE-GAN), run {model.run_id[:8]}, mean of folds tiny_s0, tiny_s1, tiny_s2"
    )
    assert record == {
        "software": "icegan_jax 0.1.0",
        "run": model.run_id,
        "folds": ["tiny_s0", "tiny_s1", "tiny_s2"],
        "input": "neutral.png",
        "expressions": ["surprise"],
        "intensity": 0.6,
        "seed": 3,
        "draws": [3],
        "crop": False,
        "faces": 1,
    }
    beside = json.loads((request.out.parent / "made.png.json").read_text())
    assert beside.keys() == {"file", "sha256", "description", *record}
    assert record.items() <= beside.items() and beside["file"] == "made.png"
    assert lines == [description, f"written: {request.out}, and how it was made: made.png.json"]


def test_all_classes_stand_beside_the_onset(request: SynthesisRequest, model: Ensemble) -> None:
    """Without a change all cells are the same; with one each face has its own."""
    still = made(replace(request, expression="all", intensity=0.0, out=request.out.with_name("rest.png")), model)
    sheet = made(replace(request, expression="all"), model)
    assert still.shape == sheet.shape
    assert sheet.shape[1] == 2 * 16 + 4 * 224 + 3 * 8
    cells = [slice(16 + column * 232, 16 + column * 232 + 224) for column in range(4)]
    changed = [(sheet[:-40, cell] != still[:-40, cell]).any() for cell in cells]
    assert changed == [False, True, True, True]
    onset = still[40:-60, cells[0]]
    assert all(np.array_equal(still[40:-60, cell], onset) for cell in cells)


def test_differences_are_the_change_in_colours(request: SynthesisRequest, model: Ensemble) -> None:
    sheet = made(replace(request, differences=True, intensity=2.0), model)
    assert sheet.shape[1] == 2 * 16 + 3 * 224 + 2 * 8
    last = sheet[70:-60, -16 - 224 : -16].astype(int)
    assert (last[0, 0] == last[-1, -1]).all()  # where nothing changes
    assert np.abs(last - last[0, 0]).max() > 20


def test_draws_stand_side_by_side(request: SynthesisRequest, model: Ensemble, neutral_face: NeutralFace) -> None:
    sheet = made(replace(request, draws=3, seed=4, crop=True), model)
    for place_, draw in enumerate((4, 5, 6), start=1):
        face = model.synthesize(*asked(neutral_face, 2, draw), np.ones(1, np.float32))[0]
        left = 16 + place_ * (128 + 8)
        found = sheet[:, left : left + 128 : 4, 0]  # a network's pixel is 4x4 here
        tops = [top for top in range(len(found) - 124) if np.array_equal(found[top : top + 128 : 4], face)]
        assert tops, f"draw {draw} is not where it ought to be"
    assert metadata_in(request.out)[2]["draws"] == [4, 5, 6]


def test_a_folder_gives_a_row_for_each(
    request: SynthesisRequest, model: Ensemble, face_picture: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    for name in ("anna", "bob"):
        (folder / f"{name}.png").write_bytes(face_picture.read_bytes())
    rows = made(replace(request, input=folder), model)
    (folder / "bob.png").unlink()
    row = made(replace(request, input=folder), model)
    assert len(rows) - len(row) == 224 + 8
    assert metadata_in(request.out)[2]["input"] == "faces"
    (folder / "wall.png").write_bytes((request.out).read_bytes())
    Image.new("RGB", (80, 80)).save(folder / "wall.png")
    with pytest.raises(UserError, match=r"wall\.png: no face found"):
        synthesize_file(replace(request, input=folder), model)


def test_a_sequence_goes_from_the_onset_to_the_apex_and_back(
    request: SynthesisRequest, model: Ensemble, neutral_face: NeutralFace, tmp_path: Path
) -> None:
    crop = replace(request, crop=True, frames=5, out=tmp_path / "clip.gif", fps=20.0)
    synthesize_file(crop, model)
    with Image.open(crop.out) as image:
        shown = [(np.array(frame.convert("L")), frame.info["duration"]) for frame in ImageSequence.Iterator(image)]
    frames = [frame for frame, duration in shown for _ in range(round(duration / 50))]
    asked_for = asked(neutral_face, 2, 0)
    wanted = [model.synthesize(*asked_for, np.array([share], np.float32))[0] for share in (0, 0.5, 1, 0.5, 0)]
    assert len(frames) == 5
    assert all(np.array_equal(*pair) for pair in zip(frames, wanted, strict=True))
    assert np.array_equal(frames[0], neutral_face.onset)
    assert metadata_in(crop.out)[2]["sequence"] == {
        "frames": 5,
        "frames_per_second": 20.0,
        "apex": 2,
        "course": [0.0, 0.5, 1.0, 0.5, 0.0],
    }


@pytest.mark.parametrize("suffix", [".webp", ".mp4", ".gif"])
def test_a_sequence_of_the_picture_or_of_a_sheet(
    request: SynthesisRequest, model: Ensemble, tmp_path: Path, suffix: str
) -> None:
    expression = "all" if suffix == ".mp4" else "surprise"
    clip = replace(request, frames=4, out=tmp_path / f"clip{suffix}", expression=expression)
    synthesize_file(clip, model)
    assert metadata_in(clip.out)[2]["sequence"]["frames"] == 4
    if suffix != ".mp4":
        with Image.open(clip.out) as image:
            assert image.size == (240, 260)


def odd(kind: str, picture: Image.Image, path: Path) -> Image.Image:
    """Writes the picture in an odd way; returns what it is to look like."""
    if kind == "16 bits":
        grey = picture.convert("L")
        Image.fromarray(np.asarray(grey, np.uint16) * 257).save(path)
        return grey.convert("RGB")
    if kind == "rgba":
        alpha = Image.new("L", picture.size, 255)
        alpha.paste(0, (0, 200, 240, 260))
        Image.merge("RGBA", (*picture.split(), alpha)).save(path)
        return Image.composite(picture, Image.new("RGB", picture.size, "white"), alpha)
    if kind == "cmyk":
        picture.convert("CMYK").save(path, quality=100, subsampling=0)
        return picture
    exif = Image.Exif()
    exif[0x0112] = 8  # turned by a quarter
    picture.rotate(-90, expand=True).save(path, exif=exif)
    return picture


@pytest.mark.parametrize(
    ("kind", "suffix"), [("16 bits", ".png"), ("rgba", ".png"), ("cmyk", ".jpg"), ("turned", ".png")]
)
def test_odd_pictures_work(
    request: SynthesisRequest, model: Ensemble, face_picture: Path, tmp_path: Path, kind: str, suffix: str
) -> None:
    path = tmp_path / f"odd{suffix}"
    with Image.open(face_picture) as picture:
        wanted = np.asarray(odd(kind, picture.convert("RGB"), path)).astype(int)
    found = made(replace(request, input=path), model)
    assert found.shape == (260, 240, 3)
    assert np.abs(found[:60] - wanted[:60]).max() <= (8 if kind == "cmyk" else 0)
    assert np.abs(found[60:] - wanted[60:]).mean() < 4


def test_a_class_that_the_run_does_not_know(request: SynthesisRequest, model: Ensemble) -> None:
    with pytest.raises(UserError) as refusal:
        synthesize_file(replace(request, expression="suprise"), model)
    known = ", ".join(EXPRESSIONS)
    assert str(refusal.value) == f"--expression=suprise: the run knows {known}; did you mean surprise?"
    with pytest.raises(UserError, match=f"--expression=xyz: the run knows {known}; or all"):
        synthesize_file(replace(request, expression="xyz"), model)


def test_a_sheet_that_the_file_cannot_hold(
    request: SynthesisRequest, model: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(synthesize.MAX_PIXELS, ".png", 500)
    with pytest.raises(
        UserError, match=r"neutral\.png: its sheet would be 952x\d+ pixels, a \.png holds 500; give fewer"
    ):
        synthesize_file(replace(request, expression="all"), model)


def test_what_comes_out_otherwise_is_told(
    request: SynthesisRequest, model: Ensemble, capsys: pytest.CaptureFixture[str]
) -> None:
    synthesize_file(
        replace(request, intensity=1.5, frames=3, fps=30.0, out=request.out.with_suffix(".gif"), crop=True), model
    )
    assert capsys.readouterr().err.splitlines() == [
        "note: --intensity=1.5 exaggerates: the networks were trained to reach 1",
        "note: a .gif plays at 33.33 frames per second, not at 30",
    ]
