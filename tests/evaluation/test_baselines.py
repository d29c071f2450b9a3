import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from icegan_jax.errors import UserError
from icegan_jax.evaluation import baselines


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


@pytest.mark.parametrize("penalty", [baselines.PENALTY, 50.0])
def test_equals_scikit_learn_refitted_per_subject(penalty):
    apex, label, groups, shift = faces(0, signal=6.0)
    found = baselines.linear_on_apex_pixels(apex, label, groups, shift, penalty=penalty)

    flat = apex.reshape(len(apex), -1) / 255.0
    expected = np.empty_like(label)
    for subject in np.unique(groups):
        train, test = groups != subject, groups == subject
        model = RidgeClassifier(alpha=penalty).fit(flat[train], label[train])
        expected[test] = model.predict(flat[test])
    np.testing.assert_array_equal(found, expected[shift == 0])
    assert 0.4 < np.mean(found == label[shift == 0]) < 1.0  # neither trivial nor chance


def test_shortcut_is_found():
    apex, label, groups, shift = faces(1, signal=0.0)
    apex[:, 0, 0] = np.array([10, 120, 240])[label]
    apex[:, 0, 1] = np.array([10, 240, 10])[label]
    repeated = np.repeat(np.repeat(apex[:, :1, :2], 6, axis=1), 6, axis=2)
    found = baselines.linear_on_apex_pixels(repeated, label, groups, shift)
    assert np.mean(found == label[shift == 0]) == 1.0


def test_held_out_labels_are_not_seen():
    apex, label, groups, shift = faces(2, signal=6.0)
    owner = groups[shift == 0]
    before = baselines.linear_on_apex_pixels(apex, label, groups, shift)
    changed = np.where(groups == 3, (label + 1) % 3, label)
    after = baselines.linear_on_apex_pixels(apex, changed, groups, shift)
    np.testing.assert_array_equal(before[owner == 3], after[owner == 3])


def test_pixels_are_read_in_blocks(monkeypatch):
    data = faces(3, signal=6.0)
    whole = baselines.linear_on_apex_pixels(*data)
    monkeypatch.setattr(baselines, "PIXEL_BLOCK", 17)
    np.testing.assert_array_equal(whole, baselines.linear_on_apex_pixels(*data))


def test_a_class_without_a_row_changes_nothing():
    data = faces(6, signal=6.0)
    found = baselines.linear_on_apex_pixels(*data, num_classes=5)
    np.testing.assert_array_equal(found, baselines.linear_on_apex_pixels(*data))
    apex, label, groups, shift = data
    assert set(baselines.linear_on_apex_pixels(apex, np.zeros_like(label), groups, shift, num_classes=1)) == {0}


def test_one_subject_is_refused():
    apex, label, groups, shift = faces(4, signal=1.0, subjects=1)
    with pytest.raises(UserError, match="at least two subjects: add clips of another"):
        baselines.linear_on_apex_pixels(apex, label, groups, shift)


def test_lengths_must_agree():
    apex, label, groups, shift = faces(5, signal=1.0)
    with pytest.raises(ValueError, match="one entry per row"):
        baselines.linear_on_apex_pixels(apex, label[:-1], groups, shift)
