"""The config: its files, its checks, and the networks and training settings that are built from it.

configs/loso.py has every field, with its meaning. The groups ``generator``, ``discriminator``, ``loss``, ``perceptual``
and ``optimizer`` hold the arguments of ``Generator``, ``CapsuleDiscriminator`` or ``ConvolutionalDiscriminator``,
``LossWeights``, ``load_perceptual_network`` and ``build_optimizer``; ``model`` holds what the networks share, and
``augmentation`` and ``training`` those of ``TrainConfig``; ``input`` holds those of ``baseline_input``, of a compared
system alone.
"""

import dataclasses
import difflib
import math
import re
import runpy
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from icegan_jax.config_fields import CONFIGS_DIR, ICEGAN, default_fields, flatten
from icegan_jax.data.baseline_input import CHANNELS
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.folds import PROTOCOLS
from icegan_jax.data.motion import FLOWS, SCALINGS
from icegan_jax.errors import UserError, describe_exception, did_you_mean
from icegan_jax.methods import METHODS
from icegan_jax.models.baselines.classifier import BaselineClassifier
from icegan_jax.models.discriminator import CapsuleDiscriminator, ConvolutionalDiscriminator
from icegan_jax.models.generator import GENERATOR_KINDS, Generator
from icegan_jax.models.perceptual import load_perceptual_network
from icegan_jax.training.optimizer import OPTIMIZERS, SCHEDULES, build_optimizer
from icegan_jax.training.parallel import PARALLEL_MODES
from icegan_jax.training.state import ON_NONFINITE, LossWeights, Models, TrainConfig

NO_GENERATOR = "none"  # Table III, A: the discriminator alone
DISCRIMINATORS = MappingProxyType({"capsules": CapsuleDiscriminator, "cnn": ConvolutionalDiscriminator})

MAX_STEPS = 2**31 - 1  # devices count updates in signed 32-bit integers
_NUM_SEEDS = 2**32  # jax.random.key uses 32 bits of the seed
_MIN_IMAGE_SIZE = 32  # pixels; smaller images leave nothing after three halvings and two 4x4 kernels (PatchGAN)

_CHOICES: Mapping[str, tuple[object, ...]] = {
    "method": (ICEGAN, *METHODS),
    "protocol": PROTOCOLS,
    "input.flow": tuple(FLOWS),
    "input.scaling": SCALINGS,
    "model.recognition_input": ("apex", "pair"),
    "model.dtype": ("float32", "bfloat16"),
    "generator.kind": (NO_GENERATOR, *GENERATOR_KINDS),
    "discriminator.kind": tuple(DISCRIMINATORS),
    "discriminator.norm": ("batch", "instance"),
    "discriminator.routing_axis": ("output", "input"),
    "loss.margin_power": (2, 1),
    "optimizer.kind": OPTIMIZERS,
    "optimizer.schedule": SCHEDULES,
    "training.parallel": PARALLEL_MODES,
    "training.on_nonfinite": ON_NONFINITE,
    "evaluation.selection": ("last", "inner"),
}

# The range in words, the predicate of a value, and the fields.
_RANGES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    (
        "above 0",
        lambda value: value > 0,
        """input.size optimizer.stages optimizer.stage_factor
        data.procedural.subjects data.procedural.clips_per_class data.procedural.frames
        model.pair_gain model.noise model.width generator.embedding generator.class_gain
        discriminator.cnn_width discriminator.primary_types discriminator.primary_dimension
        discriminator.adversarial_dimension discriminator.expression_dimension discriminator.routing_iterations
        discriminator.capsule_std discriminator.reconstruction_width optimizer.learning_rate
        training.batch_size training.steps_per_call training.checkpoint_every""",
    ),
    (
        "0 or more",
        lambda value: value >= 0,
        """augmentation.shift optimizer.weight_decay
        generator.adjacency_std loss.adversarial loss.synthesis loss.recognition
        loss.synthetic_recognition loss.perceptual loss.reconstruction training.epochs training.steps
        training.folds_per_device training.evaluate_every training.collapse_after""",
    ),
    ("above 0 and below 1", lambda value: 0 < value < 1, "split_share"),
    (
        "at least 0 and below 1",
        lambda value: 0 <= value < 1,
        "augmentation.brightness loss.margin_present loss.margin_absent "
        "optimizer.b1 optimizer.b2 training.resting_share evaluation.inner_share",
    ),
    (f"0 or more and below {_NUM_SEEDS}", lambda value: 0 <= value < _NUM_SEEDS, "seed"),
    (
        f"a power of 2, at least {_MIN_IMAGE_SIZE}",
        lambda value: value >= _MIN_IMAGE_SIZE and value.bit_count() == 1,
        "model.image_size",
    ),
    (
        "whole numbers above 0",
        lambda widths: all(type(width) is int and width > 0 for width in widths),
        "discriminator.reconstruction_hidden",
    ),
)


