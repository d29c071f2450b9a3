"""Every field of a config: its type, and what it may be.

The values of a config: checked, read from the words of a command line, and shown in messages.

A config out of its file and the changes on a command line, with one line for whatever is wrong in them.

A config's fields, checked, as the plain arguments that networks and training take.
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

NO_GENERATOR = "none"  # Table III, A: the discriminator alone

MOST_STEPS = 2**31 - 1  # a device counts updates in 32 bits with a sign

_SEEDS = 2**32  # jax.random.key looks at 32 bits

_SMALLEST_IMAGE = 32  # pixels; of less, three halvings and two 4x4 kernels leave the trunk nothing

_LARGEST_IMAGE = 1024  # pixels; the largest that prepare makes

# What is beyond these is a slip of the hand: no network of the paper has a side of more than 16,384 (the
# reconstruction's last layer), widths are factors on it, and layers and routing iterations are unrolled in the program.
_MOST_SIDE = 65_536

_MOST_FACTOR = 100.0

_MOST_ITERATIONS = 100

_MOST_LAYERS = 16

_MOST_DRAWN = 10_000  # people, clips or frames; two clips a second are drawn

_MOST_WEIGHT = 1e9  # of a loss; the largest of the configurations is 100


@dataclass(frozen=True)
class Field:
    """What a field may be.

    Attributes:
        kind: one of the words of ``_KINDS``, which stand in messages.
        rules: what must hold of a value of that kind, each with the words that follow "it must be".
    """

    kind: str
    rules: tuple[tuple[Callable[[Any], bool], str], ...] = ()


def _whole(low: int, most: int) -> Field:
    above = "above 0" if low == 1 else f"{low} or more"
    return Field("a whole number", ((lambda v: v >= low, above), (lambda v: v <= most, f"at most {most}")))


def _number(most: float, *, zero: bool) -> Field:
    low: tuple[Callable[[Any], bool], str] = (lambda v: v >= 0, "0 or more") if zero else (lambda v: v > 0, "above 0")
    return Field("a number", ((math.isfinite, "finite"), low, (lambda v: v <= most, f"at most {most:g}")))


def _share(low: str) -> Field:
    """A number below 1; ``low``: "above 0" or "at least 0"."""
    zero = low == "at least 0"
    return Field("a number", ((lambda v: (0 <= v if zero else 0 < v) and v < 1, f"{low} and below 1"),))


def _choice(*choices: object) -> Field:
    kind = "text" if isinstance(choices[0], str) else "a whole number"
    return Field(kind, ((lambda v: v in choices, f"one of {', '.join(map(str, choices))}"),))


BOOLEAN = "True or False"  # the kind of a field that is one of the two

_BOOLEAN = Field(BOOLEAN)

_TEXT = Field("text", ((str.isprintable, "text without control characters"),))

_SIDE = _whole(1, _MOST_SIDE)

_FACTOR = _number(_MOST_FACTOR, zero=False)

_WEIGHT = _number(_MOST_WEIGHT, zero=True)

_STEPS = _whole(1, MOST_STEPS)

_STEPS_OR_NONE = _whole(0, MOST_STEPS)

# The fields of configs/loso.py, which says what each is for; tests/test_configs.py holds the two equal.
FIELDS: Mapping[str, Field] = {
    "seed": Field("a whole number", ((lambda v: v >= 0, "0 or more"), (lambda v: v < _SEEDS, f"below {_SEEDS}"))),
    "protocol": _choice(*PROTOCOLS),
    "split_share": _share("above 0"),
    "data.dir": _TEXT,
    "data.database": _TEXT,
    "data.mirror": _BOOLEAN,
    "data.shift": _whole(0, _LARGEST_IMAGE),
    "data.brightness": _share("at least 0"),
    "data.procedural.subjects": _whole(1, _MOST_DRAWN),
    "data.procedural.clips_per_class": _whole(1, _MOST_DRAWN),
    "data.procedural.frames": _whole(1, _MOST_DRAWN),
    "model.image_size": Field(
        "a whole number",
        (
            (lambda v: v >= _SMALLEST_IMAGE and v & (v - 1) == 0, f"a power of 2, at least {_SMALLEST_IMAGE}"),
            (lambda v: v <= _LARGEST_IMAGE, f"at most {_LARGEST_IMAGE}"),
        ),
    ),
    "model.recognition_input": _choice("apex", "pair"),
    "model.pair_gain": _number(_MOST_WEIGHT, zero=False),
    "model.generator": _choice(NO_GENERATOR, *GENERATOR_KINDS),
    "model.grm": _choice("full", "compact"),
    "model.width": _FACTOR,
    "model.embedding": _SIDE,
    "model.noise": _SIDE,
    "model.class_gain": _number(_MOST_WEIGHT, zero=False),
    "model.adjacency_std": _WEIGHT,
    "model.motion": _BOOLEAN,
    "model.discriminator": _choice("capsules", "cnn"),
    "model.cnn_width": _FACTOR,
    "model.trunk_norm": _choice("batch", "instance"),
    "model.primary_types": _SIDE,
    "model.primary_dimension": _SIDE,
    "model.adversarial_dimension": _whole(0, _MOST_SIDE),
    "model.expression_dimension": _SIDE,
    "model.routing_iterations": _whole(1, _MOST_ITERATIONS),
    "model.routing_axis": _choice("output", "input"),
    "model.capsule_std": _number(_MOST_WEIGHT, zero=False),
    "model.reconstruction_hidden": Field(
        "a tuple",
        (
            (lambda v: all(has_type("a whole number", width) and width > 0 for width in v), "whole numbers above 0"),
            (
                lambda v: len(v) <= _MOST_LAYERS and max(v, default=0) <= _MOST_SIDE,
                f"up to {_MOST_LAYERS} of {_MOST_SIDE}",
            ),
        ),
    ),
    "model.reconstruction_width": _FACTOR,
    "model.reconstruction_spectral": _BOOLEAN,
    "loss.adversarial": _WEIGHT,
    "loss.synthesis": _WEIGHT,
    "loss.recognition": _WEIGHT,
    "loss.synthetic_recognition": _WEIGHT,
    "loss.perceptual": _WEIGHT,
    "loss.perceptual_network": _TEXT,  # models/perceptual.py knows the networks and their layers
    "loss.perceptual_layer": _TEXT,
    "loss.reconstruction": _WEIGHT,
    "loss.margin_power": _choice(2, 1),
    "training.epochs": _STEPS_OR_NONE,
    "training.steps": _STEPS_OR_NONE,
    "training.batch_size": _SIDE,
    "training.learning_rate": _number(_MOST_WEIGHT, zero=False),
    "training.b1": _share("at least 0"),
    "training.b2": _share("at least 0"),
    "training.parallel": _choice(*PARALLEL_MODES),
    "training.precision": _choice("float32", "bfloat16"),
    "training.folds_per_device": _whole(0, _MOST_SIDE),
    "training.steps_per_call": _SIDE,
    "training.checkpoint_every": _STEPS,
    "training.on_nonfinite": _choice(*ON_NONFINITE),
    "training.collapse_after": _STEPS_OR_NONE,
    "evaluation.selection": _choice("last", "inner"),
    "evaluation.inner_share": _share("at least 0"),
    "evaluation.every": _STEPS_OR_NONE,
    "evaluation.oracle": _BOOLEAN,
}

_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "a whole number": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "a number": lambda v: isinstance(v, int | float) and not isinstance(v, bool) and _fits(v),
    "text": lambda v: isinstance(v, str),
    BOOLEAN: lambda v: isinstance(v, bool),
    "a tuple": lambda v: isinstance(v, tuple | list),
}


def has_type(kind: str, value: object) -> bool:
    """Whether a value is of a kind."""
    return _KINDS[kind](value)


def _fits(value: float) -> bool:
    try:
        float(value)
    except OverflowError:  # a whole number of 309 digits or more
        return False
    return True


_LONGEST_SHOWN = 80  # characters of a value that a message shows

_WORDS = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}


def check_values(flat: Mapping[str, Any]) -> None:
    """Refuses a field that is unknown, missing, of another type or out of its range.

    Args:
        flat: a config's values by dotted name: {"training.steps": 70, ...}.

    Raises:
        UserError: names the field, its value, and what it may be or the nearest field.
    """
    for name, value in flat.items():
        if name not in FIELDS:
            raise UserError(unknown_field(name, value))
    for name, field in FIELDS.items():
        if name not in flat:
            raise UserError(
                f"config.{name} is missing: it must be {describe_field(name)}; "
                "begin the config as configs/demo.py does, with the fields of configs/loso.py"
            )
        value = flat[name]
        if not has_type(field.kind, value):
            raise UserError(f"config.{name} is {show_value(value)}: it must be {field.kind}")
        for holds, wish in field.rules:
            if not holds(value):
                raise UserError(f"config.{name} is {show_value(value)}: it must be {wish}{_guess(value, wish)}")


def describe_field(name: str) -> str:
    """What a field must be, in words: "a whole number, above 0"."""
    return ", ".join(dict.fromkeys([FIELDS[name].kind, *(wish for _, wish in FIELDS[name].rules)]))


def unknown_field(name: str, value: object = None) -> str:
    """The message about a name that is no field; ``value``: what it was given, None where that is not known."""
    given = "" if value is None else f" is {show_value(value)}"
    parts = [field for field in FIELDS if field.startswith(f"{name}.")]
    if parts:
        return f"config.{name}{given}: it is a group of fields; change one of them, such as config.{parts[0]}"
    near = _near(name)
    guess = f"did you mean {' or '.join(near)}?" if near else "configs/loso.py has the fields"
    return f"config.{show_value(name)[1:-1]}{given}: there is no such field; {guess}"


def read_value(name: str, text: str) -> object:
    """A field's value out of its words on a command line.

    Raises:
        UserError: there is no such field, or the words are no value of its type.
    """
    if name not in FIELDS:
        raise UserError(unknown_field(name, text))
    try:
        return _read(FIELDS[name].kind, text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise UserError(f"config.{name} is {show_value(text)}: it must be {describe_field(name)}") from None


def show_value(value: object, most: int = _LONGEST_SHOWN) -> str:
    """A value as a message shows it: on one line, of so many characters at most."""
    try:
        text = repr(value)
    except Exception:  # an object of somebody's config file
        text = type(value).__name__
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def _read(kind: str, text: str) -> object:
    if kind == "a whole number":
        return int(text)
    if kind == "a number":
        return float(text)
    if kind == BOOLEAN:
        if text.casefold() not in _WORDS:
            raise ValueError(text)
        return _WORDS[text.casefold()]
    if kind == "a tuple":
        value = ast.literal_eval(text)
        return tuple(value) if isinstance(value, tuple | list) else (value,)
    return text


def _near(name: str) -> list[str]:
    """The fields that may have been meant, at most three: of the same last name, or spelt nearly so."""
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


def _guess(value: object, wish: str) -> str:
    """The question "did you mean loso?" where a choice is spelt nearly so."""
    if not isinstance(value, str) or not wish.startswith("one of "):
        return ""
    near = difflib.get_close_matches(value.casefold(), wish.removeprefix("one of ").split(", "), n=1)
    return f"; did you mean {near[0]}?" if near else ""


_CHANGE = re.compile(r"--?(no)?config\.([^=]*)(?:=(.*))?", re.DOTALL)

_LONGEST_REASON = 200  # characters of what a config file raises

_REMEDY = "as configs/demo.py does"


def split_changes(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Parts a command line's other arguments from its changes of the config.

    A change is ``--config.FIELD=VALUE`` or ``--config.FIELD VALUE``; of a field that is True or False also
    ``--config.FIELD`` and ``--noconfig.FIELD``. All come back in the first form.

    Raises:
        UserError: there is no such field, or a value is missing.
    """
    others: list[str] = []
    changes: list[str] = []
    left = iter(arguments)
    for argument in left:
        found = _CHANGE.fullmatch(argument)
        if not found:
            others.append(argument)
            continue
        negated, name, text = found.groups()
        if name not in FIELDS:
            raise UserError(unknown_field(name, text))
        switch = FIELDS[name].kind == BOOLEAN
        if negated and not (switch and text is None):
            raise UserError(f"{show_value(argument)[1:-1]}: give --config.{name}=VALUE")
        if text is None:
            text = str(not negated) if switch else next(left, None)
        if text is None:
            raise UserError(f"--config.{name}: its value is missing; give --config.{name}=VALUE")
        changes.append(f"--config.{name}={text}")
    return others, changes


