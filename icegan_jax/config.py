"""The config: its fields and their ranges, the config file with changes of the command line, and what is built of it.

``load_config`` and ``split_changes`` read, ``validate`` checks, ``build_models`` and ``build_train_config`` make
the networks and the settings of the training of the checked values. configs/loso.py describes every field.
"""

import ast
import difflib
import importlib.util
import math
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import optax
from jax.typing import DTypeLike
from ml_collections import ConfigDict, FrozenConfigDict
from ml_collections.config_dict import RequiredValueError

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.folds import PROTOCOLS
from icegan_jax.errors import UserError
from icegan_jax.models.discriminator import CapsuleDiscriminator, ConvolutionalDiscriminator
from icegan_jax.models.generator import GENERATOR_KINDS, Generator
from icegan_jax.models.perceptual import load_perceptual_network
from icegan_jax.training.parallel import PARALLEL_MODES
from icegan_jax.training.state import ON_NONFINITE, LossWeights, Models, TrainConfig

CONFIGS_DIR = Path(__file__).parents[1] / "configs"  # beside the package, in a checkout and in an installation

NO_GENERATOR = "none"  # Table III, A: the discriminator alone
_BOOLEAN_KIND = "True or False"  # the kind of a boolean field, see Field

MAX_STEPS = 2**31 - 1  # devices count updates in signed 32-bit integers
_NUM_SEEDS = 2**32  # jax.random.key uses 32 bits of the seed
_MIN_IMAGE_SIZE = 32  # pixels; smaller images leave nothing after three halvings and two 4x4 kernels (PatchGAN)
_MAX_IMAGE_SIZE = 1024  # pixels; the largest that prepare makes

# Larger values are typing errors: the largest layer of the paper has 16,384 units (the last one of the
# reconstruction), widths are factors of the paper's, and layers and routing iterations are unrolled in the program.
_MAX_UNITS = 65_536
_MAX_WIDTH = 100.0
_MAX_ITERATIONS = 100
_MAX_LAYERS = 16
_MAX_PROCEDURAL = 10_000  # subjects, clips or frames; two clips a second are drawn
_MAX_WEIGHT = 1e9  # of a loss term; the largest in configs/ is 100

_MAX_SHOWN = 80  # characters of a value in a message
_MAX_REASON = 200  # characters of an exception of a config file in a message
_EXAMPLE = "as configs/demo.py does"

_BOOLEAN_WORDS = {
    "true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False,
}  # fmt: skip
_CHANGE = re.compile(r"--?(no)?config\.([^=]*)(?:=(.*))?", re.DOTALL)  # an option of the command line


@dataclass(frozen=True)
class Field:
    """Type and range of a field of the config.

    Attributes:
      kind: The type in words, a key of ``_KINDS``; shown in messages.
      rules: Predicates of a value, each with the text that follows "it must be" in a message.
    """

    kind: str
    rules: tuple[tuple[Callable[[Any], bool], str], ...] = ()


def _integer(low: int, high: int) -> Field:
    above = "above 0" if low == 1 else f"{low} or more"
    return Field("a whole number", ((lambda v: v >= low, above), (lambda v: v <= high, f"at most {high}")))


def _float(high: float, *, zero: bool) -> Field:
    low: tuple[Callable[[Any], bool], str] = (lambda v: v >= 0, "0 or more") if zero else (lambda v: v > 0, "above 0")
    return Field("a number", ((math.isfinite, "finite"), low, (lambda v: v <= high, f"at most {high:g}")))


def _fraction(low: str) -> Field:
    """Return the field of a number below 1; ``low`` is "above 0" or "at least 0"."""
    zero = low == "at least 0"
    return Field("a number", ((lambda v: (0 <= v if zero else 0 < v) and v < 1, f"{low} and below 1"),))


def _choice(*choices: object) -> Field:
    kind = "text" if isinstance(choices[0], str) else "a whole number"
    return Field(kind, ((lambda v: v in choices, f"one of {', '.join(map(str, choices))}"),))


_BOOLEAN = Field(_BOOLEAN_KIND)
_TEXT = Field("text", ((str.isprintable, "text without control characters"),))
_UNITS = _integer(1, _MAX_UNITS)
_WIDTH = _float(_MAX_WIDTH, zero=False)
_WEIGHT = _float(_MAX_WEIGHT, zero=True)
_STEPS = _integer(1, MAX_STEPS)
_STEPS_OR_NONE = _integer(0, MAX_STEPS)

