import numpy as np
import pytest

from icegan_jax.data.resting import disturb, disturbed_resting_faces, resting_frames
from tests.data.conftest import Gray, pairs_of, record


@pytest.mark.parametrize(
    ("onset", "apex", "numbers", "expected"),
    [
        (10, 14, range(30), [6, 7, 8, 8, 9]),  # as far from the onset as the apex
        (10, 40, [3, 8, *range(10, 60)], [3, 3, 3, 8, 8]),  # two frames before the onset
        (10, 40, range(10, 60), [11, 11, 12, 13, 13]),  # none: the first tenth of the way to the apex
        (10, 19, range(10, 60), [10] * 5),  # too fast for such a tenth
        (1, 3, [1, 3], [1] * 5),
    ],
)
def test_resting_frames(onset: int, apex: int, numbers: range | list[int], expected: list[int]) -> None:
    assert resting_frames(onset, apex, numbers, 5) == expected


def test_disturbed_face_stays_the_same_face(face_image: Gray) -> None:
    face = face_image[60:188, 50:178]
    faces = [disturb(face, np.random.default_rng(seed)) for seed in range(60)]
    change = [np.abs(other.astype(float) - face).mean() for other in faces]
    assert {other.shape for other in faces} == {face.shape} and {other.dtype for other in faces} == {face.dtype}
    assert 10 <= change.count(0.0) <= 30  # of 60, a third
    assert 1.0 < max(change) < 5.0


def test_disturbance_depends_on_the_names_alone() -> None:
    pairs = pairs_of([record("d", "s", f"c{n}", 0, 0, size=32) for n in range(4)])
    all_faces = disturbed_resting_faces(pairs, np.arange(4))
    np.testing.assert_array_equal(
        disturbed_resting_faces(pairs, np.array([[2, 0], [2, 2]])), all_faces[[[2, 0], [2, 2]]]
    )
    assert not np.array_equal(all_faces[0], all_faces[1]) or not np.array_equal(all_faces[2], all_faces[3])
