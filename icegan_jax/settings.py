"""A config's fields, checked, as the plain arguments that networks and training take."""

import functools
import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

import jax.numpy as jnp
import optax
from jax.typing import DTypeLike
from ml_collections import ConfigDict

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.models.cnn import ConvolutionalDiscriminator
from icegan_jax.models.discriminator import Discriminator
from icegan_jax.models.generator import KINDS, Generator
from icegan_jax.models.perceptual import load_cost_network
from icegan_jax.training.layout import PARALLEL
from icegan_jax.training.plan import Plan
from icegan_jax.training.state import LossWeights, Networks

_NO_GENERATOR = "none"  # Table III, A: the discriminator alone
_CHOICES: dict[str, tuple[object, ...]] = {
    "protocol": ("loso", "split"),
    "model.recognition_input": ("apex", "pair"),
    "model.generator": (_NO_GENERATOR, *KINDS),
    "model.grm": ("full", "compact"),
    "model.discriminator": ("capsules", "cnn"),
    "model.trunk_norm": ("batch", "instance"),
    "model.routing_axis": ("output", "input"),
    "loss.margin_power": (2, 1),
    "training.precision": ("float32", "bfloat16"),
    "training.parallel": PARALLEL,
    "evaluation.selection": ("last", "inner"),
}
_POSITIVE = (
    "data.procedural.subjects",
    "data.procedural.clips_per_class",
    "data.procedural.frames",
    "model.pair_gain",
    "model.width",
    "model.embedding",
    "model.class_gain",
    "model.noise",
    "model.primary_types",
    "model.primary_dimension",
    "model.cnn_width",
    "model.expression_dimension",
    "model.routing_iterations",
    "model.capsule_std",
    "model.reconstruction_width",
    "training.batch_size",
    "training.learning_rate",
    "training.steps_per_call",
    "training.checkpoint_every",
)
_NOT_NEGATIVE = (
    "seed",
    "data.shift",
    "model.adjacency_std",
    "model.adversarial_dimension",
    "loss.adversarial",
    "loss.synthesis",
    "loss.recognition",
    "loss.synthetic_recognition",
    "loss.perceptual",
    "loss.reconstruction",
    "training.epochs",
    "training.steps",
    "training.folds_per_device",
    "evaluation.every",
)
_SEEDS = 2**32  # jax.random.key looks at 32 bits
_FRACTIONS = ("data.brightness", "training.b1", "training.b2", "evaluation.inner_share")
_SMALLEST_IMAGE = 32  # pixels; of less, three halvings and two 4x4 kernels leave the trunk nothing


def check(config: ConfigDict) -> None:
    """Refuses a config that cannot be trained.

    Raises:
      UserError: names the field, its value and what it may be.
    """
    for field, choices in _CHOICES.items():
        wish = f"must be one of {', '.join(str(choice) for choice in choices)}"
        _require(config, [field], functools.partial(operator.contains, choices), wish)
    _require(config, _POSITIVE, lambda value: value > 0 and math.isfinite(value), "must be above 0")
    _require(config, _NOT_NEGATIVE, lambda value: value >= 0 and math.isfinite(value), "must be 0 or more")
    _require(config, ["seed"], lambda value: value < _SEEDS, f"must be below {_SEEDS}")
    _require(config, _FRACTIONS, lambda value: 0 <= value < 1, "must be at least 0 and below 1")
    _require(config, ["split_share"], lambda value: 0 < value < 1, "must be above 0 and below 1")
    _require(config, ["model.reconstruction_hidden"], _are_widths, "must be whole numbers above 0")
    _require(
        config,
        ["model.image_size"],
        lambda value: value >= _SMALLEST_IMAGE and value & (value - 1) == 0,
        f"must be a power of 2, at least {_SMALLEST_IMAGE}",
    )
    if not config.training.steps and not config.training.epochs:
        raise UserError("config.training.epochs and config.training.steps are both 0: set one")
    if config.model.generator == "dcgan" and config.model.motion:
        raise UserError(
            "config.model.motion is True: a dcgan generator sees no onset whose pixels it could move; "
            "set --config.model.motion=False"
        )
    _check_selection(config.evaluation)


def _check_selection(evaluation: ConfigDict) -> None:
    """Refuses a choice among evaluations that are not made, or of people who are not there."""
    inner = evaluation.selection == "inner"
    if inner and not evaluation.inner_share:
        raise UserError(
            "config.evaluation.selection is 'inner', but no people are kept for it: "
            "set --config.evaluation.inner_share=0.2, for example"
        )
    if (inner or evaluation.oracle) and not evaluation.every:
        why = "selection is 'inner'" if inner else "oracle is True"
        raise UserError(
            f"config.evaluation.{why}, but nothing is evaluated during training: "
            "set --config.evaluation.every=100, for example"
        )