# The fields of configs/loso.py, which describes each; tests/test_configs.py compares the two.
FIELDS: Mapping[str, Field] = {
    "seed": Field(
        "a whole number", ((lambda v: v >= 0, "0 or more"), (lambda v: v < _NUM_SEEDS, f"below {_NUM_SEEDS}"))
    ),
    "protocol": _choice(*PROTOCOLS),
    "split_share": _fraction("above 0"),
    "data.dir": _TEXT,
    "data.database": _TEXT,
    "data.mirror": _BOOLEAN,
    "data.shift": _integer(0, _MAX_IMAGE_SIZE),
    "data.brightness": _fraction("at least 0"),
    "data.procedural.subjects": _integer(1, _MAX_PROCEDURAL),
    "data.procedural.clips_per_class": _integer(1, _MAX_PROCEDURAL),
    "data.procedural.frames": _integer(1, _MAX_PROCEDURAL),
    "model.image_size": Field(
        "a whole number",
        (
            (lambda v: v >= _MIN_IMAGE_SIZE and v & (v - 1) == 0, f"a power of 2, at least {_MIN_IMAGE_SIZE}"),
            (lambda v: v <= _MAX_IMAGE_SIZE, f"at most {_MAX_IMAGE_SIZE}"),
        ),
    ),
    "model.recognition_input": _choice("apex", "pair"),
    "model.pair_gain": _float(_MAX_WEIGHT, zero=False),
    "model.generator": _choice(NO_GENERATOR, *GENERATOR_KINDS),
    "model.grm": _choice("full", "compact"),
    "model.width": _WIDTH,
    "model.embedding": _UNITS,
    "model.noise": _UNITS,
    "model.class_gain": _float(_MAX_WEIGHT, zero=False),
    "model.adjacency_std": _WEIGHT,
    "model.motion": _BOOLEAN,
    "model.discriminator": _choice("capsules", "cnn"),
    "model.cnn_width": _WIDTH,
    "model.trunk_norm": _choice("batch", "instance"),
    "model.primary_types": _UNITS,
    "model.primary_dimension": _UNITS,
    "model.adversarial_dimension": _integer(0, _MAX_UNITS),
    "model.expression_dimension": _UNITS,
    "model.routing_iterations": _integer(1, _MAX_ITERATIONS),
    "model.routing_axis": _choice("output", "input"),
    "model.capsule_std": _float(_MAX_WEIGHT, zero=False),
    "model.reconstruction_hidden": Field(
        "a tuple",
        (
            (lambda v: all(_has_type("a whole number", width) and width > 0 for width in v), "whole numbers above 0"),
            (
                lambda v: len(v) <= _MAX_LAYERS and max(v, default=0) <= _MAX_UNITS,
                f"up to {_MAX_LAYERS} of {_MAX_UNITS}",
            ),
        ),
    ),
    "model.reconstruction_width": _WIDTH,
    "model.reconstruction_spectral": _BOOLEAN,
    "loss.adversarial": _WEIGHT,
    "loss.synthesis": _WEIGHT,
    "loss.recognition": _WEIGHT,
    "loss.synthetic_recognition": _WEIGHT,
    "loss.perceptual": _WEIGHT,
    "loss.perceptual_network": _TEXT,  # models/perceptual.py checks it, and the layer
    "loss.perceptual_layer": _TEXT,
    "loss.reconstruction": _WEIGHT,
    "loss.margin_power": _choice(2, 1),
    "training.epochs": _STEPS_OR_NONE,
    "training.steps": _STEPS_OR_NONE,
    "training.batch_size": _UNITS,
    "training.learning_rate": _float(_MAX_WEIGHT, zero=False),
    "training.b1": _fraction("at least 0"),
    "training.b2": _fraction("at least 0"),
    "training.parallel": _choice(*PARALLEL_MODES),
    "training.precision": _choice("float32", "bfloat16"),
    "training.folds_per_device": _integer(0, _MAX_UNITS),
    "training.steps_per_call": _UNITS,
    "training.checkpoint_every": _STEPS,
    "training.on_nonfinite": _choice(*ON_NONFINITE),
    "training.collapse_after": _STEPS_OR_NONE,
    "evaluation.selection": _choice("last", "inner"),
    "evaluation.inner_share": _fraction("at least 0"),
    "evaluation.every": _STEPS_OR_NONE,
    "evaluation.oracle": _BOOLEAN,
}

_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "a whole number": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "a number": lambda v: isinstance(v, int | float) and not isinstance(v, bool) and _fits_float(v),
    "text": lambda v: isinstance(v, str),
    _BOOLEAN_KIND: lambda v: isinstance(v, bool),
    "a tuple": lambda v: isinstance(v, tuple | list),
}


