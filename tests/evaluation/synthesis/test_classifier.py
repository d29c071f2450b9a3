import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.synthesis.classifier import LabeledFeatures, hog_features, train_classifier

PEOPLE = [("d", str(person)) for person in range(6) for _ in range(3)]
LABEL = np.tile(np.arange(3), 6)


def real() -> LabeledFeatures:
    """Each class is a direction of its own; person 5 shows the classes shifted by one."""
    random = np.random.default_rng(0)
    shown = np.where(np.arange(18) >= 15, (LABEL + 1) % 3, LABEL)
    return LabeledFeatures(np.eye(3)[shown] + random.normal(0, 0.05, (18, 3)), LABEL, PEOPLE)


def test_the_held_out_person_is_not_learnt_from():
    data = real()
    odd = slice(15, 18)
    told = train_classifier(data, [("d", "5")]).predict(data.features[odd])
    np.testing.assert_array_equal(told, (LABEL[odd] + 1) % 3)
    poisoned = data._replace(features=np.where(np.arange(18)[:, None] >= 15, 1e3, data.features))
    np.testing.assert_array_equal(
        train_classifier(poisoned, [("d", "5")]).coef_, train_classifier(data, [("d", "5")]).coef_
    )
    assert (train_classifier(poisoned, [("d", "4")]).coef_ != train_classifier(data, [("d", "4")]).coef_).any()


def test_too_few_are_left():
    with pytest.raises(UserError, match="fold d_0, d_1.*fewer than two classes"):
        train_classifier(real(), sorted(set(PEOPLE)))


def test_descriptors_know_edges():
    face = np.zeros((2, 32, 32), np.uint8)
    face[0, :, 16:], face[1, 16:] = 200, 200
    upright, lying = hog_features(face)
    assert upright.shape == (8 * 4,) and np.isfinite(upright).all()
    cell = np.arange(8)
    assert upright[cell].argmax() != lying[cell].argmax()
