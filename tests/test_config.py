"""Validation of the config, and the networks and training settings that are built from it."""

import math
import re
from typing import Any

import jax.numpy as jnp
import pytest

from configs import demo, loso
from icegan_jax.config import build_models, build_train_config, validate
from icegan_jax.errors import UserError

BAD = [
    ("model.recognition_input", "both", "must be one of apex, pair"),
    ("discriminator.norm", "layer", "must be one of batch, instance"),
    ("model.image_size", 100, "must be a power of 2, at least 32"),
    ("model.image_size", 16, "must be a power of 2, at least 32"),
    ("model.image_size", 0, "must be a power of 2, at least 32"),
    ("model.image_size", -128, "must be a power of 2, at least 32"),
    ("model.width", math.inf, "must be finite"),
    ("model.width", math.nan, "must be finite"),
    ("optimizer.learning_rate", math.nan, "must be finite"),
    ("loss.perceptual", math.inf, "must be finite"),
    *[
        (field, value, "must be above 0")
        for field in (
            "data.procedural.subjects",
            "data.procedural.clips_per_class",
            "data.procedural.frames",
            "model.pair_gain",
            "model.width",
            "generator.embedding",
            "model.noise",
            "generator.class_gain",
            "discriminator.primary_types",
            "discriminator.primary_dimension",
            "discriminator.cnn_width",
            "discriminator.expression_dimension",
            "discriminator.routing_iterations",
            "discriminator.capsule_std",
            "discriminator.reconstruction_width",
            "training.batch_size",
            "optimizer.learning_rate",
            "training.steps_per_call",
            "training.checkpoint_every",
        )
        for value in (0, -1)
    ],
    *[
        (field, -1, "must be 0 or more")
        for field in (
            "seed",
            "augmentation.shift",
            "generator.adjacency_std",
            "discriminator.adversarial_dimension",
            "loss.adversarial",
            "loss.synthesis",
            "loss.recognition",
            "loss.synthetic_recognition",
            "loss.perceptual",
            "loss.reconstruction",
            "training.epochs",
            "training.steps",
            "training.folds_per_device",
            "training.evaluate_every",
        )
    ],
    ("protocol", "kfold", "must be one of loso, split, all"),
    ("generator.kind", "unet", "must be one of none, dcgan, encoder_decoder, skips, se, grm"),
    ("generator.compact_grm", "small", "must be one of full, compact"),
    ("discriminator.kind", "vit", "must be one of capsules, cnn"),
    ("discriminator.routing_axis", "both", "must be one of output, input"),
    ("loss.margin_power", 3, "must be one of 2, 1"),
    ("evaluation.selection", "best", "must be one of last, inner"),
    *[("split_share", value, "must be above 0 and below 1") for value in (0, 1, -0.5, math.nan)],
    *[("discriminator.reconstruction_hidden", value, "must be whole numbers above 0") for value in ((512, 0), (1.5,))],
    *[
        (field, value, "must be at least 0 and below 1")
        for field in ("augmentation.brightness", "evaluation.inner_share")
        for value in (-0.1, 1, math.nan)
    ],
    ("training.parallel", "steps", "must be one of folds, batch"),
    *[(f"training.{name}", value, "must be at least 0 and below 1") for name in ("b1", "b2") for value in (-0.1, 1)],
]


def with_value(field: str, value: Any) -> Any:
    config = loso.get_config()
    part = config
    *path, name = field.split(".")
    for step in path:
        part = part[step]
    part[name] = type(part[name])(value)
    return config