def load_config(path: str) -> ConfigDict:
    """Return the locked config that the function ``get_config`` of a file returns.

    Args:
      path: the file. The text after a colon is the argument of ``get_config``. Where there is no such file,
        configs/demo.py means the installed config of that name.

    Raises:
      UserError: The file is missing, raises an error, or returns another object than a config with the fields of
        configs/loso.py.
    """
    name, *arguments = path.split(":", 1)
    file = Path(name)
    if not file.exists() and file.parent == Path("configs"):
        file = CONFIGS_DIR / file.name
    if not file.is_file():
        hint = did_you_mean(file.stem, [known.stem for known in CONFIGS_DIR.glob("*.py")])
        raise UserError(f"--config={name}: no such file{hint}; give configs/demo.py, for example")
    try:
        config = runpy.run_path(str(file))["get_config"](*arguments)
        _check_fields(config)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    except Exception as error:  # a config file may raise anything
        lines = re.findall(rf'File "{re.escape(str(file))}", line (\d+)', "".join(traceback.format_exception(error)))
        place = f"{file}, line {lines[-1]}" if lines else str(file)
        reason = describe_exception(error)
        raise UserError(f"{place}: {reason}; correct the file, or begin it as configs/demo.py does") from None
    assert isinstance(config, ConfigDict)
    return config.lock()


def check_field(name: str) -> None:
    """Check that there is a field or a group of fields of a dotted name, such as training.steps.

    Raises:
      UserError: The message has the most similar field.
    """
    fields = default_fields()
    if name in fields or any(field.startswith(f"{name}.") for field in fields):
        return
    last = name.rpartition(".")[2]
    similar = [field for field in fields if field.rpartition(".")[2] == last]
    similar = similar or difflib.get_close_matches(name, fields, n=1)
    hint = f"did you mean config.{similar[0]}?" if similar else "configs/loso.py has the fields"
    raise UserError(f"config.{name}: there is no such field; {hint}")


def _check_fields(config: ConfigDict) -> None:
    """Check that a config has the fields of configs/loso.py, with values of the same types.

    Raises:
      UserError: The message names the field.
    """
    if not isinstance(config, ConfigDict):
        raise UserError("get_config does not return a ConfigDict; create and return one as configs/demo.py does")
    fields = flatten(config)
    for name in fields:
        check_field(name)
    for name, default in default_fields().items():
        if name not in fields:
            raise UserError(f"config.{name} is missing; begin the config as configs/demo.py does")
        expected = (tuple, list) if isinstance(default, tuple) else (type(default),)  # config.json has lists for tuples
        if type(fields[name]) not in expected:
            raise UserError(f"config.{name} is {fields[name]!r}: it must be of type {type(default).__name__}")


def validate(config: ConfigDict) -> None:
    """Check the names and types of all fields, their ranges, and the fields that depend on each other.

    Raises:
      UserError: The message names the field, its value, and the range or the most similar field.
    """
    _check_fields(config)
    fields = flatten(config)
    for name, value in fields.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"config.{name} is {value!r}: it must be finite")
    for name, choices in _CHOICES.items():
        if fields[name] not in choices:
            allowed = [str(choice) for choice in choices]
            hint = did_you_mean(str(fields[name]), allowed)
            raise UserError(f"config.{name} is {fields[name]!r}{hint}: it must be one of {', '.join(allowed)}")
    for requirement, holds, names in _RANGES:
        for name in names.split():
            if not holds(fields[name]):
                raise UserError(f"config.{name} is {fields[name]!r}: it must be {requirement}")
    _check_conflicts(config)


def _check_conflicts(config: ConfigDict) -> None:
    """Raise a UserError about fields that contradict each other."""
    training, evaluation = config.training, config.evaluation
    inner = evaluation.selection == "inner"
    if config.method != ICEGAN:
        _check_compared_system(config)
    if not training.steps and not training.epochs:
        raise UserError("config.training.epochs and config.training.steps are both 0: set one")
    if config.generator.kind == "dcgan" and config.generator.motion:
        raise UserError(
            "config.generator.motion is True, but a dcgan generator has no onset frame as input whose pixels it could "
            "move: set --config.generator.motion=False"
        )
    if config.protocol == "all" and (inner or evaluation.oracle):  # all subjects are trained on
        remedy = "selection=last" if inner else "oracle=False"
        raise UserError(f"config.protocol is 'all': no clip is tested; set --config.evaluation.{remedy}")
    if inner and not evaluation.inner_share:
        raise UserError(
            "config.evaluation.selection is 'inner', but there are no validation subjects: "
            "set --config.evaluation.inner_share=0.2, for example"
        )
    if (inner or evaluation.oracle) and not training.evaluate_every:
        field = "selection is 'inner'" if inner else "oracle is True"
        raise UserError(
            f"config.evaluation.{field}, but nothing is evaluated during training: "
            "set --config.training.evaluate_every=100, for example"
        )


