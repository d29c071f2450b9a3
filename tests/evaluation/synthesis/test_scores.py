"""The table of synthesis scores on drawn faces with known motion, each number computed in a second way."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.dataset import Pairs
from icegan_jax.errors import UserError
from icegan_jax.evaluation.synthesis import scores
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.evaluation.synthesis.measures import FeatureExtractors, kernel_distance, ssim
from icegan_jax.evaluation.synthesis.scores import COLUMNS, ROWS, SynthesisRow, count_faces, score_faces

SIZE = 48
PEOPLE = 4
CENTERS = ((24, 12), (12, 34), (36, 34))  # each class moves another region in another direction
DIRECTIONS = ((0.0, 1.0), (0.9, -0.5), (-0.9, -0.5))
SHIFTS = {-2: 0.7, -1: 0.9, 0: 1.0, 1: 0.9}


def moved(image: np.ndarray, label: int, pixels: float) -> np.ndarray:
    y, x = (grid.astype(np.float32) for grid in np.mgrid[:SIZE, :SIZE])
    left, top = CENTERS[label]
    height = pixels * np.exp(-((x - left) ** 2 + (y - top) ** 2) / (2 * 6**2))
    at = [
        (grid - height * direction).astype(np.float32)
        for grid, direction in zip((x, y), DIRECTIONS[label], strict=True)
    ]
    return cv2.remap(image, *at, cv2.INTER_CUBIC)


def neutral(person: int) -> np.ndarray:
    """One common image plus a small part of each subject's own, so that a class is similar on all subjects."""
    common, own = (cv2.GaussianBlur(np.random.default_rng(n).normal(size=(SIZE, SIZE)), (0, 0), 2) for n in (0, person))
    return np.clip(128 + 200 * common + 40 * own, 0, 255).astype(np.uint8)


def pairs() -> Pairs:
    keys = [(p, c, s) for p in range(PEOPLE) for c in range(3) for s in SHIFTS]
    return Pairs(
        onset=np.stack([neutral(p) for p, _, _ in keys]),
        apex=np.stack([moved(neutral(p), c, 2 * SHIFTS[s]) for p, c, s in keys]),
        rest=np.stack([neutral(p) for p, _, _ in keys]),
        label=np.array([c for _, c, _ in keys], np.int32),
        shift=np.array([s for _, _, s in keys], np.int32),
        dataset=np.full(len(keys), "d"),
        subject=np.array([str(p) for p, _, _ in keys]),
        clip=np.array([f"c{c}" for _, c, _ in keys]),
        classes=EXPRESSIONS,
        fingerprint="",
    )


def run(draw: Callable[[int, int], np.ndarray]) -> SynthesizedFaces:
    """A leave-one-subject-out run whose generator draws (subject, class)."""
    keys = [(p, c) for p in range(PEOPLE) for c in range(3)]
    return SynthesizedFaces(
        onset=np.stack([neutral(p) for p, _ in keys]),
        synthetic=np.stack([[draw(p, requested) for requested in range(3)] for p, _ in keys]),
        apex=np.stack([moved(neutral(p), c, 2) for p, c in keys]),
        label=np.array([c for _, c in keys]),
        subject=[("d", str(p)) for p, _ in keys],
        clip=[f"c{c}" for _, c in keys],
        fold=[f"d_{p}" for p, _ in keys],
    )


def of_clips(faces: SynthesizedFaces, kept: list[int]) -> SynthesizedFaces:
    """A run reduced to the given clips."""
    arrays = (array[kept] for array in faces[:4])
    return SynthesizedFaces(*arrays, *([names[row] for row in kept] for names in faces[4:]))


def networks() -> FeatureExtractors:
    return FeatureExtractors(
        lpips=lambda a, b: np.abs(a.astype(float) - b).mean(axis=(1, 2)),
        features=lambda faces: faces[:, ::12, ::12].reshape(len(faces), -1) / 255.0,
        embed=lambda face: face[::8, ::8].ravel().astype(np.float64) - 100,
    )


def moved_synthesis(person: int, requested: int) -> np.ndarray:
    return moved(neutral(person), requested, 1.6)


