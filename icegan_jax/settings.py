"""A config's fields, checked, as the plain arguments that networks and training take."""

import math
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import optax
from jax.typing import DTypeLike
from ml_collections import ConfigDict
from ml_collections.config_dict import RequiredValueError

from icegan_jax.config_fields import MOST_STEPS, NO_GENERATOR
from icegan_jax.config_values import check_values
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.models.cnn import ConvolutionalDiscriminator
from icegan_jax.models.discriminator import Discriminator
from icegan_jax.models.generator import Generator
from icegan_jax.models.perceptual import load_cost_network
from icegan_jax.training.plan import Plan
from icegan_jax.training.state import LossWeights, Networks


def check(config: ConfigDict) -> None:
    """Refuses a config that cannot be trained.

    Raises:
      UserError: names the field, its value, and what it may be or the nearest field.
    """
    check_values(dict(_flattened(config)))
    if not config.training.steps and not config.training.epochs:
        raise UserError("config.training.epochs and config.training.steps are both 0: set one")
    if config.model.generator == "dcgan" and config.model.motion:
        raise UserError(
            "config.model.motion is True: a dcgan generator sees no onset whose pixels it could move; "
            "set --config.model.motion=False"
        )
    if config.protocol == "all":
        _check_untested(config.evaluation)
    _check_selection(config.evaluation)


def _check_untested(evaluation: ConfigDict) -> None:
    """Refuses what asks for tested clips where everybody is trained on."""
    if evaluation.selection != "last":
        raise UserError(
            f"config.evaluation.selection is {evaluation.selection!r}, but with config.protocol 'all' no clip is "
            "tested, and the network that is kept is that of the last step: set --config.evaluation.selection=last"
        )
    if evaluation.oracle:
        raise UserError(
            "config.evaluation.oracle is True, but with config.protocol 'all' there is no test to take the best of: "
            "set --config.evaluation.oracle=False"
        )


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


def _flattened(config: ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values by dotted name; a placeholder that nobody filled in is left out."""
    for name in config:
        try:
            value = config[name]
        except RequiredValueError:
            continue
        if isinstance(value, ConfigDict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def networks_of(config: ConfigDict, steps: int, classes: int = len(EXPRESSIONS)) -> Networks:
    """Networks, optimisers and losses; the learning rate falls to 0 as a cosine over ``steps`` updates.

    ``classes``: how many the data have.
    """
    model, loss, training = config.model, config.loss, config.training
    dtype = jnp.dtype(training.precision)
    generator = None if model.generator == NO_GENERATOR else _generator(model, dtype)

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
      UserError: the devices cannot share the batches out equally, or there are more steps than can be counted.
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
    if wanted > MOST_STEPS - training.steps_per_call:
        raise UserError(
            f"config.training.epochs is {training.epochs}: {wanted} steps; lower it to at most {MOST_STEPS} steps"
        )
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
        on_nonfinite=training.on_nonfinite,
        collapse_after=training.collapse_after,
    )