def _are_widths(value: tuple[object, ...]) -> bool:
    return all(isinstance(width, int) and width > 0 for width in value)


def _require(config: ConfigDict, fields: Iterable[str], holds: Callable[[Any], bool], wish: str) -> None:
    for field in fields:
        value = config
        for name in field.split("."):
            value = value[name]
        if not holds(value):
            raise UserError(f"config.{field} is {value!r}: it {wish}")


def networks_of(config: ConfigDict, steps: int, classes: int = len(EXPRESSIONS)) -> Networks:
    """Networks, optimisers and losses; the learning rate falls to 0 as a cosine over ``steps`` updates.

    ``classes``: how many the data have.
    """
    model, loss, training = config.model, config.loss, config.training
    dtype = jnp.dtype(training.precision)
    generator = None if model.generator == _NO_GENERATOR else _generator(model, dtype)

    def optimizer() -> optax.GradientTransformation:
        schedule = optax.cosine_decay_schedule(training.learning_rate, steps)
        return optax.adam(schedule, b1=training.b1, b2=training.b2)

    cost = None
    if loss.perceptual and generator is not None:
        cost = load_cost_network(loss.perceptual_network, loss.perceptual_layer)
    weights = LossWeights(
        adversarial=loss.adversarial,
        synthesis=loss.synthesis,
        recognition=loss.recognition,
        synthetic_recognition=loss.synthetic_recognition,
        perceptual=loss.perceptual,
        reconstruction=loss.reconstruction,
        margin_power=loss.margin_power,
    )
    return Networks(
        generator=generator,
        discriminator=_discriminator(model, classes, dtype),
        cost=cost,
        recognition_input=model.recognition_input,
        pair_gain=model.pair_gain,
        image_size=model.image_size,
        noise=model.noise,
        classes=classes,
        g_optimizer=optimizer(),
        d_optimizer=optimizer(),
        weights=weights,
    )


def _generator(model: ConfigDict, dtype: DTypeLike) -> Generator:
    return Generator(
        kind=model.generator,
        width=model.width,
        embedding=model.embedding,
        class_gain=model.class_gain,
        adjacency_std=model.adjacency_std,
        compact=model.grm == "compact",
        motion=model.motion,
        dtype=dtype,
    )


def _discriminator(model: ConfigDict, classes: int, dtype: DTypeLike) -> Discriminator | ConvolutionalDiscriminator:
    if model.discriminator == "cnn":
        return ConvolutionalDiscriminator(
            classes=classes, width=model.width, cnn_width=model.cnn_width, norm=model.trunk_norm, dtype=dtype
        )
    return Discriminator(
        classes=classes,
        width=model.width,
        primary_types=model.primary_types,
        primary_dimension=model.primary_dimension,
        adversarial_dimension=model.adversarial_dimension or model.expression_dimension,
        expression_dimension=model.expression_dimension,
        iterations=model.routing_iterations,
        routing_axis=model.routing_axis,
        capsule_std=model.capsule_std,
        reconstruction_hidden=tuple(model.reconstruction_hidden),
        reconstruction_width=model.reconstruction_width,
        reconstruction_spectral=model.reconstruction_spectral,
        norm=model.trunk_norm,
        dtype=dtype,
    )


def plan_of(config: ConfigDict, num_pairs: int, num_folds: int, num_devices: int) -> Plan:
    """How the folds are trained: steps, also those between evaluations, are rounded up to whole calls of the program.

    An epoch is one pass over all prepared pairs, the same number of steps for every fold.

    Raises:
      UserError: the devices cannot share the batches out equally.
    """
    training = config.training
    size = training.batch_size
    if training.parallel == "batch" and size % num_devices:
        raise UserError(
            f"config.training.batch_size is {size}: with config.training.parallel=batch it must be a multiple of the "
            f"{num_devices} devices, such as {math.ceil(size / num_devices) * num_devices}"
        )
    holders = 1 if training.parallel == "batch" else num_devices
    per_epoch = math.ceil(num_pairs / size)
    wanted = training.steps or training.epochs * per_epoch
    per_call = min(training.steps_per_call, wanted)
    every = config.evaluation.every
    return Plan(
        steps=math.ceil(wanted / per_call) * per_call,
        steps_per_epoch=per_epoch,
        steps_per_call=per_call,
        checkpoint_every=training.checkpoint_every,
        folds_per_device=min(training.folds_per_device, math.ceil(num_folds / holders)),
        parallel=training.parallel,
        batch_size=size,
        mirror=config.data.mirror,
        seed=config.seed,
        evaluate_every=math.ceil(every / per_call) * per_call,
        shift=config.data.shift,
        brightness=config.data.brightness,
    )
