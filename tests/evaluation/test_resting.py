import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.resting import RestingPrediction, read_resting_predictions, write_resting_predictions


def test_resting_predictions_come_back(tmp_path):
    rows = [RestingPrediction("smic", "01", "a", shift, 0, (0.125, 0.03125, 0.0625)) for shift in (-1, 0)]
    write_resting_predictions(tmp_path / "resting.csv", rows)
    lines = (tmp_path / "resting.csv").read_text().splitlines()
    assert lines[0] == "dataset,subject,clip,shift,prediction,negative,positive,surprise"
    assert lines[1] == "smic,01,a,-1,negative,0.125000,0.031250,0.062500"
    assert read_resting_predictions(tmp_path / "resting.csv") == (("negative", "positive", "surprise"), rows)


def test_damaged_shift_is_named(tmp_path):
    path = tmp_path / "resting.csv"
    path.write_text("dataset,subject,clip,shift,prediction,a,b\nd,s,c,x,a,0,0\n")
    with pytest.raises(UserError, match="resting.csv:2: shift 'x' is not a whole number"):
        read_resting_predictions(path)
