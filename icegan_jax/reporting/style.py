"""What every figure of the report shares: colours, type sizes, resolution."""

import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from icegan_jax.io import write_bytes

DPI = 150
TITLE_SIZE = 12
TEXT_SIZE = 9
SMALL_SIZE = 8
INK = "#22262e"
FAINT = "#8a919c"
GRID = "#e4e7eb"

# One colour per class, in label order; told apart by red-green-blind readers too
# (Okabe and Ito, "Color Universal Design", 2008); without their yellow, too pale for a line on white. An eighth class
# begins anew.
CLASS_COLOURS = ("#0072b2", "#e69f00", "#cc79a7", "#009e73", "#d55e00", "#56b4e9", "#000000")


def class_colour(label: int) -> str:
    """The colour of a class."""
    return CLASS_COLOURS[label % len(CLASS_COLOURS)]


def shortened(text: str, limit: int) -> str:
    """At most so many letters of it, an ellipsis for the rest."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def plain(text: str) -> str:
    """Text that matplotlib draws as it stands: no mathematics between dollars, no controls."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown.replace("$", r"\$")


def quiet(axes: Axes) -> None:
    """Draw only the left and lower edge of a plot, thin, with a faint grid behind the lines."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL_SIZE, colors=INK, length=2.5)


def picture_axes(figure: Figure, left: float, top: float, side: float) -> Axes:
    """A square for a picture, without ticks and frame; its place and size in inches from the left and the top."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, 1 - (top + side) / height, side / width, side / height))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return axes


def png(figure: Figure) -> bytes:
    """A figure as PNG on white.

    Figures are made without pyplot: nothing keeps them open, they go when the last name does.
    """
    data = io.BytesIO()
    figure.savefig(data, dpi=DPI, facecolor="white", format="png")
    return data.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG on white, whole or not at all."""
    write_bytes(path, png(figure))