@pytest.fixture(scope="module")
def table() -> dict[str, SynthesisRow]:
    result = score_faces([run(moved_synthesis)], pairs(), networks())
    assert [row.method for row in result] == list(ROWS)
    return {row.method: row for row in result}


def test_means_are_over_the_right_faces(table):
    faces, data = run(moved_synthesis), pairs()
    of_class, of_others, copies, neighbors = [], [], [], []
    for row, label in enumerate(faces.label):
        others = [requested for requested in range(3) if requested != label]
        of_class.append(ssim(faces.apex[row], faces.synthetic[row, label]))
        of_others.append(np.mean([ssim(faces.apex[row], faces.synthetic[row, requested]) for requested in others]))
        copies.append(ssim(faces.apex[row], faces.onset[row]))
        own_rows = np.flatnonzero(
            (data.subject == faces.subject[row][1]) & (data.clip == faces.clip[row]) & (data.shift != 0)
        )
        neighbors.append(np.mean([ssim(faces.apex[row], data.apex[other]) for other in own_rows]))
    expected = {scores.SYNTHETIC: of_class, scores.WRONG: of_others, scores.COPY: copies, scores.REAL: neighbors}
    for name, values in expected.items():
        assert table[name].scores["ssim"].mean == pytest.approx(np.mean(values)), name
        assert table[name].n == 12 and table[name].scores["ssim"].n == 12
        assert table[name].scores["ssim"].low < np.mean(values) < table[name].scores["ssim"].high


def test_flow_distinguishes_the_class_from_another_and_from_no_motion(table):
    flow = {name: [table[name].scores[f"flow_{part}"].mean for part in ("cosine", "magnitude_ratio")] for name in ROWS}
    assert flow[scores.SYNTHETIC] == pytest.approx([1, 0.8], abs=0.06)
    assert flow[scores.REAL] == pytest.approx([1, (0.7 + 0.9 + 0.9) / 3], abs=0.06)
    assert flow[scores.COPY] == [0, 0]
    assert abs(flow[scores.WRONG][0]) < 0.5 and flow[scores.WRONG][1] < 0.4


def test_classifier(table):
    shares = {name: [table[name].scores[f"classifier_{of}"].mean for of in ("accuracy", "clip_class")] for name in ROWS}
    assert shares[scores.SYNTHETIC] == [1, 1] and shares[scores.REAL] == [1, 1]
    assert shares[scores.WRONG] == [1, 0]  # recognized as the requested class, which is not the clip's class
    assert shares[scores.COPY] == pytest.approx([1 / 3, 1 / 3])  # the same prediction for every clip


