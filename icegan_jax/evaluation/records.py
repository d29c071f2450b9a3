"""The former name of files, predictions, results and scores; import those."""

from icegan_jax.evaluation.files import read_json, write_json, write_text
from icegan_jax.evaluation.predictions import COLUMNS, Prediction, read_predictions, write_predictions
from icegan_jax.evaluation.results import Timing, build_results, read_results
from icegan_jax.evaluation.scores import Score, score, summarise

__all__ = [
    "COLUMNS",
    "Prediction",
    "Score",
    "Timing",
    "build_results",
    "read_json",
    "read_predictions",
    "read_results",
    "score",
    "summarise",
    "write_json",
    "write_predictions",
    "write_text",
]
