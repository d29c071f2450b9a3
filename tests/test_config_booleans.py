"""Fields that choose a protocol, a network or a selection: valid combinations, and their effects."""

from typing import Any

import pytest

from configs import demo, loso
from icegan_jax.config import build_models, build_train_config, validate
from icegan_jax.errors import UserError
from icegan_jax.models.discriminator import ConvolutionalDiscriminator


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"generator.kind": "dcgan", "generator.motion": True},
            "config.generator.motion is True: a dcgan generator has no onset frame as input whose pixels it could move; "
            "set --config.generator.motion=False",
        ),
        (
            {"evaluation.selection": "inner", "training.evaluate_every": 10},
            "config.evaluation.selection is 'inner', but there are no validation subjects: "
            "set --config.evaluation.inner_share=0.2, for example",
        ),
        (
            {"evaluation.selection": "inner", "evaluation.inner_share": 0.2},
            "config.evaluation.selection is 'inner', but nothing is evaluated during training: "
            "set --config.training.evaluate_every=100, for example",
        ),
        (
            {"evaluation.oracle": True},
            "config.evaluation.oracle is True, but nothing is evaluated during training: "
            "set --config.training.evaluate_every=100, for example",
        ),
        (
            {
                "protocol": "all",
                "evaluation.selection": "inner",
                "evaluation.inner_share": 0.2,
                "training.evaluate_every": 9,
            },
            "config.evaluation.selection is 'inner', but with config.protocol 'all' no clip is tested, and the "
            "result is the network of the last step: set --config.evaluation.selection=last",
        ),
        (
            {"protocol": "all", "evaluation.oracle": True, "training.evaluate_every": 9},
            "config.evaluation.oracle is True, but with config.protocol 'all' there is no test to take the best of: "
            "set --config.evaluation.oracle=False",
        ),
    ],
)
def test_fields_that_need_each_other(fields: dict[str, Any], line: str) -> None:
    config = loso.get_config()
    config.update_from_flattened_dict(fields)
    with pytest.raises(UserError) as caught:
        validate(config)
    assert str(caught.value) == line


def test_valid_combinations() -> None:
    config = loso.get_config()
    chosen = {"selection": "inner", "inner_share": 0.2, "every": 10, "oracle": True}
    config.evaluation.update(chosen)
    config.model.update({"generator": "dcgan", "adversarial_dimension": 0})
    validate(config)


def test_networks_get_the_choices() -> None:
    config = demo.get_config()
    config.model.update({"generator": "se", "grm": "compact", "routing_axis": "input", "adversarial_dimension": 0})
    config.model.update({"reconstruction_hidden": (8, 9, 10), "reconstruction_spectral": True})
    config.loss.margin_power = 1
    models = build_models(config, steps=1)
    generator, discriminator = models.generator, models.discriminator
    assert (generator.kind, generator.compact, models.weights.margin_power) == ("se", True, 1)
    assert (discriminator.routing_axis, discriminator.adversarial_dimension) == ("input", 16)
    assert (discriminator.reconstruction_hidden, discriminator.reconstruction_spectral) == ((8, 9, 10), True)


def test_networks_of_the_tables() -> None:
    config = demo.get_config()
    config.model.update({"generator": "none", "discriminator": "cnn", "cnn_width": 3.0})
    models = build_models(config, steps=1, classes=5)
    assert (models.generator, models.perceptual) == (None, None)
    assert models.discriminator == ConvolutionalDiscriminator(classes=5, width=0.125, cnn_width=3.0)


def test_evaluations_do_not_depend_on_the_steps_per_call() -> None:
    def evaluate_every(updates: int) -> int:
        config = loso.get_config()
        config.training.evaluate_every = updates
        config.training.steps_per_call = 5
        return build_train_config(config, num_pairs=100, num_folds=10, num_devices=1).evaluate_every

    assert [evaluate_every(updates) for updates in (0, 1, 5, 6)] == [0, 1, 5, 6]


def test_the_train_config_has_the_augmentation() -> None:
    config = loso.get_config()
    config.data.update({"shift": 3, "brightness": 0.25, "mirror": True})
    built = build_train_config(config, num_pairs=100, num_folds=10, num_devices=1)
    assert (built.shift, built.brightness, built.mirror) == (3, 0.25, True)