def load_config(given: str, changes: Sequence[str] = ()) -> ConfigDict:
    """The config that a file's ``get_config`` returns, changed and locked; ``settings.check`` looks at its values.

    Args:
        given: the path of the file; what follows a colon is handed to ``get_config``.
        changes: as ``split_changes`` gives them.

    Raises:
        UserError: the file cannot be read or run, returns no config, or a change is no value of its field.
    """
    name, colon, argument = given.partition(":")
    config = _run(Path(name), [argument] if colon else [])
    for change in changes:
        field, _, text = change.removeprefix("--config.").partition("=")
        _set(config, field, read_value(field, text))
    return config.lock()


def _run(path: Path, arguments: Sequence[str]) -> ConfigDict:
    module = types.ModuleType("config")
    module.__file__ = str(path)
    try:
        source = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"--config={show_value(str(path))[1:-1]} cannot be loaded: {reason}; configs/ holds those that come along"
        ) from None
    try:
        exec(compile(importlib.util.decode_source(source), str(path), "exec"), module.__dict__)
        make = module.__dict__.get("get_config")
        if not callable(make):
            raise UserError(f"{path}: has no function get_config; write one that returns a config, {_REMEDY}")
        config = make(*arguments)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever somebody's file raises
        raise UserError(f"{path}{_line(path, error)}: {_said(error)}; correct the file") from None
    if isinstance(config, FrozenConfigDict):
        return config.as_configdict()
    if not isinstance(config, ConfigDict):
        kind = "nothing" if config is None else f"a {type(config).__name__}"
        raise UserError(f"{path}: get_config returns {kind}, not a ConfigDict; begin it {_REMEDY}, and return it")
    return config


def _line(path: Path, error: BaseException) -> str:
    """Where in the file it went wrong: ", line 12"; empty where that is not known."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f", line {error.lineno}"
    number, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            number = trace.tb_lineno
        trace = trace.tb_next
    return "" if number is None else f", line {number}"


def _said(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    words = show_value(" ".join(text.split()), _LONGEST_REASON)[1:-1]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _set(config: ConfigDict, field: str, value: object) -> None:
    """Sets a field, also one that the file left out or gave another type."""
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
        _check_unscored(config.evaluation)
    _check_selection(config.evaluation)


def _check_unscored(evaluation: ConfigDict) -> None:
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


def build_models(config: ConfigDict, steps: int, classes: int = len(EXPRESSIONS)) -> Models:
    """Networks, optimizers and losses; the learning rate falls to 0 as a cosine over ``steps`` updates.

    ``classes``: how many the data have.
    """
    model, loss, training = config.model, config.loss, config.training
    dtype = jnp.dtype(training.precision)
    generator = None if model.generator == NO_GENERATOR else _generator(model, dtype)

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
        discriminator=_discriminator(model, classes, dtype),
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


def _discriminator(
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
    return TrainConfig(
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
