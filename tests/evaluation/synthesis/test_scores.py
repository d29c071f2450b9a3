"""The table on made faces whose motion is known, each number by another route."""

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
PLACES = ((24, 12), (12, 34), (36, 34))  # what each class moves, and whereto: apart in place and direction
WAYS = ((0.0, 1.0), (0.9, -0.5), (-0.9, -0.5))
SHIFTS = {-2: 0.7, -1: 0.9, 0: 1.0, 1: 0.9}


def moved(image: np.ndarray, label: int, pixels: float) -> np.ndarray:
    y, x = (grid.astype(np.float32) for grid in np.mgrid[:SIZE, :SIZE])
    left, top = PLACES[label]
    height = pixels * np.exp(-((x - left) ** 2 + (y - top) ** 2) / (2 * 6**2))
    at = [(grid - height * way).astype(np.float32) for grid, way in zip((x, y), WAYS[label], strict=True)]
    return cv2.remap(image, *at, cv2.INTER_CUBIC)


def neutral(person: int) -> np.ndarray:
    """One picture with a little of each person's own: classes look alike on all."""
    common, own = (cv2.GaussianBlur(np.random.default_rng(n).normal(size=(SIZE, SIZE)), (0, 0), 2) for n in (0, person))
    return np.clip(128 + 200 * common + 40 * own, 0, 255).astype(np.uint8)


def pairs() -> Pairs:
    found = [(p, c, s) for p in range(PEOPLE) for c in range(3) for s in SHIFTS]
    return Pairs(
        onset=np.stack([neutral(p) for p, _, _ in found]),
        apex=np.stack([moved(neutral(p), c, 2 * SHIFTS[s]) for p, c, s in found]),
        label=np.array([c for _, c, _ in found], np.int32),
        shift=np.array([s for _, _, s in found], np.int32),
        dataset=np.full(len(found), "d"),
        subject=np.array([str(p) for p, _, _ in found]),
        clip=np.array([f"c{c}" for _, c, _ in found]),
        classes=EXPRESSIONS,
        fingerprint="",
    )


def run(draw: Callable[[int, int], np.ndarray]) -> SynthesizedFaces:
    """A leave-one-person-out run whose generator draws (person, class)."""
    found = [(p, c) for p in range(PEOPLE) for c in range(3)]
    return SynthesizedFaces(
        onset=np.stack([neutral(p) for p, _ in found]),
        synthetic=np.stack([[draw(p, asked) for asked in range(3)] for p, _ in found]),
        apex=np.stack([moved(neutral(p), c, 2) for p, c in found]),
        label=np.array([c for _, c in found]),
        subject=[("d", str(p)) for p, _ in found],
        clip=[f"c{c}" for _, c in found],
        fold=[f"d_{p}" for p, _ in found],
    )


def of_clips(faces: SynthesizedFaces, kept: list[int]) -> SynthesizedFaces:
    """These clips of a run."""
    arrays = (array[kept] for array in faces[:4])
    return SynthesizedFaces(*arrays, *([names[row] for row in kept] for names in faces[4:]))


def networks() -> FeatureExtractors:
    return FeatureExtractors(
        lpips=lambda a, b: np.abs(a.astype(float) - b).mean(axis=(1, 2)),
        features=lambda faces: faces[:, ::12, ::12].reshape(len(faces), -1) / 255.0,
        embed=lambda face: face[::8, ::8].ravel().astype(np.float64) - 100,
    )


def good(person: int, asked: int) -> np.ndarray:
    return moved(neutral(person), asked, 1.6)


@pytest.fixture(scope="module")
def table() -> dict[str, SynthesisRow]:
    found = score_faces([run(good)], pairs(), networks())
    assert [row.method for row in found] == list(ROWS)
    return {row.method: row for row in found}


def test_means_are_over_the_right_faces(table):
    faces, data = run(good), pairs()
    of_class, of_others, copies, near = [], [], [], []
    for row, label in enumerate(faces.label):
        others = [asked for asked in range(3) if asked != label]
        of_class.append(ssim(faces.apex[row], faces.synthetic[row, label]))
        of_others.append(np.mean([ssim(faces.apex[row], faces.synthetic[row, asked]) for asked in others]))
        copies.append(ssim(faces.apex[row], faces.onset[row]))
        mine = np.flatnonzero(
            (data.subject == faces.subject[row][1]) & (data.clip == faces.clip[row]) & (data.shift != 0)
        )
        near.append(np.mean([ssim(faces.apex[row], data.apex[other]) for other in mine]))
    expected = {scores.SYNTHETIC: of_class, scores.WRONG: of_others, scores.COPY: copies, scores.REAL: near}
    for name, values in expected.items():
        assert table[name].scores["ssim"].mean == pytest.approx(np.mean(values)), name
        assert table[name].n == 12 and table[name].scores["ssim"].n == 12
        assert table[name].scores["ssim"].low < np.mean(values) < table[name].scores["ssim"].high


