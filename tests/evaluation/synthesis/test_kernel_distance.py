import itertools

import numpy as np
import pytest

from icegan_jax.evaluation.synthesis.measures import kernel_distance


def test_equals_the_sum_over_pairs():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(5, 3)), random.normal(0.5, 1.2, size=(4, 3))

    def k(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / 3 + 1) ** 3

    within = [np.mean([k(a, b) for a, b in itertools.permutations(rows, 2)]) for rows in (x, y)]
    across = np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(sum(within) - 2 * across)
    assert kernel_distance(x, y) == pytest.approx(kernel_distance(y, x))


def test_is_unbiased_and_detects_a_difference():
    random = np.random.default_rng(1)
    alike = [kernel_distance(*random.normal(size=(2, 10, 4))) for _ in range(2000)]
    assert abs(np.mean(alike)) < 4 * np.std(alike) / np.sqrt(2000)
    moved = [kernel_distance(random.normal(size=(10, 4)), random.normal(1, 1, size=(10, 4))) for _ in range(50)]
    assert np.mean(moved) > 5 * np.std(alike) / np.sqrt(50)


def test_single_face_has_no_distance():
    assert np.isnan(kernel_distance(np.ones((1, 2)), np.ones((3, 2))))
    with pytest.raises(ValueError, match="beside"):
        kernel_distance(np.ones((3, 2)), np.ones((3, 4)))
