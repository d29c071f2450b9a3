"""Synthesis with the networks of a tiny run."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from icegan_jax import __version__
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.images import read_color
from icegan_jax.data.video import read_video_info
from icegan_jax.errors import UserError
from icegan_jax.inference import synthesize
from icegan_jax.inference.composite import composite_face
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_crops import NeutralFace, find_neutral_faces
from icegan_jax.inference.quality_flags import DRAWN_FACES
from icegan_jax.inference.synthesize import SynthesisRequest, apex_frame, envelope, synthesize_file
from tests.inference.read_metadata import metadata_in
from tests.reporting.parsed_page import ParsedPage

Color = NDArray[np.uint8]


@pytest.fixture(scope="module")
def neutral_face(face_picture: Path, ensemble: Ensemble) -> NeutralFace:
    return find_neutral_faces([face_picture], ensemble.image_size)[0]


@pytest.fixture
def default_request(face_picture: Path, tmp_path: Path) -> SynthesisRequest:
    """Return the request of a still with surprise."""
    return SynthesisRequest(face_picture, tmp_path / "synthetic.png", "surprise")


def synthesize_picture(request: SynthesisRequest, ensemble: Ensemble) -> Color:
    synthesize_file(request, ensemble)
    return read_color(request.out)


GeneratorInputs = tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]]


def generator_inputs(neutral_face: NeutralFace, label: int, draw: int) -> GeneratorInputs:
    return neutral_face.onset[None], np.array([label], np.int32), np.array([draw], np.int32)


def test_only_the_face_of_the_picture_changes(
    default_request: SynthesisRequest, ensemble: Ensemble, neutral_face: NeutralFace
) -> None:
    change = ensemble.motion_field(*generator_inputs(neutral_face, 2, 0))[0]
    result = synthesize_picture(default_request, ensemble)
    assert np.array_equal(result, composite_face(neutral_face.picture, neutral_face.box, change, 1.0))
    assert (result != neutral_face.picture).mean() > 0.02
    assert np.array_equal(synthesize_picture(replace(default_request, intensity=0.0), ensemble), neutral_face.picture)


def test_a_crop_is_the_face_of_the_generator(
    default_request: SynthesisRequest, ensemble: Ensemble, neutral_face: NeutralFace
) -> None:
    face = ensemble.synthesize(*generator_inputs(neutral_face, 2, 7), np.array([0.5], np.float32))[0]
    result = synthesize_picture(replace(default_request, crop=True, seed=7, intensity=0.5), ensemble)
    assert np.array_equal(result, np.repeat(face[..., None], 3, axis=2))
    assert metadata_in(default_request.out)[0].endswith("/trainedAlgorithmicMedia")


def test_metadata_and_json_document_the_request(default_request: SynthesisRequest, ensemble: Ensemble) -> None:
    lines = synthesize_file(replace(default_request, seed=3, intensity=0.6), ensemble)
    source, description, record = metadata_in(default_request.out)
    assert source.endswith("/compositeWithTrainedAlgorithmicMedia")
    assert description == (
        "Synthetic expression, not a recording: surprise, intensity 0.6, draw 3; "
        f"icegan_jax {__version__} (ICE-GAN), run {ensemble.run_id[:8]}, mean of folds tiny_s0, tiny_s1, tiny_s2"
    )
    assert record == {
        "software": f"icegan_jax {__version__}",
        "run": ensemble.run_id,
        "folds": ["tiny_s0", "tiny_s1", "tiny_s2"],
        "trained_on_drawn_faces": False,
        "input": "neutral.png",
        "expressions": ["surprise"],
        "intensity": 0.6,
        "seed": 3,
        "draws": [3],
        "crop": False,
        "faces": 1,
    }
    json_file = json.loads((default_request.out.parent / "synthetic.png.json").read_text())
    assert json_file.keys() == {"file", "sha256", "description", *record}
    assert record.items() <= json_file.items() and json_file["file"] == "synthetic.png"
    out = default_request.out
    assert lines == [description, f"written: {out}, and how it was made: synthetic.png.json, synthetic.png.html"]
    page = ParsedPage(out.with_name("synthetic.png.html").read_text())
    page.check_self_contained()
    assert description in page.words() and np.array_equal(page.pictures()[0], read_color(out))


def test_the_grid_of_all_classes(default_request: SynthesisRequest, ensemble: Ensemble) -> None:
    """At intensity 0 all cells are equal; at intensity 1 all but the onset change."""
    still = synthesize_picture(
        replace(default_request, expression="all", intensity=0.0, out=default_request.out.with_name("rest.png")),
        ensemble,
    )
    grid = synthesize_picture(replace(default_request, expression="all"), ensemble)
    assert still.shape == grid.shape
    assert grid.shape[1] == 2 * 16 + 4 * 224 + 3 * 8
    cells = [slice(16 + column * 232, 16 + column * 232 + 224) for column in range(4)]
    changed = [(grid[:-40, cell] != still[:-40, cell]).any() for cell in cells]
    assert changed == [False, True, True, True]
    onset = still[40:-60, cells[0]]
    assert all(np.array_equal(still[40:-60, cell], onset) for cell in cells)


def test_difference_images(default_request: SynthesisRequest, ensemble: Ensemble) -> None:
    grid = synthesize_picture(replace(default_request, differences=True, intensity=2.0), ensemble)
    assert grid.shape[1] == 2 * 16 + 3 * 224 + 2 * 8
    last = grid[70:-60, -16 - 224 : -16].astype(int)
    assert (last[0, 0] == last[-1, -1]).all()  # where nothing changes
    assert np.abs(last - last[0, 0]).max() > 20


def test_the_grid_of_draws(default_request: SynthesisRequest, ensemble: Ensemble, neutral_face: NeutralFace) -> None:
    grid = synthesize_picture(replace(default_request, draws=3, seed=4, crop=True), ensemble)
    for column, draw in enumerate((4, 5, 6), start=1):
        face = ensemble.synthesize(*generator_inputs(neutral_face, 2, draw), np.ones(1, np.float32))[0]
        left = 16 + column * (128 + 8)
        result = grid[:, left : left + 128 : 4, 0]  # a pixel of the generator has 4x4 here
        tops = [top for top in range(len(result) - 124) if np.array_equal(result[top : top + 128 : 4], face)]
        assert tops, f"draw {draw} is not in its cell"
    assert metadata_in(default_request.out)[2]["draws"] == [4, 5, 6]


def test_a_folder_gives_a_row_for_each_picture(
    default_request: SynthesisRequest, ensemble: Ensemble, face_picture: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    for name in ("anna", "bob"):
        (folder / f"{name}.png").write_bytes(face_picture.read_bytes())
    rows = synthesize_picture(replace(default_request, input=folder), ensemble)
    (folder / "bob.png").unlink()
    row = synthesize_picture(replace(default_request, input=folder), ensemble)
    assert len(rows) - len(row) == 224 + 8
    assert metadata_in(default_request.out)[2]["input"] == "faces"
    Image.new("RGB", (80, 80)).save(folder / "wall.png")
    with pytest.raises(UserError, match=r"wall\.png: no face found"):
        synthesize_file(replace(default_request, input=folder), ensemble)


def test_a_sequence_from_the_onset_over_the_apex_to_the_offset(
    default_request: SynthesisRequest, ensemble: Ensemble, neutral_face: NeutralFace, tmp_path: Path
) -> None:
    crop = replace(default_request, crop=True, frames=5, out=tmp_path / "clip.gif", fps=20.0)
    synthesize_file(crop, ensemble)
    with Image.open(crop.out) as image:
        shown = [(np.array(frame.convert("L")), frame.info["duration"]) for frame in ImageSequence.Iterator(image)]
    frames = [frame for frame, duration in shown for _ in range(round(duration / 50))]
    inputs = generator_inputs(neutral_face, 2, 0)
    expected = [ensemble.synthesize(*inputs, np.array([share], np.float32))[0] for share in (0, 0.5, 1, 0.5, 0)]
    assert len(frames) == 5
    assert all(np.array_equal(*pair) for pair in zip(frames, expected, strict=True))
    assert np.array_equal(frames[0], neutral_face.onset)
    assert json.loads((tmp_path / "clip.gif.json").read_text())["sequence"] == {
        "frames": 5,
        "frames_per_second": 20.0,
        "apex": 2,
        "envelope": [0.0, 0.5, 1.0, 0.5, 0.0],
    }


@pytest.mark.parametrize("suffix", [".webp", ".mp4", ".gif"])
def test_a_sequence_of_the_picture_or_of_a_grid(
    default_request: SynthesisRequest, ensemble: Ensemble, tmp_path: Path, suffix: str
) -> None:
    expression = "all" if suffix == ".mp4" else "surprise"
    clip = replace(default_request, frames=4, out=tmp_path / f"clip{suffix}", expression=expression)
    synthesize_file(clip, ensemble)
    assert json.loads((tmp_path / f"clip{suffix}.json").read_text())["sequence"]["frames"] == 4
    if suffix == ".mp4":
        assert read_video_info(clip.out).frames == 4
    else:
        with Image.open(clip.out) as image:
            assert image.size == (240, 260)


def test_an_unknown_class(default_request: SynthesisRequest, ensemble: Ensemble) -> None:
    with pytest.raises(UserError) as refusal:
        synthesize_file(replace(default_request, expression="suprise"), ensemble)
    known = ", ".join((*EXPRESSIONS, "all"))
    start = "--expression=suprise: no class of the run"
    assert str(refusal.value) == f"{start} (did you mean surprise?); use one of {known}"
    with pytest.raises(UserError, match=f"--expression=xyz: no class of the run; use one of {known}"):
        synthesize_file(replace(default_request, expression="xyz"), ensemble)


def test_a_grid_too_large_for_the_file(
    default_request: SynthesisRequest, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(synthesize.MAX_PIXELS, ".png", 500)
    with pytest.raises(
        UserError, match=r"neutral\.png: the grid would have 952x\d+ pixels, a \.png holds 500; give fewer"
    ):
        synthesize_file(replace(default_request, expression="all"), ensemble)


def test_notes_about_unexpected_results(
    default_request: SynthesisRequest, ensemble: Ensemble, capsys: pytest.CaptureFixture[str]
) -> None:
    synthesize_file(
        replace(
            default_request, intensity=1.5, frames=3, fps=30.0, out=default_request.out.with_suffix(".gif"), crop=True
        ),
        replace(ensemble, drawn_faces=True),
    )
    assert capsys.readouterr().err.splitlines() == [
        f"note: {DRAWN_FACES.sentence}",
        "note: --intensity=1.5 exaggerates: the networks were trained to reach 1",
        "note: a .gif plays at 33.33 frames per second, not at 30",
    ]


@pytest.mark.parametrize(("frames", "apex_at", "apex"), [(3, 0.5, 1), (25, 0.25, 6), (10, 0.01, 1), (10, 0.99, 8)])
def test_the_envelope_rises_to_the_apex_and_falls_to_the_offset(frames: int, apex_at: float, apex: int) -> None:
    shares = envelope(frames, apex_at)
    assert shares.shape == (frames,) and apex == apex_frame(frames, apex_at)
    assert shares[0] == shares[-1] == 0 and shares[apex] == 1
    assert (np.diff(shares[: apex + 1]) > 0).all() and (np.diff(shares[apex:]) < 0).all()
