"""The training curves of folds/*/metrics.jsonl, and which quantities the report draws, in words."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from icegan_jax.errors import UserError

_COUNTERS = ("step", "epoch")  # fields of metrics.jsonl that count and are not measured

# Words for the logged names, as PREFIX_QUANTITY or PREFIX_QUANTITY_CLASS.
_PREFIXES = {
    "g_": "generator",
    "d_real_": "discriminator, real faces",
    "d_fake_": "discriminator, synthetic faces",
    "d_rest_": "discriminator, faces at rest",
    "d_": "discriminator",
}
_QUANTITIES = {
    "l1": "L1 distance to the apex",
    "perceptual": "perceptual distance",
    "adversarial": "adversarial loss",
    "margin": "margin loss",
    "reconstruction": "reconstruction error",
    "cross_entropy": "cross-entropy to no class",
    "longest": "longest capsule",
    "accuracy": "training accuracy",
    "length_": "capsule lengths",
    "predicted_": "shares of the predictions",
    "gradient_norm": "norm of the gradient",
    "parameter_norm": "norm of the parameters",
    "statistic_norm": "norm of the batch statistics",
    "steps_per_s": "updates per second",
    "waiting_share": "share of the time that waits for data",
}
_OF_CLASSES = ("length_", "predicted_")  # these quantities have a curve for each class
# The heading of a quantity; those of G and D that are not listed are losses.
_HEADINGS = {
    **dict.fromkeys(("accuracy", "longest", *_OF_CLASSES), "Accuracy, capsule lengths and predictions"),
    **dict.fromkeys(("gradient_norm", "parameter_norm", "statistic_norm"), "Norms"),
    **dict.fromkeys(("steps_per_s", "waiting_share"), "Speed"),
}
_OTHERS = "Other quantities"


@dataclass(frozen=True)
class Curve:
    """One logged quantity of one fold.

    Attributes:
      steps: int64[n], rising.
      values: float64[n].
    """

    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


def read_metrics(path: Path) -> dict[str, Curve]:
    """Read one fold's metrics.jsonl.

    A step that was logged twice, by a resumed run, keeps the later values. A null, which stands for a number that was
    not finite, is read as NaN.

    Returns:
      {name: Curve}; empty for an empty file.

    Raises:
      UserError: a line is not an object of numbers with a step; the message names the line.
    """
    logged: dict[str, dict[int, float]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: train this fold again") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            step = int(entry["step"])
            values = {name: _number(entry[name]) for name in entry if name not in _COUNTERS}
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise UserError(f'{path}:{number}: not a line like {{"step": 10, "g_l1": 0.2}}: delete the line') from error
        for name, value in values.items():
            logged.setdefault(name, {})[step] = value
    return {name: _curve(by_step) for name, by_step in logged.items()}


def mean_over_folds(curves: Sequence[Curve]) -> Curve:
    """Return the mean at every step that all folds logged.

    A step at which one fold diverged (NaN) stays NaN, so that the plot has a gap there.
    """
    common = curves[0].steps
    for curve in curves[1:]:
        common = np.intersect1d(common, curve.steps)
    rows = [curve.values[np.isin(curve.steps, common)] for curve in curves]
    with np.errstate(invalid="ignore"):  # inf - inf of diverged folds
        return Curve(common, np.mean(rows, axis=0))


class Panel(NamedTuple):
    """One plot.

    Attributes:
      heading: of the group of plots.
      title: the quantity in words.
      network: the network and its input in words; empty for quantities of the whole update.
      is_share: whether the values lie between 0 and 1.
      classes: the logged name of each curve and its class; the class is empty where a plot has one curve.
    """

    heading: str
    title: str
    network: str
    is_share: bool
    classes: dict[str, str]


def choose_panels(folds: Sequence[Mapping[str, Curve]], classes: Sequence[str]) -> tuple[list[Panel], list[str]]:
    """Choose what to draw: a plot per quantity with a curve for each class, and a text for a quantity that is constant.

    A quantity that equals another one in all folds, as those of G that D computed on the same faces, is left out.

    Args:
      folds: the curves of each fold, as ``read_metrics`` returns them; at least one.
      classes: names of the classes, in label order.

    Returns:
      The plots, by heading, and the texts, such as "learning rate: 0.001".
    """
    panels: dict[tuple[str, str], Panel] = {}
    values = {}
    for name in sorted({name for fold in folds for name in fold}):
        values[name] = np.concatenate([fold[name].values for fold in folds if name in fold])
        panel = _panel(name, classes)
        panels.setdefault((panel.title, panel.network), panel).classes[name] = panel.classes[name]
    drawn, constants, seen = [], [], set[tuple[bytes, ...]]()
    for panel in panels.values():
        names = sorted(panel.classes, key=lambda name: [*classes, ""].index(panel.classes[name]))
        content = tuple(values[name].tobytes() for name in names)
        if all(np.unique(values[name]).size < 2 for name in names):
            of_classes = ", ".join(f"{panel.classes[name]} {values[name][0]:.4g}".strip() for name in names)
            constants.append(f"{panel.title}{f' ({panel.network})' if panel.network else ''}: {of_classes}")
        elif content not in seen:
            drawn.append(panel._replace(classes={name: panel.classes[name] for name in names}))
        seen.add(content)
    headings, networks = list(dict.fromkeys(("Losses", *_HEADINGS.values(), _OTHERS))), [*_PREFIXES.values(), ""]
    drawn.sort(key=lambda panel: (headings.index(panel.heading), networks.index(panel.network)))
    return drawn, constants


def _panel(name: str, classes: Sequence[str]) -> Panel:
    """Return the plot of a logged name, with this one curve."""
    prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), "")
    quantity, of_class = name.removeprefix(prefix), ""
    for label in classes:
        if name.endswith(label) and quantity.removesuffix(label) in _OF_CLASSES:
            quantity, of_class = quantity.removesuffix(label), label
            break
    heading = _HEADINGS.get(quantity, "Losses" if prefix else _OTHERS)
    title = _QUANTITIES.get(quantity, quantity.replace("_", " "))
    is_share = quantity in ("accuracy", "longest", "waiting_share", *_OF_CLASSES)
    return Panel(heading, title, _PREFIXES.get(prefix, ""), is_share, {name: of_class})


def _number(value: Any) -> float:
    """Convert a value of a log; raise what ``float`` raises."""
    return math.nan if value is None else float(value)


def _curve(by_step: Mapping[int, float]) -> Curve:
    steps = sorted(by_step)
    return Curve(np.array(steps, np.int64), np.array([by_step[step] for step in steps]))
