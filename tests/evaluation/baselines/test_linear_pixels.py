import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from icegan_jax.evaluation.baselines import linear_pixels


def left_out(groups, shift):
    """Each subject left out once; tested are the rows of shift 0."""
    return [
        (np.flatnonzero(groups != subject), np.flatnonzero((groups == subject) & (shift == 0)))
        for subject in np.unique(groups)
    ]


def faces(seed: int, *, signal: float, subjects: int = 7, each: int = 9, size: int = 12):
    """Noise faces, one offset per subject, a class-wise pattern of strength `signal`."""
    random = np.random.default_rng(seed)
    patterns = random.normal(size=(3, size, size))
    groups = np.repeat(np.arange(subjects), each)
    label = random.integers(0, 3, groups.size)
    people = random.normal(128, 25, size=(subjects, size, size))
    noise = random.normal(0, 8, size=(groups.size, size, size))
    pixels = people[groups] + signal * patterns[label] + noise
    shift = np.resize([-1, 0, 1], groups.size)
    return np.clip(pixels, 0, 255).astype(np.uint8), label, groups, shift


def refitted(apex, label, folds, penalty):
    """scikit-learn's classifier, fitted anew for each fold."""
    flat = apex.reshape(len(apex), -1) / 255.0
    fits = [RidgeClassifier(alpha=penalty).fit(flat[train], label[train]) for train, _ in folds]
    return np.concatenate([model.predict(flat[test]) for model, (_, test) in zip(fits, folds, strict=True)])


@pytest.mark.parametrize("penalty", [linear_pixels.PENALTY, 50.0])
def test_equals_scikit_learn_refitted_per_subject(penalty):
    apex, label, groups, shift = faces(0, signal=6.0)
    folds = left_out(groups, shift)
    result = linear_pixels.linear_on_apex_pixels(apex, label, folds, penalty=penalty)
    np.testing.assert_array_equal(result, refitted(apex, label, folds, penalty))
    truth = np.concatenate([label[test] for _, test in folds])
    assert 0.4 < np.mean(result == truth) < 1.0  # neither trivial nor chance


def test_equals_scikit_learn_on_a_split_and_with_people_of_inner_validation_left_out():
    apex, label, groups, shift = faces(7, signal=2.0)
    tested = np.flatnonzero(np.isin(groups, [1, 4]) & (shift == 0))
    split = [(np.flatnonzero(~np.isin(groups, [1, 4])), tested)]
    kept = [(np.flatnonzero(~np.isin(groups, [1, 4, 0, 6])), tested[::-1])]
    result = [linear_pixels.linear_on_apex_pixels(apex, label, folds) for folds in (split, kept)]
    for answer, folds in zip(result, (split, kept), strict=True):
        np.testing.assert_array_equal(answer, refitted(apex, label, folds, linear_pixels.PENALTY))
    assert not np.array_equal(result[0], result[1][::-1])  # who is left out of the fit matters


def test_shortcut_is_found():
    apex, label, groups, shift = faces(1, signal=0.0)
    apex[:, 0, 0] = np.array([10, 120, 240])[label]
    apex[:, 0, 1] = np.array([10, 240, 10])[label]
    repeated = np.repeat(np.repeat(apex[:, :1, :2], 6, axis=1), 6, axis=2)
    result = linear_pixels.linear_on_apex_pixels(repeated, label, left_out(groups, shift))
    assert np.mean(result == np.concatenate([label[test] for _, test in left_out(groups, shift)])) == 1.0


def test_held_out_labels_are_not_seen():
    apex, label, groups, shift = faces(2, signal=6.0)
    (fold,) = [fold for fold in left_out(groups, shift) if groups[fold[1][0]] == 3]
    before = linear_pixels.linear_on_apex_pixels(apex, label, [fold])
    changed = np.where(groups == 3, (label + 1) % 3, label)
    np.testing.assert_array_equal(before, linear_pixels.linear_on_apex_pixels(apex, changed, [fold]))


def test_pixels_are_read_in_blocks(monkeypatch):
    apex, label, groups, shift = faces(3, signal=6.0)
    folds = left_out(groups, shift)
    whole = linear_pixels.linear_on_apex_pixels(apex, label, folds)
    monkeypatch.setattr(linear_pixels, "PIXEL_BLOCK", 17)
    np.testing.assert_array_equal(whole, linear_pixels.linear_on_apex_pixels(apex, label, folds))


def test_a_class_without_a_row_changes_nothing():
    apex, label, groups, shift = faces(6, signal=6.0)
    folds = left_out(groups, shift)
    result = linear_pixels.linear_on_apex_pixels(apex, label, folds, num_classes=5)
    np.testing.assert_array_equal(result, linear_pixels.linear_on_apex_pixels(apex, label, folds))
    assert set(linear_pixels.linear_on_apex_pixels(apex, np.zeros_like(label), folds, num_classes=1)) == {0}


def test_what_cannot_be_a_fold_is_refused():
    apex, label, groups, shift = faces(4, signal=1.0)
    test = np.flatnonzero(groups == 0)
    for train in (np.arange(0), np.arange(len(label))):
        with pytest.raises(ValueError, match="rows to train on, and must not train on those it tests"):
            linear_pixels.linear_on_apex_pixels(apex, label, [(train, test)])


def test_lengths_must_agree():
    apex, label, groups, shift = faces(5, signal=1.0)
    with pytest.raises(ValueError, match="one entry per row"):
        linear_pixels.linear_on_apex_pixels(apex, label[:-1], left_out(groups, shift))