def _has_type(kind: str, value: object) -> bool:
    """Return whether a value has the type that ``kind`` names, a key of ``_KINDS``."""
    return _KINDS[kind](value)


def _fits_float(value: float) -> bool:
    try:
        float(value)
    except OverflowError:  # a whole number of 309 digits or more
        return False
    return True


def _check_values(flat: Mapping[str, Any]) -> None:
    """Check that all fields are there, with values of their types and ranges, and no other fields.

    Args:
      flat: The values of a config by dotted name: {"training.steps": 70, ...}.

    Raises:
      UserError: The message names the field, its value, and the range or the most similar field.
    """
    for name, value in flat.items():
        if name not in FIELDS:
            raise UserError(_unknown_field_message(name, value))
    for name, field in FIELDS.items():
        if name not in flat:
            raise UserError(
                f"config.{name} is missing: it must be {_describe_field(name)}; "
                "begin the config as configs/demo.py does, with the fields of configs/loso.py"
            )
        value = flat[name]
        if not _has_type(field.kind, value):
            raise UserError(f"config.{name} is {_show_value(value)}: it must be {field.kind}")
        for holds, requirement in field.rules:
            if not holds(value):
                suggestion = _suggest_choice(value, requirement)
                raise UserError(f"config.{name} is {_show_value(value)}: it must be {requirement}{suggestion}")


def _describe_field(name: str) -> str:
    """Return type and range of a field in words: "a whole number, above 0"."""
    return ", ".join(dict.fromkeys([FIELDS[name].kind, *(requirement for _, requirement in FIELDS[name].rules)]))


def _unknown_field_message(name: str, value: object = None) -> str:
    """Return the message about a name that is not a field; ``value`` is None where it is not known."""
    given = "" if value is None else f" is {_show_value(value)}"
    members = [field for field in FIELDS if field.startswith(f"{name}.")]
    if members:
        return f"config.{name}{given}: it is a group of fields; change one of them, such as config.{members[0]}"
    similar = _similar_fields(name)
    suggestion = f"did you mean {' or '.join(similar)}?" if similar else "configs/loso.py has the fields"
    return f"config.{_show_value(name)[1:-1]}{given}: there is no such field; {suggestion}"