def test_flow_tells_the_class_from_another_and_from_nothing(table):
    flow = {name: [table[name].scores[f"flow_{part}"].mean for part in ("cosine", "magnitude_ratio")] for name in ROWS}
    assert flow[scores.SYNTHETIC] == pytest.approx([1, 0.8], abs=0.06)
    assert flow[scores.REAL] == pytest.approx([1, (0.7 + 0.9 + 0.9) / 3], abs=0.06)
    assert flow[scores.COPY] == [0, 0]
    assert abs(flow[scores.WRONG][0]) < 0.5 and flow[scores.WRONG][1] < 0.4


def test_classifier(table):
    told = {name: [table[name].scores[f"classifier_{of}"].mean for of in ("accuracy", "clip_class")] for name in ROWS}
    assert told[scores.SYNTHETIC] == [1, 1] and told[scores.REAL] == [1, 1]
    assert told[scores.WRONG] == [1, 0]  # shows what it was asked for, which is not what the clip shows
    assert told[scores.COPY] == pytest.approx([1 / 3, 1 / 3])  # one answer to all


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
    faces, features = run(good), networks().features
    apex, every = features(faces.apex), np.arange(12)
    assert table[scores.SYNTHETIC].kid == kernel_distance(apex, features(faces.synthetic[every, faces.label]))
    wrong = [kernel_distance(apex, features(faces.synthetic[every, (faces.label + n) % 3])) for n in (1, 2)]
    assert table[scores.WRONG].kid == pytest.approx(np.mean(wrong))
    assert table[scores.COPY].kid == kernel_distance(apex, features(faces.onset))
    data = pairs()
    near = [kernel_distance(apex, features(data.apex[data.shift == shift])) for shift in (-2, -1, 1)]
    assert table[scores.REAL].kid == pytest.approx(np.mean(near)) and table[scores.REAL].kid_n == 12
    assert np.isnan(table[scores.SAME_SUBJECT].kid) and table[scores.SAME_SUBJECT].kid_n == 0


def test_runs_are_scored_together(table):
    ticks = []
    lazy = run(lambda person, asked: neutral(person))  # copies the onset
    runs = [run(good), lazy]
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
            found, once = both[name].scores[column], table[name].scores[column]
            assert found.n == 2 * once.n
            np.testing.assert_allclose(
                np.array(found[:3], float), np.array(once[:3], float), err_msg=f"{name} {column}", atol=1e-12
            )


def test_every_row_is_over_the_same_clips_where_runs_hold_out_different_people():
    """Two splits that share a person: his clips count twice in every row."""
    whole = run(good)
    runs = [of_clips(whole, list(range(9))), of_clips(whole, list(range(6, 12)))]
    found = {row.method: row for row in score_faces(runs, pairs(), networks())}
    assert {row.n for row in found.values()} == {12}
    assert {found[name].scores["ssim"].n for name in (scores.SYNTHETIC, scores.WRONG, scores.COPY, scores.REAL)} == {15}
    assert {found[name].kid_n for name in (scores.SYNTHETIC, scores.WRONG, scores.COPY, scores.REAL)} == {6}
    features = networks().features
    values = [ssim(apex, onset) for faces in runs for apex, onset in zip(faces.apex, faces.onset, strict=True)]
    assert found[scores.COPY].scores["ssim"].mean == pytest.approx(np.mean(values))
    copies = [kernel_distance(features(faces.apex), features(faces.onset)) for faces in runs]
    assert found[scores.COPY].kid == pytest.approx(np.mean(copies))
    assert all(value is None for name in scores.REAL_FACES for value in found[name].deviation.values())
    assert found[scores.SYNTHETIC].deviation["ssim"] is not None


def test_a_run_of_a_single_clip_has_no_kernel_distance():
    whole, features = run(good), networks().features
    runs = [of_clips(whole, [0, 1, 2]), of_clips(whole, [5])]
    first, every = runs[0], np.arange(3)
    found = {row.method: row for row in score_faces(runs, pairs(), networks())}
    distance = kernel_distance(features(first.apex), features(first.synthetic[every, first.label]))
    assert (found[scores.SYNTHETIC].kid, found[scores.SYNTHETIC].kid_n) == (pytest.approx(distance), 3)
    assert found[scores.REAL].kid_n == 3 and np.isfinite(found[scores.REAL].kid)
    alone = {row.method: row for row in score_faces(runs[1:], pairs(), networks())}
    assert all(np.isnan(row.kid) and row.kid_n == 0 for row in alone.values())


def test_other_data_are_refused():
    faces = run(good)
    with pytest.raises(UserError, match="the clip d 0 c1 of the run is not in the data"):
        changed = faces.apex.copy()
        changed[1, 0, 0] ^= 1
        score_faces([faces._replace(apex=changed)], pairs(), networks())
