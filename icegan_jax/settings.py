"""A config's fields, checked, as the plain arguments that networks and training take."""

import functools
import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.models.discriminator import Discriminator
from icegan_jax.models.generator import Generator
from icegan_jax.models.perceptual import load_cost_network
from icegan_jax.training.layout import PARALLEL
from icegan_jax.training.plan import Plan
from icegan_jax.training.state import LossWeights, Networks

_CHOICES = {
    "model.recognition_input": ("apex", "pair"),
    "model.trunk_norm": ("batch", "instance"),
    "training.precision": ("float32", "bfloat16"),
    "training.parallel": PARALLEL,
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
    "model.adversarial_dimension",
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
    "model.adjacency_std",
    "loss.adversarial",
    "loss.synthesis",
    "loss.recognition",
    "loss.synthetic_recognition",
    "loss.perceptual",
    "loss.reconstruction",
    "training.epochs",
    "training.steps",
    "training.folds_per_device",
)
_SEEDS = 2**32  # jax.random.key looks at 32 bits
_FRACTIONS = ("training.b1", "training.b2")
_SMALLEST_IMAGE = 32  # pixels; of less, three halvings and two 4x4 kernels leave the trunk nothing


def check(config: ConfigDict) -> None:
    """Refuses a config that cannot be trained.

    Raises:
      UserError: names the field, its value and what it may be.
    """
    for field, choices in _CHOICES.items():
        _require(config, [field], functools.partial(operator.contains, choices), f"must be one of {', '.join(choices)}")
    _require(config, _POSITIVE, lambda value: value > 0 and math.isfinite(value), "must be above 0")
    _require(config, _NOT_NEGATIVE, lambda value: value >= 0 and math.isfinite(value), "must be 0 or more")
    _require(config, ["seed"], lambda value: value < _SEEDS, f"must be below {_SEEDS}")
    _require(config, _FRACTIONS, lambda value: 0 <= value < 1, "must be at least 0 and below 1")
    _require(
        config,
        ["model.image_size"],
        lambda value: value >= _SMALLEST_IMAGE and value & (value - 1) == 0,
        f"must be a power of 2, at least {_SMALLEST_IMAGE}",
    )
    if not config.training.steps and not config.training.epochs:
        raise UserError("config.training.epochs and config.training.steps are both 0: set one")


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
    generator = Generator(
        width=model.width,
        embedding=model.embedding,
        class_gain=model.class_gain,
        adjacency_std=model.adjacency_std,
        motion=model.motion,
        dtype=dtype,
    )
    discriminator = Discriminator(
        classes=classes,
        width=model.width,
        primary_types=model.primary_types,
        primary_dimension=model.primary_dimension,
        adversarial_dimension=model.adversarial_dimension,
        expression_dimension=model.expression_dimension,
        iterations=model.routing_iterations,
        capsule_std=model.capsule_std,
        reconstruction_width=model.reconstruction_width,
        norm=model.trunk_norm,
        dtype=dtype,
    )

    def optimizer() -> optax.GradientTransformation:
        schedule = optax.cosine_decay_schedule(training.learning_rate, steps)
        return optax.adam(schedule, b1=training.b1, b2=training.b2)

    cost = load_cost_network(loss.perceptual_network, loss.perceptual_layer) if loss.perceptual else None
    weights = LossWeights(
        adversarial=loss.adversarial,
        synthesis=loss.synthesis,
        recognition=loss.recognition,
        synthetic_recognition=loss.synthetic_recognition,
        perceptual=loss.perceptual,
        reconstruction=loss.reconstruction,
    )
    return Networks(
        generator=generator,
        discriminator=discriminator,
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


def plan_of(config: ConfigDict, num_pairs: int, num_folds: int, num_devices: int) -> Plan:
    """How the folds are trained: the number of steps is rounded up to whole calls of the compiled program.

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
    )
