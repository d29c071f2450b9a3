"""Colors, font sizes and resolution that the figures share, and helpers to draw and save them."""

import io
from typing import TYPE_CHECKING

from PIL import Image

from icegan_jax.reporting import fonts

if TYPE_CHECKING:  # a prediction uses the colors and must not import Matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
TITLE_SIZE = 12
TEXT_SIZE = 9
SMALL_SIZE = 8
TEXT_COLOR = "#22262e"
MUTED_COLOR = "#8a919c"
GRID_COLOR = "#e4e7eb"
DIFFERENCE_GAIN = 4  # a quarter of the gray range has full color

# One color per class, in label order, distinguishable with red-green color blindness (Okabe and Ito, "Color Universal
# Design", 2008), without their yellow, which is too pale for a line on white. The eighth class repeats the first color.
CLASS_COLORS = ("#0072b2", "#e69f00", "#cc79a7", "#009e73", "#d55e00", "#56b4e9", "#000000")


def class_color(label: int) -> str:
    """Return the color of a class, as "#rrggbb"."""
    return CLASS_COLORS[label % len(CLASS_COLORS)]


def truncate(text: str, limit: int) -> str:
    """Shorten a text to at most `limit` letters, with an ellipsis for the rest."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def replace_unprintable(text: str) -> str:
    """Return a text with question marks for line breaks and control characters."""
    return "".join(c if c.isprintable() else "?" for c in text)


def legible(text: str) -> str:
    """Return a text that pictures can show: without control characters and letters that no font has."""
    return fonts.legible(replace_unprintable(text))


def escape_mathtext(text: str) -> str:
    """Return a legible text whose dollar signs, between which matplotlib would typeset mathematics, are escaped."""
    return legible(text).replace("$", r"\$")


def style_axes(axes: "Axes") -> None:
    """Draw only the left and lower edge of a plot, with a light grid behind the lines."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED_COLOR)
    axes.grid(color=GRID_COLOR, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL_SIZE, colors=TEXT_COLOR, length=2.5)


def figure_to_picture(figure: "Figure") -> Image.Image:
    """Draw a figure on a transparent ground, in RGBA, so that a page can show the figure on a dark ground, too.

    Figures are created without pyplot, which would keep every figure in memory.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if not text.get_text().isascii():
            text.set_fontfamily(["DejaVu Sans", fonts.family(fonts.font_file(text.get_text()))])
    data = io.BytesIO()
    figure.savefig(data, dpi=DPI, transparent=True, format="png")
    return Image.open(data)


def on_white(picture: Image.Image) -> Image.Image:
    """Return a transparent picture on white, in RGB."""
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")
