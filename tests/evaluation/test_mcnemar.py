from math import comb

import numpy as np
import pytest

from icegan_jax.evaluation.compare import McNemar, mcnemar


@pytest.mark.parametrize("only_first,only_second", [(1, 0), (3, 3), (9, 2), (0, 5), (4, 7)])
def test_against_the_binomial_written_out(only_first, only_second):
    both_right, both_wrong = 4, 3
    right = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], [both_right, only_first, only_second, both_wrong], axis=0)
    truth = np.arange(len(right)) % 3
    first, second = ((truth + 1 - right[:, i]) % 3 for i in range(2))
    total, less = only_first + only_second, min(only_first, only_second)
    tail = sum(comb(total, i) for i in range(less + 1)) / 2**total
    p = min(1.0, 2 * tail)
    mid_p = min(1.0, 2 * tail - comb(total, less) / 2**total)
    result = mcnemar(truth, first, second)
    assert (result.only_first, result.only_second) == (only_first, only_second)
    assert result.p == pytest.approx(p)
    assert result.mid_p == pytest.approx(mid_p)


def test_published_example():
    """Fagerland, Lydersen, Laake (2013): b = 1 and c = 7 give 0.0703 exact, 0.0391 mid-p."""
    truth = np.zeros(8, int)
    result = mcnemar(truth, np.array([0] + [1] * 7), np.array([1] + [0] * 7))
    assert (round(result.p, 4), round(result.mid_p, 4)) == (0.0703, 0.0391)


def test_no_difference():
    assert mcnemar(np.array([0, 1]), np.array([0, 2]), np.array([0, 0])) == McNemar(0, 0, 1.0, 1.0)
