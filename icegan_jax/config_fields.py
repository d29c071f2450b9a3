"""Every field of a config: its type, and what it may be."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from icegan_jax.data.folds import PROTOCOLS
from icegan_jax.models.generator import KINDS
from icegan_jax.training.layout import PARALLEL
from icegan_jax.training.plan import ON_NONFINITE

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


SWITCH = "True or False"  # the kind of a field that is one of the two
_SWITCH = Field(SWITCH)
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
    "data.mirror": _SWITCH,
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
    "model.generator": _choice(NO_GENERATOR, *KINDS),
    "model.grm": _choice("full", "compact"),
    "model.width": _FACTOR,
    "model.embedding": _SIDE,
    "model.noise": _SIDE,
    "model.class_gain": _number(_MOST_WEIGHT, zero=False),
    "model.adjacency_std": _WEIGHT,
    "model.motion": _SWITCH,
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
            (lambda v: all(is_a("a whole number", width) and width > 0 for width in v), "whole numbers above 0"),
            (
                lambda v: len(v) <= _MOST_LAYERS and max(v, default=0) <= _MOST_SIDE,
                f"up to {_MOST_LAYERS} of {_MOST_SIDE}",
            ),
        ),
    ),
    "model.reconstruction_width": _FACTOR,
    "model.reconstruction_spectral": _SWITCH,
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
    "training.parallel": _choice(*PARALLEL),
    "training.precision": _choice("float32", "bfloat16"),
    "training.folds_per_device": _whole(0, _MOST_SIDE),
    "training.steps_per_call": _SIDE,
    "training.checkpoint_every": _STEPS,
    "training.on_nonfinite": _choice(*ON_NONFINITE),
    "training.collapse_after": _STEPS_OR_NONE,
    "evaluation.selection": _choice("last", "inner"),
    "evaluation.inner_share": _share("at least 0"),
    "evaluation.every": _STEPS_OR_NONE,
    "evaluation.oracle": _SWITCH,
}
_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "a whole number": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "a number": lambda v: isinstance(v, int | float) and not isinstance(v, bool) and _fits(v),
    "text": lambda v: isinstance(v, str),
    SWITCH: lambda v: isinstance(v, bool),
    "a tuple": lambda v: isinstance(v, tuple | list),
}


def is_a(kind: str, value: object) -> bool:
    """Whether a value is of a kind."""
    return _KINDS[kind](value)


def _fits(value: float) -> bool:
    try:
        float(value)
    except OverflowError:  # a whole number of 309 digits or more
        return False
    return True
