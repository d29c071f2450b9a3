import numpy as np
from sklearn.svm import SVC

from icegan_jax.evaluation.baselines.linear_svm import linear_svm
from icegan_jax.evaluation.baselines.pair_features import hog_differences, mean_flows


def test_equals_scikit_learn_refitted_per_fold_whatever_the_unit() -> None:
    random = np.random.default_rng(0)
    label = np.arange(60) % 3
    features = random.normal(size=(60, 8)) + np.eye(8)[label]
    folds = [(np.arange(20, 60), np.arange(20)), (np.arange(40), np.arange(40, 60))]
    expected = []
    for train, test in folds:
        scaled = features / np.sqrt((features[train] ** 2).sum(axis=1).mean())
        fit = SVC(kernel="linear", class_weight="balanced").fit(scaled[train], label[train])
        expected.append(fit.predict(scaled[test]))
    for unit in (1.0, 1000.0):
        assert np.array_equal(linear_svm(unit * features, label, folds), np.concatenate(expected))


def test_one_class_to_train_on_is_predicted() -> None:
    folds = [(np.array([0, 1]), np.array([2]))]
    assert linear_svm(np.eye(3), np.array([1, 1, 0]), folds).tolist() == [1]


def test_features_are_of_the_change_alone() -> None:
    random = np.random.default_rng(0)
    face = np.kron(random.integers(0, 255, (16, 16)), np.ones((4, 4))).astype(np.uint8)
    moved = np.roll(face, 1, axis=1)
    assert not hog_differences([(face, face)]).any() and not mean_flows([(face, face)]).any()
    flow = mean_flows([(face, moved), (moved, face)])
    assert flow.shape == (2, 2 * 16) and (flow[:, ::2].mean(axis=1) * [1, -1] > 0.5).all()
    assert hog_differences([(face, moved)]).any()