def _check_compared_system(config: ConfigDict) -> None:
    """Raise a UserError about fields that a compared system does not have."""
    augmentation = config.augmentation
    if config.generator.kind != NO_GENERATOR or config.training.resting_share:
        raise UserError(
            f"config.method is {config.method!r}, but the other fields are those of ICE-GAN: give "
            "--config=configs/baselines.py"
        )
    if (
        augmentation.shift
        or augmentation.brightness
        or (augmentation.mirror and METHODS[config.method].input != "apex")
    ):
        raise UserError(
            f"config.augmentation changes faces, but {config.method!r} reads motion or has no such augmentation: "
            "leave its fields out"
        )
    if config.training.parallel != "folds":
        raise UserError(f"config.training.parallel is 'batch', but {config.method!r} trains each fold on one device")


def build_models(config: ConfigDict, steps: int, classes: int = len(EXPRESSIONS)) -> Models:
    """Return networks, optimizers and loss weights of a valid config.

    Args:
      config: The config.
      steps: Updates over which the learning rate falls to 0, as a cosine.
      classes: Number of classes in the data.
    """
    model, optimizer = config.model.to_dict(), build_optimizer(steps, **config.optimizer)
    if config.method != ICEGAN:
        return _build_compared_system(config, optimizer, classes)
    shared = {name: model.pop(name) for name in ("width", "fixed_spectral_norm", "released_start")}
    shared["dtype"] = jnp.dtype(model.pop("dtype"))
    generator = None if config.generator.kind == NO_GENERATOR else Generator(**config.generator, **shared)
    discriminator = DISCRIMINATORS[config.discriminator.kind]
    used = {field.name for field in dataclasses.fields(discriminator)}  # the other kind has other fields
    fields = {name: value for name, value in config.discriminator.items() if name in used}
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    perceptual = None
    if config.loss.perceptual and generator is not None:
        perceptual = load_perceptual_network(**config.perceptual)
    return Models(
        generator=generator,
        discriminator=discriminator(classes=classes, **fields, **shared),
        perceptual=perceptual,
        classes=classes,
        g_optimizer=optimizer,
        d_optimizer=optimizer,
        weights=LossWeights(**config.loss),
        **model,
    )


def _build_compared_system(config: ConfigDict, optimizer: optax.GradientTransformation, classes: int) -> Models:
    """Return a compared network in the place of the discriminator, without a generator.

    Raises:
      UserError: The system has no network.
    """
    method = METHODS[config.method]
    if method.network is None:
        raise UserError(f"config.method is {config.method!r}: {method.title} has no network and no parameter table")
    model = config.model
    return Models(
        generator=None,
        discriminator=BaselineClassifier(network=method.network(classes), **method.options),
        perceptual=None,
        recognition_input=model.recognition_input,
        pair_gain=model.pair_gain,
        image_size=model.image_size,
        noise=model.noise,
        classes=classes,
        g_optimizer=optimizer,
        d_optimizer=optimizer,
        weights=LossWeights(**config.loss),
        input_shape=(config.input.size, config.input.size, CHANNELS[method.input]),
    )


def build_train_config(config: ConfigDict, num_pairs: int, num_folds: int, num_devices: int) -> TrainConfig:
    """Compute how the folds are trained: an epoch is one pass over all prepared pairs, equally long for every fold.

    Raises:
      UserError: The devices cannot split the batches equally, or there are more steps than can be counted.
    """
    training = config.training.to_dict()
    if config.method != ICEGAN:  # batches of several hundred clips are published, which are one pass over all clips
        training["batch_size"] = min(training["batch_size"], num_pairs)
    size, epochs = training["batch_size"], training.pop("epochs")
    split_batches = training["parallel"] == "batch"
    if split_batches and size % num_devices:
        raise UserError(
            f"config.training.batch_size is {size}: with config.training.parallel=batch it must be a multiple of the "
            f"{num_devices} devices, such as {math.ceil(size / num_devices) * num_devices}"
        )
    steps_per_epoch = math.ceil(num_pairs / size)
    steps = training["steps"] or epochs * steps_per_epoch
    if steps > MAX_STEPS:
        field = f"steps is {steps}" if training["steps"] else f"epochs is {epochs}, which are {steps} steps"
        raise UserError(f"config.training.{field}: it must be at most {MAX_STEPS} steps")
    training["steps"] = steps
    training["steps_per_call"] = min(training["steps_per_call"], steps, training["evaluate_every"] or steps)
    folds = math.ceil(num_folds / (1 if split_batches else num_devices))
    training["folds_per_device"] = min(training["folds_per_device"], folds)
    result = TrainConfig(**training, **config.augmentation, seed=config.seed, steps_per_epoch=steps_per_epoch)
    if split_batches and result.resting_pairs % num_devices:
        raise UserError(
            f"config.training.resting_share is {result.resting_share}, which are {result.resting_pairs} pairs of a "
            f"batch: with config.training.parallel=batch it must be a multiple of the {num_devices} devices; set "
            f"--config.training.resting_share={num_devices / size:g}, for example"
        )
    return result
