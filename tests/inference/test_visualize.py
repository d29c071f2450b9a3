from dataclasses import replace

import numpy as np
import pytest

from icegan_jax.data.landmarks import Box
from icegan_jax.inference import visualize
from icegan_jax.inference.quality_flags import QualityFlag
from icegan_jax.inference.recognize import Recognition
from icegan_jax.inference.visualize import draw_recognition

CLASSES = ("negative", "positive", "surprise")
FACE = np.full((32, 32), 120, np.uint8)


def make_result(**changes: object) -> Recognition:
    apex = FACE.copy()
    apex[8:16] += 30
    result = Recognition(
        "clip<1>", "film.mp4", "micro", 10, 12, 15, 20, 100.0,
        (QualityFlag("close_call", "Two are alike."),), "positive",
        np.array([0.7, 0.65, 0.1], np.float32), FACE, apex, Box(1, 2, 3, 4), ("f",), CLASSES,
    )  # fmt: skip
    return replace(result, **changes)  # type: ignore[arg-type]


def test_class_margin_and_time() -> None:
    assert make_result().label == "negative"
    assert make_result(threshold=0.7).label == "no expression" and make_result(threshold=0.69).label == "negative"
    assert make_result().margin == pytest.approx(0.05)
    assert make_result().seconds(15) == pytest.approx(0.05)
    assert make_result(lengths=None).label is None and make_result(lengths=None).margin is None
    assert make_result(fps=None).seconds(15) is None


def test_a_strip_shows_faces_and_bars() -> None:
    strip = draw_recognition(make_result(), CLASSES)
    assert strip.shape[2] == 3 and (strip[100, 100] == 120).all()  # the onset
    longer = draw_recognition(make_result(lengths=np.array([0.7, 0.95, 0.1], np.float32)), CLASSES)
    orange = [(np.abs(image.astype(int) - (230, 159, 0)).max(axis=2) == 0).sum() for image in (strip, longer)]
    assert orange[1] > 1.3 * orange[0] > 0


def test_an_annotated_frame_shows_letters_beyond_ascii() -> None:
    frames = []
    for label in ("überrascht", "?berrascht"):
        result = make_result(lengths=np.array([0.7], np.float32), classes=(label,))
        frame = np.zeros((480, 640, 3), np.uint8)
        visualize._draw_frame(frame, 12, 0.1, [result], 1)
        frames.append(frame)
    assert (frames[0] != frames[1]).any() and (frames[0][:60] != 0).any()
