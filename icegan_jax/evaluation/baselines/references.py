"""The scores of classifiers without a network on the pairs and folds of a run, for comparison with the network."""

from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.evaluation.baselines.linear_pixels import linear_on_apex_pixels
from icegan_jax.evaluation.baselines.linear_svm import linear_svm
from icegan_jax.evaluation.baselines.pair_features import Pair, hog_differences, mean_flows
from icegan_jax.evaluation.results import Score, score


def score_references(pairs: Pairs, folds: Sequence[Fold]) -> dict[str, Score]:
    """Return the scores of classifiers without a network by name, with a progress bar on a terminal."""
    num_classes, splits = len(pairs.classes), [(fold.train, fold.test) for fold in folds]
    tested = np.concatenate([fold.test for fold in folds])
    people = list(zip(pairs.dataset[tested].tolist(), pairs.subject[tested].tolist(), strict=True))
    scores = {}
    with tqdm(total=2 * len(pairs.label), desc="references", unit="pair", dynamic_ncols=True, disable=None) as bar:

        def each_pair() -> Iterator[Pair]:
            for pair in zip(pairs.onset, pairs.apex, strict=True):
                yield pair
                bar.update()

        predictions = {
            "linear_on_apex_pixels": linear_on_apex_pixels(pairs.apex, pairs.label, splits, num_classes=num_classes),
            "svm_on_hog_differences": linear_svm(hog_differences(each_pair()), pairs.label, splits),
            "svm_on_optical_flow": linear_svm(mean_flows(each_pair()), pairs.label, splits),
        }
    for name, predicted in predictions.items():
        scores[name] = score(pairs.label[tested].tolist(), predicted.tolist(), people, num_classes)
    return scores