def _parse_value(name: str, text: str) -> object:
    """Return the value of a field from its text on the command line.

    Raises:
      UserError: There is no such field, or the text is not a value of its type.
    """
    if name not in FIELDS:
        raise UserError(_unknown_field_message(name, text))
    try:
        return _parse_kind(FIELDS[name].kind, text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise UserError(f"config.{name} is {_show_value(text)}: it must be {_describe_field(name)}") from None


def _show_value(value: object, max_characters: int = _MAX_SHOWN) -> str:
    """Return a value as messages show it: on one line, truncated."""
    try:
        text = repr(value)
    except Exception:  # an object of a config file, whose repr may raise anything
        text = type(value).__name__
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= max_characters else f"{text[:max_characters]}... ({len(text)} characters)"


def _parse_kind(kind: str, text: str) -> object:
    if kind == "a whole number":
        return int(text)
    if kind == "a number":
        return float(text)
    if kind == _BOOLEAN_KIND:
        if text.casefold() not in _BOOLEAN_WORDS:
            raise ValueError(text)
        return _BOOLEAN_WORDS[text.casefold()]
    if kind == "a tuple":
        value = ast.literal_eval(text)
        return tuple(value) if isinstance(value, tuple | list) else (value,)
    return text


def _similar_fields(name: str) -> list[str]:
    """Return at most three fields with the same last part of the name, or with a similar spelling."""
    last = name.rpartition(".")[2]
    same = [field for field in FIELDS if field.rpartition(".")[2] == last]
    if same:
        return same[:3]
    groups = {field.rpartition(".")[0] for field in FIELDS} - {""}
    close = difflib.get_close_matches(name, [*FIELDS, *sorted(groups)], n=1, cutoff=0.75)
    if close:
        return close
    lasts = {field.rpartition(".")[2]: field for field in FIELDS}
    return [lasts[found] for found in difflib.get_close_matches(last, lasts, n=1, cutoff=0.75)]


def _suggest_choice(value: object, requirement: str) -> str:
    """Return a question like "; did you mean loso?" if the value is similar to one of the choices; else nothing."""
    if not isinstance(value, str) or not requirement.startswith("one of "):
        return ""
    similar = difflib.get_close_matches(value.casefold(), requirement.removeprefix("one of ").split(", "), n=1)
    return f"; did you mean {similar[0]}?" if similar else ""


def split_changes(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Separate the changes of the config from the other arguments of a command line.

    A change is ``--config.FIELD=VALUE`` or ``--config.FIELD VALUE``; for a boolean field also ``--config.FIELD`` and
    ``--noconfig.FIELD``.

    Returns:
      The other arguments, and the changes in their first form.

    Raises:
      UserError: There is no such field, or a value is missing.
    """
    others: list[str] = []
    changes: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        match = _CHANGE.fullmatch(argument)
        if not match:
            others.append(argument)
            continue
        negated, name, text = match.groups()
        if name not in FIELDS:
            raise UserError(_unknown_field_message(name, text))
        boolean = FIELDS[name].kind == _BOOLEAN_KIND
        if negated and not (boolean and text is None):
            raise UserError(f"{_show_value(argument)[1:-1]}: give --config.{name}=VALUE")
        if text is None:
            text = str(not negated) if boolean else next(remaining, None)
        if text is None:
            raise UserError(f"--config.{name}: its value is missing; give --config.{name}=VALUE")
        changes.append(f"--config.{name}={text}")
    return others, changes


def load_config(path: str, changes: Sequence[str] = ()) -> ConfigDict:
    """Return the locked config that a file's ``get_config`` returns, with changes; ``validate`` checks its values.

    Args:
      path: The config file; the text after a colon is the argument of ``get_config``.
      changes: As ``split_changes`` returns them.

    Raises:
      UserError: The file cannot be read or run, returns no config, or a change is not a value of its field.
    """
    name, colon, argument = path.partition(":")
    file = Path(name)
    installed = CONFIGS_DIR / file.name
    if file.parent == Path("configs") and not file.exists() and installed.is_file():
        file = installed  # outside the repository, --config=configs/demo.py means the installed config
    config = _run_file(file, [argument] if colon else [])
    for change in changes:
        field, _, text = change.removeprefix("--config.").partition("=")
        _set_field(config, field, _parse_value(field, text))
    return config.lock()


def _run_file(path: Path, arguments: Sequence[str]) -> ConfigDict:
    module = types.ModuleType("config")
    module.__file__ = str(path)
    try:
        source = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"--config={_show_value(str(path))[1:-1]} cannot be loaded: {reason}; see configs/ for existing files"
        ) from None
    try:
        exec(compile(importlib.util.decode_source(source), str(path), "exec"), module.__dict__)
        get_config = module.__dict__.get("get_config")
        if not callable(get_config):
            raise UserError(f"{path}: has no function get_config; write one that returns a config, {_EXAMPLE}")
        config = get_config(*arguments)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # a config file may raise anything
        raise UserError(f"{path}{_line_of(path, error)}: {_describe_error(error)}; correct the file") from None
    if isinstance(config, FrozenConfigDict):
        return config.as_configdict()
    if not isinstance(config, ConfigDict):
        kind = "nothing" if config is None else f"a {type(config).__name__}"
        raise UserError(f"{path}: get_config returns {kind}, not a ConfigDict; create and return one {_EXAMPLE}")
    return config


def _line_of(path: Path, error: BaseException) -> str:
    """Return the place of an error in the file as ", line 12"; empty where the line is not known."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f", line {error.lineno}"
    number, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            number = trace.tb_lineno
        trace = trace.tb_next
    return "" if number is None else f", line {number}"


def _describe_error(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    words = _show_value(" ".join(text.split()), _MAX_REASON)[1:-1]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _set_field(config: ConfigDict, field: str, value: object) -> None:
    """Set a field, even if the file has no such field, or a value of another type."""
    part = config
    *path, name = field.split(".")
    with config.unlocked(), config.ignore_type():
        for step in path:
            if not isinstance(part.get(step), ConfigDict):
                part[step] = ConfigDict()
            part = part[step]
        with part.ignore_type():
            part[name] = value


def validate(config: ConfigDict) -> None:
    """Check all fields and their combinations.

    Raises:
      UserError: The message names the field, its value, and the range or the most similar field.
    """
    _check_values(dict(_flatten(config)))
    if not config.training.steps and not config.training.epochs:
        raise UserError("config.training.epochs and config.training.steps are both 0: set one")
    if config.model.generator == "dcgan" and config.model.motion:
        raise UserError(
            "config.model.motion is True: a dcgan generator has no onset frame as input whose pixels it could move; "
            "set --config.model.motion=False"
        )
    if config.protocol == "all":
        _check_untested(config.evaluation)
    _check_selection(config.evaluation)


def _check_untested(evaluation: ConfigDict) -> None:
    """Refuse settings that need test clips where all subjects are in the training set."""
    if evaluation.selection != "last":
        raise UserError(
            f"config.evaluation.selection is {evaluation.selection!r}, but with config.protocol 'all' no clip is "
            "tested, and the result is the network of the last step: set --config.evaluation.selection=last"
        )
    if evaluation.oracle:
        raise UserError(
            "config.evaluation.oracle is True, but with config.protocol 'all' there is no test to take the best of: "
            "set --config.evaluation.oracle=False"
        )


def _check_selection(evaluation: ConfigDict) -> None:
    """Refuse a selection among evaluations that are not made, or on validation subjects that do not exist."""
    inner = evaluation.selection == "inner"
    if inner and not evaluation.inner_share:
        raise UserError(
            "config.evaluation.selection is 'inner', but there are no validation subjects: "
            "set --config.evaluation.inner_share=0.2, for example"
        )
    if (inner or evaluation.oracle) and not evaluation.every:
        why = "selection is 'inner'" if inner else "oracle is True"
        raise UserError(
            f"config.evaluation.{why}, but nothing is evaluated during training: "
            "set --config.evaluation.every=100, for example"
        )


def _flatten(config: ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted name and value of each field, without placeholders that have no value."""
    for name in config:
        try:
            value = config[name]
        except RequiredValueError:
            continue
        if isinstance(value, ConfigDict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def build_models(config: ConfigDict, steps: int, classes: int = len(EXPRESSIONS)) -> Models:
    """Return networks, optimizers and loss weights of a valid config.

    Args:
      config: The config.
      steps: Updates over which the learning rate falls to 0, as a cosine.
      classes: Number of classes in the data.
    """
    model, loss, training = config.model, config.loss, config.training
    dtype = jnp.dtype(training.precision)
    generator = None if model.generator == NO_GENERATOR else _build_generator(model, dtype)

    def optimizer() -> optax.GradientTransformation:
        schedule = optax.cosine_decay_schedule(training.learning_rate, steps)
        return optax.adam(schedule, b1=training.b1, b2=training.b2)

    perceptual = None
    if loss.perceptual and generator is not None:
        perceptual = load_perceptual_network(loss.perceptual_network, loss.perceptual_layer)
    weights = LossWeights(
        adversarial=loss.adversarial,
        synthesis=loss.synthesis,
        recognition=loss.recognition,
        synthetic_recognition=loss.synthetic_recognition,
        perceptual=loss.perceptual,
        reconstruction=loss.reconstruction,
        margin_power=loss.margin_power,
    )
    return Models(
        generator=generator,
        discriminator=_build_discriminator(model, classes, dtype),
        perceptual=perceptual,
        recognition_input=model.recognition_input,
        pair_gain=model.pair_gain,
        image_size=model.image_size,
        noise=model.noise,
        classes=classes,
        g_optimizer=optimizer(),
        d_optimizer=optimizer(),
        weights=weights,
    )


def _build_generator(model: ConfigDict, dtype: DTypeLike) -> Generator:
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


def _build_discriminator(
    model: ConfigDict, classes: int, dtype: DTypeLike
) -> CapsuleDiscriminator | ConvolutionalDiscriminator:
    if model.discriminator == "cnn":
        return ConvolutionalDiscriminator(
            classes=classes, width=model.width, cnn_width=model.cnn_width, norm=model.trunk_norm, dtype=dtype
        )
    return CapsuleDiscriminator(
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


def build_train_config(config: ConfigDict, num_pairs: int, num_folds: int, num_devices: int) -> TrainConfig:
    """Compute how the folds are trained: an epoch is one pass over all prepared pairs, equally long for every fold.

    Raises:
      UserError: The devices cannot split the batches equally, or there are more steps than can be counted.
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
    if wanted > MAX_STEPS:
        raise UserError(
            f"config.training.epochs is {training.epochs}: {wanted} steps; lower it to at most {MAX_STEPS} steps"
        )
    every = config.evaluation.every
    return TrainConfig(
        steps=wanted,
        steps_per_epoch=per_epoch,
        steps_per_call=min(training.steps_per_call, wanted, every or wanted),
        checkpoint_every=training.checkpoint_every,
        folds_per_device=min(training.folds_per_device, math.ceil(num_folds / holders)),
        parallel=training.parallel,
        batch_size=size,
        mirror=config.data.mirror,
        seed=config.seed,
        evaluate_every=every,
        shift=config.data.shift,
        brightness=config.data.brightness,
        on_nonfinite=training.on_nonfinite,
        collapse_after=training.collapse_after,
    )
