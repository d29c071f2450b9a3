from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import ANOTHER_FACE, ClipCrops, CropRepair, FaceDetection
from icegan_jax.data.landmarks import Box, Face
from icegan_jax.evaluation.calibration import Calibration, CloseCall, Reliability, Threshold
from icegan_jax.inference import quality_flags

CLIP = Clip("", "", "", -1, Path("frames"), 0, None, 10)
NOISE = np.random.default_rng(0).integers(0, 3, (4, 16, 16)).astype(np.uint8)


def detection(width: float = 100, count: int = 1, travel: float = 0.0, *changes: CropRepair) -> FaceDetection:
    points = np.array([[0.0, 0.0], [width, width]])
    onset = 100 + NOISE[0]
    cropped = ClipCrops(5, (-1, 0, 1), onset, 100 + NOISE[1:], changes, 4)
    return FaceDetection(cropped, Face(points, count, 0, ""), Box(0, 0, 120, 120), travel, CLIP)


def words(flags: list[quality_flags.QualityFlag]) -> list[str]:
    return [flag.word for flag in flags]


@pytest.mark.parametrize(("fps", "word"), [(None, "rate_unknown"), (25.0, "slow_camera"), (60.0, ""), (200.0, "")])
def test_the_frame_rate(fps: float | None, word: str) -> None:
    assert words(quality_flags.flag_frame_rate(fps)) == [word] * bool(word)
    (flag, *_) = quality_flags.flag_frame_rate(fps, missing_frames=3)
    assert flag.word == "missing_frames" and "lacks 3 frames" in flag.sentence


def test_a_rate_that_varies() -> None:
    (flag,) = quality_flags.flag_frame_rate(60.0, rates=(15.0, 60.0))
    assert flag.word == "rate_varies" and "varies from 15 to 60 per second" in flag.sentence


def test_a_good_face_has_no_flag() -> None:
    assert quality_flags.flag_face(detection()) == []


def test_all_flags_of_a_face() -> None:
    flagged = detection(
        79,
        2,
        6.0,
        CropRepair("face", 2, 1, "2 faces: the largest one"),
        CropRepair("face", None, "cut off", "the face reaches beyond the image"),
        CropRepair("registration", "rigid", "none", "frame 6 could not be moved onto the onset"),
    )
    flags = quality_flags.flag_face(flagged)
    assert words(flags) == ["several_faces", "small_face", "moving_head", "not_registered", "poor_picture"]
    sentences = " ".join(flag.sentence for flag in flags)
    assert "2 faces" in sentences and "79 pixels" in sentences and "6.0 pixels, 5%" in sentences
    assert "1 of 3 frames" in sentences and "The face reaches beyond" in sentences


def test_a_face_of_a_later_frame_and_of_an_equalized_picture() -> None:
    several = CropRepair("face", 2, 1, "2 faces: the largest one")
    late = detection(100, 2, 0.0, several, CropRepair("face", 10, 12, "no face found in the onset"))
    late = replace(late, face=replace(late.face, position=2))
    assert words(quality_flags.flag_face(late)) == ["several_faces", "no_face_in_onset"]
    helped = detection(
        100, 1, 0.0, CropRepair("face", None, "equalized and upsampled", "the detector found no face without")
    )
    helped = replace(helped, face=replace(helped.face, help="equalized and upsampled"))
    assert words(quality_flags.flag_face(helped)) == ["poor_picture"]


def test_a_turned_and_uncertain_face_and_a_changed_clip() -> None:
    changes = [CropRepair(field, 0, 8, "") for field in ("onset", "offset", ANOTHER_FACE)]
    changed = detection(100, 1, 0.0, *changes)
    changed = replace(changed, face=replace(changed.face, turn=2, score=0.7))
    flags = quality_flags.flag_face(changed)
    assert words(flags) == ["turned", "uncertain_face", "late_onset", "cut", "two_people"]
    assert "by 180 degrees" in flags[0].sentence and "score 0.7" in flags[1].sentence


@pytest.mark.parametrize(
    ("onset", "apex", "offset", "seconds", "expected"),
    [
        (0, 5, 10, 0.1, []),
        (0, 10, 10, 0.1, ["apex_is_last"]),
        (0, 1, 1, None, []),  # a pair
        (0, 5, 60, 0.6, ["longer_than_micro"]),
    ],
)
def test_times(onset: int, apex: int, offset: int, seconds: float | None, expected: list[str]) -> None:
    assert words(quality_flags.flag_duration(onset, apex, offset, seconds)) == expected


def test_noise_alone_is_flagged() -> None:
    rng = np.random.default_rng(0)
    onset = skimage.data.astronaut()[40:168, 160:288, 1]
    noise = rng.normal(0, 8, (2, *onset.shape))
    moved = onset.copy()
    moved[80:100, 30:90] = onset[78:98, 30:90]  # the mouth, by two pixels
    for apex in (onset, onset + 20.0, onset + noise[0]):
        first = onset if apex is onset else np.clip(onset + noise[1], 0, 255).astype(np.uint8)
        assert words(quality_flags.flag_change(first, np.clip(apex, 0, 255).astype(np.uint8))) == ["hardly_moves"]
    assert quality_flags.flag_change(onset, moved) == []


def calibration(close_margin: float, threshold: float) -> Calibration:
    return Calibration(
        Threshold(threshold, (9, 1), (), (1, 0), (8, 4), (0, 2)),
        CloseCall(close_margin, 7, 3),
        Reliability((), (), (), 0.0),
    )


@pytest.mark.parametrize(
    ("longest", "margin", "expected"),
    [(0.5, 0.01, ["below_threshold"]), (0.6, 0.05, ["close_call"]), (0.6, 0.3, []), (0.6, None, [])],
)
def test_answers(longest: float, margin: float | None, expected: list[str]) -> None:
    assert words(quality_flags.flag_answer(longest, margin, calibration(0.2, 0.5))) == expected
    assert quality_flags.flag_answer(longest, margin, None) == []


def test_the_flags_of_an_answer_give_the_counts_of_the_run() -> None:
    (flag,) = quality_flags.flag_answer(0.43, 0.1, calibration(0.2, 0.5))
    assert "9 of 10 held-out pairs at rest" in flag.sentence and "2 of 12 held-out clips" in flag.sentence
    (flag,) = quality_flags.flag_answer(0.43, 0.1, calibration(0.2, 0.3))
    assert "3 of 7 held-out answers with a margin of 0.20 or less were right" in flag.sentence


def test_the_flags_of_a_run() -> None:
    assert quality_flags.flag_run(calibration(0.2, 0.5), drawn_faces=False) == []
    assert words(quality_flags.flag_run(None, drawn_faces=True)) == ["trained_on_drawn_faces", "no_threshold"]
