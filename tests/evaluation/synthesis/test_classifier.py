import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.synthesis.classifier import LabeledFeatures, hog_features, train_classifier

PEOPLE = [("d", str(person)) for person in range(6) for _ in range(3)]
LABEL = np.tile(np.arange(3), 6)


def real() -> LabeledFeatures:
    """Each class has a direction of its own; the labels of subject 5 are shifted by one class."""
    random = np.random.default_rng(0)
    pattern = np.where(np.arange(18) >= 15, (LABEL + 1) % 3, LABEL)
    return LabeledFeatures(np.eye(3)[pattern] + random.normal(0, 0.05, (18, 3)), LABEL, PEOPLE)


def test_held_out_subject_is_not_trained_on():
    data = real()
    shifted = slice(15, 18)
    predicted = train_classifier(data, [("d", "5")]).predict(data.features[shifted])
    np.testing.assert_array_equal(predicted, (LABEL[shifted] + 1) % 3)
    changed = data._replace(features=np.where(np.arange(18)[:, None] >= 15, 1e3, data.features))
    np.testing.assert_array_equal(
        train_classifier(changed, [("d", "5")]).coef_, train_classifier(data, [("d", "5")]).coef_
    )
    assert (train_classifier(changed, [("d", "4")]).coef_ != train_classifier(data, [("d", "4")]).coef_).any()


def test_too_few_classes_raise():
    with pytest.raises(UserError, match="fold d_0, d_1.*fewer than two classes"):
        train_classifier(real(), sorted(set(PEOPLE)))


def test_hog_features_distinguish_edges():
    face = np.zeros((2, 32, 32), np.uint8)
    face[0, :, 16:], face[1, 16:] = 200, 200
    upright, lying = hog_features(face)
    assert upright.shape == (8 * 4,) and np.isfinite(upright).all()
    cell = np.arange(8)
    assert upright[cell].argmax() != lying[cell].argmax()
