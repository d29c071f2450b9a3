"""What every figure of the report shares: colours, type sizes, resolution."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from icegan_jax.io import write_bytes

if TYPE_CHECKING:  # a prediction, which uses the colors, does without matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
TITLE_SIZE = 12
TEXT_SIZE = 9
SMALL_SIZE = 8
TEXT_COLOR = "#22262e"
MUTED_COLOR = "#8a919c"
GRID_COLOR = "#e4e7eb"
DIFFERENCE_GAIN = 4  # a quarter of the grey range shows at full color

# One colour per class, in label order; told apart by red-green-blind readers too
# (Okabe and Ito, "Color Universal Design", 2008); without their yellow, too pale for a line on white. An eighth class
# begins anew.
CLASS_COLORS = ("#0072b2", "#e69f00", "#cc79a7", "#009e73", "#d55e00", "#56b4e9", "#000000")


def class_color(label: int) -> str:
    """The colour of a class."""
    return CLASS_COLORS[label % len(CLASS_COLORS)]


def truncate(text: str, limit: int) -> str:
    """At most so many letters of it, an ellipsis for the rest."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escape_mathtext(text: str) -> str:
    """Text that matplotlib draws as it stands: no mathematics between dollars, no controls."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown.replace("$", r"\$")


def style_axes(axes: "Axes") -> None:
    """Draw only the left and lower edge of a plot, thin, with a faint grid behind the lines."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED_COLOR)
    axes.grid(color=GRID_COLOR, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL_SIZE, colors=TEXT_COLOR, length=2.5)


def image_axes(figure: "Figure", left: float, top: float, side: float) -> "Axes":
    """A square for a picture, without ticks and frame; its place and size in inches from the left and the top."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, 1 - (top + side) / height, side / width, side / height))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return axes


def figure_to_png(figure: "Figure") -> bytes:
    """A figure as PNG on white.

    Figures are made without pyplot: nothing keeps them open, they go when the last name does.
    """
    data = io.BytesIO()
    figure.savefig(data, dpi=DPI, facecolor="white", format="png")
    return data.getvalue()


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG on white, whole or not at all."""
    write_bytes(path, figure_to_png(figure))
