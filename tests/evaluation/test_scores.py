import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.results import score_predictions
from tests.evaluation.example_predictions import rows


def test_summary_pools_all_and_each_database():
    summary = score_predictions(rows())
    assert list(summary["datasets"]) == ["casme2", "samm"]
    overall = summary["overall"]
    assert overall["confusion"] == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert overall["accuracy"] == pytest.approx(3 / 5)
    assert overall["uf1"] == pytest.approx((2 / 4 + 2 / 3 + 2 / 3) / 3)
    assert overall["uar"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert overall["uf1_ci95"][0] <= overall["uf1"] <= overall["uf1_ci95"][1]
    assert summary["datasets"]["samm"]["confusion"] == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert summary["floors"]["always_negative"]["uf1"] == pytest.approx(2 * 2 / (2 * 2 + 3) / 3)
    assert summary["dataset_floors"]["samm"]["always_negative"]["uf1"] == pytest.approx(1 / 3)


def test_summary_refuses():
    with pytest.raises(UserError, match="no predictions to score"):
        score_predictions([])
    with pytest.raises(UserError, match="two predictions of the clip casme2 1 a"):
        score_predictions([*rows(), rows()[0]])
