"""UF1, UAR, their intervals and McNemar's test: compared with scikit-learn, and properties of any predictions."""

import warnings

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, recall_score

from icegan_jax.evaluation import bootstrap, metrics
from icegan_jax.evaluation.compare import mcnemar
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.results import score_predictions


@st.composite
def labeled_predictions(draw: st.DrawFn, others: int = 1) -> tuple[int, np.ndarray, list[np.ndarray], np.ndarray]:
    """Draw the number of classes, labels, `others` sets of predictions, and each clip's subject."""
    classes = draw(st.integers(1, 6))
    size = draw(st.integers(1, 40))
    label = st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)
    columns = [np.array(draw(label), np.int64) for _ in range(others + 1)]
    people = np.array(draw(st.lists(st.integers(0, 5), min_size=size, max_size=size)))
    return classes, columns[0], columns[1:], people


@given(labeled_predictions())
def test_scores_are_scikit_learn_s(drawn) -> None:
    classes, truth, (guess,), _ = drawn
    counts = metrics.confusion(truth, guess, classes)
    assert counts.sum() == len(truth)
    present = sorted(set(truth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f1 = f1_score(truth, guess, average="macro")  # over the classes in truth or prediction
        recall = recall_score(truth, guess, labels=present, average="macro")  # over the classes in truth
    np.testing.assert_allclose(metrics.uf1(counts), f1, atol=1e-12)
    np.testing.assert_allclose(metrics.uar(counts), recall, atol=1e-12)
    np.testing.assert_allclose(metrics.accuracy(counts), np.mean(truth == guess))
    for score in (metrics.uf1(counts), metrics.uar(counts), metrics.accuracy(counts)):
        assert 0 <= score <= 1
    assert (metrics.uar(counts) == 1) == (metrics.uf1(counts) == 1) == bool((truth == guess).all())


@given(labeled_predictions(), st.randoms(use_true_random=False))
def test_order_of_clips_and_classes_does_not_matter(drawn, random) -> None:
    classes, truth, (guess,), _ = drawn
    counts = metrics.confusion(truth, guess, classes)
    order = random.sample(range(len(truth)), len(truth))
    np.testing.assert_array_equal(metrics.confusion(truth[order], guess[order], classes), counts)
    renamed = np.array(random.sample(range(classes), classes))
    others = metrics.confusion(renamed[truth], renamed[guess], classes)
    np.testing.assert_allclose(metrics.score_all(others), metrics.score_all(counts), atol=1e-12)
    np.testing.assert_array_equal(others[np.ix_(renamed, renamed)], counts)


@given(labeled_predictions(others=2), st.integers(0, 2**32 - 1))
def test_intervals(drawn, seed: int) -> None:
    classes, truth, (ours, theirs), people = drawn
    result = bootstrap.subject_bootstrap(truth, ours, people, num_classes=classes, draws=60, seed=seed)
    assert (result is None) == (len(set(people)) == 1)
    assume(result is not None)
    for low, high in (result.uf1, result.uar, result.accuracy):
        assert 0 <= low <= high <= 1
    if (truth == ours).all():
        assert (result.uf1, result.uar, result.accuracy) == ((1.0, 1.0),) * 3
    # A mean of the subjects' accuracies lies within their range, and so does every resampled accuracy.
    shares = [np.mean(truth[people == person] == ours[people == person]) for person in set(people)]
    assert min(shares) - 1e-12 <= result.accuracy[0] and result.accuracy[1] <= max(shares) + 1e-12
    arguments = {"num_classes": classes, "draws": 60, "seed": seed}
    there = bootstrap.paired_differences(truth, ours, theirs, people, **arguments)
    back = bootstrap.paired_differences(truth, theirs, ours, people, **arguments)
    for one, other in zip((there.uf1, there.uar), (back.uf1, back.uar), strict=True):
        np.testing.assert_allclose(one, (-other[1], -other[0]), atol=1e-12)
    assert bootstrap.paired_differences(truth, ours, ours, people, **arguments).uf1 == (0.0, 0.0)


@given(labeled_predictions(others=2))
def test_mcnemar_is_symmetric(drawn) -> None:
    _, truth, (ours, theirs), _ = drawn
    one, other = mcnemar(truth, ours, theirs), mcnemar(truth, theirs, ours)
    assert (one.only_first, one.only_second) == (other.only_second, other.only_first)
    np.testing.assert_allclose((one.p, one.mid_p), (other.p, other.mid_p))
    assert 0 < one.mid_p <= one.p + 1e-12 and one.p <= 1
    assert mcnemar(truth, ours, ours).p == 1


@given(labeled_predictions())
def test_the_summary_s_overall_is_of_all_databases_counts(drawn) -> None:
    classes, truth, (guess,), people = drawn
    names = [f"c{number}" for number in range(classes)]
    rows = [
        Prediction(f"d{person % 2}", str(person), str(number), int(label), int(answer), (0.0,) * classes)
        for number, (label, answer, person) in enumerate(zip(truth, guess, people, strict=True))
    ]
    result = score_predictions(rows, names)
    parts = sum(np.array(block["confusion"]) for block in result["datasets"].values())
    np.testing.assert_array_equal(parts, result["overall"]["confusion"])
    np.testing.assert_array_equal(parts, metrics.confusion(truth, guess, classes))
    assert result["overall"]["uf1"] == metrics.uf1(parts)