@pytest.mark.parametrize(("field", "value", "requirement"), BAD)
def test_a_bad_value_is_named_with_its_range(field: str, value: Any, requirement: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(with_value(field, value))
    pattern = rf"config\.{re.escape(field)} is .+: it {re.escape(requirement)}"
    assert re.fullmatch(pattern, str(caught.value)), str(caught.value)


def test_no_steps_at_all() -> None:
    config = with_value("training.epochs", 0)
    with pytest.raises(UserError, match="^config.training.epochs and config.training.steps are both 0: set one$"):
        validate(config)
    config.training.steps = 1
    validate(config)


@pytest.mark.parametrize("seed", [2**31, 2**32 - 1])
def test_a_large_seed_is_a_seed(seed: int) -> None:
    validate(with_value("seed", seed))


@pytest.mark.parametrize("seed", [2**32, 2**63])
def test_a_seed_of_which_jax_would_drop_bits_is_refused(seed: int) -> None:
    with pytest.raises(UserError, match=rf"^config\.seed is {seed}: it must be"):
        validate(with_value("seed", seed))


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("perceptual.network", "vgg19", "perceptual.network is 'vgg19': choose one of vgg16, alexnet"),
        ("perceptual.layer", "relu9", "perceptual.layer is 'relu9': vgg16 has relu1_1, "),
    ],
)
def test_the_perceptual_network_is_checked_where_it_is_used(field: str, value: str, line: str) -> None:
    config = with_value(field, value)
    with pytest.raises(UserError, match=re.escape(line)):
        build_models(config, steps=1)
    config.loss.perceptual = 0.0
    assert build_models(config, steps=1).perceptual is None


def test_networks_get_the_values_of_the_config() -> None:
    config = demo.get_config()
    config.loss.adversarial = 0.25
    config.model.noise = 7
    models = build_models(config, steps=10)
    assert (models.generator.width, models.generator.motion, models.generator.class_gain) == (0.125, True, 10.0)
    assert (models.discriminator.primary_types, models.discriminator.adversarial_dimension) == (4, 32)
    assert (models.recognition_input, models.pair_gain, models.noise) == ("pair", 4.0, 7)
    assert (models.weights.adversarial, models.weights.synthetic_recognition) == (0.25, 0.0)
    assert [layer.name for layer in models.perceptual.layers] == ["relu1"]


def test_networks_are_built_for_the_classes_of_the_data() -> None:
    built = [build_models(demo.get_config(), steps=1, classes=number) for number in (3, 5)]
    assert [models.classes for models in built] == [models.discriminator.classes for models in built] == [3, 5]
    assert build_models(demo.get_config(), steps=1).classes == 3


def test_the_learning_rate_falls_to_zero_as_a_cosine() -> None:
    models = build_models(with_value("optimizer.learning_rate", 0.5), steps=4)
    params = jnp.zeros(())
    state = models.g_optimizer.init(params)
    moves = []
    for _ in range(6):
        change, state = models.g_optimizer.update(jnp.ones(()), state, params)
        moves.append(-float(change))
    rates = [0.5 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    assert moves == pytest.approx([*rates, 0.0, 0.0], rel=1e-4, abs=1e-6)  # constant gradient: Adam's step is the rate


def train_config(**training: Any) -> Any:
    config = loso.get_config()
    for name, value in training.items():
        config.training[name] = value
    return build_train_config(config, num_pairs=100, num_folds=10, num_devices=4)


def test_epochs_pass_over_all_pairs() -> None:
    built = train_config(epochs=3, batch_size=16, steps_per_call=1)
    assert (built.steps_per_epoch, built.steps) == (7, 21)  # 100 / 16, rounded up


def test_steps_override_epochs_and_do_not_depend_on_the_steps_per_call() -> None:
    assert train_config(steps=7, steps_per_call=5).steps == 7
    assert train_config(steps=10, steps_per_call=5).steps == 10
    built = train_config(steps=3, steps_per_call=5)
    assert (built.steps, built.steps_per_call) == (3, 3)


def test_no_more_folds_on_a_device_than_there_are() -> None:
    assert train_config(folds_per_device=8).folds_per_device == 3  # ten folds on four devices
    assert train_config(folds_per_device=2).folds_per_device == 2


def test_zero_folds_leaves_the_number_to_the_memory() -> None:
    assert train_config().folds_per_device == 0


def test_devices_that_share_batches_hold_all_folds() -> None:
    built = train_config(parallel="batch", batch_size=8, folds_per_device=12)
    assert (built.parallel, built.folds_per_device, built.batch_size) == ("batch", 10, 8)


def test_a_batch_that_the_devices_cannot_share() -> None:
    line = (
        "config.training.batch_size is 10: with config.training.parallel=batch it must be a multiple of the 4 devices, "
        "such as 12"
    )
    with pytest.raises(UserError) as caught:
        train_config(parallel="batch", batch_size=10)
    assert str(caught.value) == line
    assert train_config(parallel="folds", batch_size=10).batch_size == 10
