import io

import numpy as np
from PIL import Image

from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.reporting.grids import draw_strip, find_worst_clips


def faces_of(keys):
    """Faces of 8 by 8; the brightness of each apex is proportional to its index."""
    onset = np.zeros((len(keys), 8, 8), np.uint8)
    apex = onset + np.arange(len(keys), dtype=np.uint8)[:, None, None] * 40
    labels = np.zeros(len(keys), np.int64)
    names = [key[2] for key in keys]
    return SynthesizedFaces(
        onset, np.stack([onset] * 2, 1), apex, labels, [key[:2] for key in keys], names, ["f"] * len(keys)
    )


def row(subject, clip, label, guess, lengths):
    return Prediction("db", subject, clip, label, guess, lengths)


def test_the_wrong_prediction_with_the_largest_margin_comes_first_with_its_own_faces():
    rows = [
        row("1", "a", 0, 1, (0.5, 0.6)),
        row("1", "b", 1, 1, (0.0, 0.9)),
        row("2", "a", 1, 0, (0.9, 0.3)),
        row("3", "a", 0, 1, (0.2, 0.5)),
    ]
    worst = find_worst_clips(rows, faces_of([("db", "2", "a"), ("db", "1", "a"), ("other", "3", "a")]))
    assert [(clip.prediction.subject, round(clip.margin, 6)) for clip in worst] == [("2", 0.6), ("3", 0.3), ("1", 0.1)]
    assert worst[1].strip is None  # subject 3 of another database
    for clip, brightness in ((worst[0], 0), (worst[2], 40)):
        gray = np.asarray(Image.open(io.BytesIO(clip.strip)).convert("RGB"))[4, 12]
        assert np.abs(gray.astype(int) - brightness).max() < 6
    assert [clip.prediction.subject for clip in find_worst_clips(rows, faces_of([("db", "2", "a")]), limit=1)] == ["2"]


def test_a_strip_shows_onset_apex_and_what_changed():
    onset = np.full((32, 32), 100, np.uint8)
    apex = onset.copy()
    apex[:, :16] += 60
    apex[:, 16:] -= 60
    image = np.asarray(Image.open(io.BytesIO(draw_strip(onset, apex))).convert("RGB")).astype(int)
    assert image.shape == (32, 96, 3)
    for column, gray in ((16, 100), (40, 160), (56, 40)):
        assert np.abs(image[16, column] - gray).max() < 10
    red, blue = image[16, 72], image[16, 88]
    assert red[0] > red[2] + 50 and blue[2] > blue[0] + 50