def test_identity(table):
    onset = np.stack([networks().embed(neutral(p)) for p in range(PEOPLE)])
    onset /= np.linalg.norm(onset, axis=1, keepdims=True)
    others = [onset[p] @ onset[q] for p in range(PEOPLE) for q in range(PEOPLE) if p != q]
    assert table[scores.OTHER_SUBJECT].scores["identity"].mean == pytest.approx(np.mean(others))
    assert table[scores.SAME_SUBJECT].scores["identity"].mean == pytest.approx(1)
    assert table[scores.COPY].scores["identity"].mean == 1
    apex = [networks().embed(moved(neutral(p), c, 2)) for p in range(PEOPLE) for c in range(3)]
    cosine = [onset[n // 3] @ vector / np.linalg.norm(vector) for n, vector in enumerate(apex)]
    assert table[scores.REAL].scores["identity"].mean == pytest.approx(np.mean(cosine))
    assert table[scores.OTHER_SUBJECT].scores["ssim"].n == 0


def test_kernel_distance_is_of_whole_sets(table):
    faces, features = run(moved_synthesis), networks().features
    apex, every = features(faces.apex), np.arange(12)
    assert table[scores.SYNTHETIC].kid == kernel_distance(apex, features(faces.synthetic[every, faces.label]))
    wrong = [kernel_distance(apex, features(faces.synthetic[every, (faces.label + n) % 3])) for n in (1, 2)]
    assert table[scores.WRONG].kid == pytest.approx(np.mean(wrong))
    assert table[scores.COPY].kid == kernel_distance(apex, features(faces.onset))
    data = pairs()
    neighbors = [kernel_distance(apex, features(data.apex[data.shift == shift])) for shift in (-2, -1, 1)]
    assert table[scores.REAL].kid == pytest.approx(np.mean(neighbors)) and table[scores.REAL].kid_n == 12
    assert np.isnan(table[scores.SAME_SUBJECT].kid) and table[scores.SAME_SUBJECT].kid_n == 0


def test_runs_are_scored_together(table):
    ticks = []
    copying = run(lambda person, requested: neutral(person))  # copies the onset
    runs = [run(moved_synthesis), copying]
    both = {row.method: row for row in score_faces(runs, pairs(), networks(), lambda: ticks.append(1))}
    assert len(ticks) == count_faces(runs, pairs()) == 2 * (36 + 12 + 36)
    for column in COLUMNS:
        halves = table[scores.SYNTHETIC].scores[column].mean, table[scores.COPY].scores[column].mean
        assert both[scores.SYNTHETIC].scores[column].mean == pytest.approx(np.mean(halves)), column
        assert both[scores.SYNTHETIC].deviation[column] == pytest.approx(np.std(halves, ddof=1), abs=1e-12)
    assert both[scores.SYNTHETIC].n == 12 and both[scores.SYNTHETIC].scores["ssim"].n == 24
    assert both[scores.SYNTHETIC].kid == pytest.approx((table[scores.SYNTHETIC].kid + table[scores.COPY].kid) / 2)
    for name in scores.REAL_FACES:
        assert both[name].deviation == dict.fromkeys(COLUMNS), name
        assert (both[name].n, both[name].kid_n) == (table[name].n, table[name].kid_n)
        np.testing.assert_equal(both[name].kid, table[name].kid)
        for column in COLUMNS:
            result, once = both[name].scores[column], table[name].scores[column]
            assert result.n == 2 * once.n
            np.testing.assert_allclose(
                np.array(result[:3], float), np.array(once[:3], float), err_msg=f"{name} {column}", atol=1e-12
            )


def test_every_row_is_over_the_same_clips_where_runs_hold_out_different_subjects():
    """Two splits that share a subject, whose clips count twice in every row."""
    whole = run(moved_synthesis)
    runs = [of_clips(whole, list(range(9))), of_clips(whole, list(range(6, 12)))]
    result = {row.method: row for row in score_faces(runs, pairs(), networks())}
    assert {row.n for row in result.values()} == {12}
    with_faces = (scores.SYNTHETIC, scores.WRONG, scores.COPY, scores.REAL)
    assert {result[name].scores["ssim"].n for name in with_faces} == {15}
    assert {result[name].kid_n for name in with_faces} == {6}
    features = networks().features
    values = [ssim(apex, onset) for faces in runs for apex, onset in zip(faces.apex, faces.onset, strict=True)]
    assert result[scores.COPY].scores["ssim"].mean == pytest.approx(np.mean(values))
    copies = [kernel_distance(features(faces.apex), features(faces.onset)) for faces in runs]
    assert result[scores.COPY].kid == pytest.approx(np.mean(copies))
    assert all(value is None for name in scores.REAL_FACES for value in result[name].deviation.values())
    assert result[scores.SYNTHETIC].deviation["ssim"] is not None


def test_a_run_of_a_single_clip_has_no_kernel_distance():
    whole, features = run(moved_synthesis), networks().features
    runs = [of_clips(whole, [0, 1, 2]), of_clips(whole, [5])]
    first, every = runs[0], np.arange(3)
    result = {row.method: row for row in score_faces(runs, pairs(), networks())}
    distance = kernel_distance(features(first.apex), features(first.synthetic[every, first.label]))
    assert (result[scores.SYNTHETIC].kid, result[scores.SYNTHETIC].kid_n) == (pytest.approx(distance), 3)
    assert result[scores.REAL].kid_n == 3 and np.isfinite(result[scores.REAL].kid)
    alone = {row.method: row for row in score_faces(runs[1:], pairs(), networks())}
    assert all(np.isnan(row.kid) and row.kid_n == 0 for row in alone.values())


def test_faces_of_other_data_raise():
    faces = run(moved_synthesis)
    with pytest.raises(UserError, match="the clip d 0 c1 of the run is not in the data"):
        changed = faces.apex.copy()
        changed[1, 0, 0] ^= 1
        score_faces([faces._replace(apex=changed)], pairs(), networks())
