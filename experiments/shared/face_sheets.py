"""The images of Figure 4: synthetic faces of several models beside real faces."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from icegan_jax.evaluation.synthesis.faces import GrayImages, SynthesizedFaces
from icegan_jax.reporting import style

_CELL = 1.0  # inches: 128 pixels are 150 at 150 dpi
_GAP, _GROUP = 0.05, 0.16  # between faces, and between the models' groups
_SIDE, _HEAD, _FOOT = 1.1, 1.45, 0.2
_NAME = 14  # letters that fit beside or over a face


class Extreme(NamedTuple):
    """A synthetic face of the class of the real apex.

    Attributes:
      ssim: SSIM to the real apex.
      of_onset: SSIM of the onset to the real apex, which a copy of the onset would have.
      name: dataset, subject and clip.
      seed: seed of the run.
      label: the class.
      onset: uint8[h, w], the neutral face.
      synthetic: uint8[h, w].
      apex: uint8[h, w], the real expression.
    """

    ssim: float
    of_onset: float
    name: str
    seed: int
    label: int
    onset: GrayImages
    synthetic: GrayImages
    apex: GrayImages


def draw_models(faces: Mapping[str, SynthesizedFaces], chosen: Sequence[int], classes: Sequence[str]) -> Figure:
    """Draw a row per selected clip: the onset, the synthetic face of every class by each model, and the real apex.

    Args:
      faces: faces by name of the model, of runs that held out the same clips.
      chosen: positions of the selected clips.
      classes: names of the classes, in label order.
    """
    groups = [["onset"], *[list(classes)] * len(faces), ["real apex"]]
    lefts = _lefts([len(group) for group in groups])
    width = lefts[-1][-1] + _CELL + 0.2
    height = _HEAD + len(chosen) * (_CELL + _GAP) + _FOOT
    figure = Figure(figsize=(width, height))
    note = "framed: the class that the real apex shows; rows selected by a rule, not by appearance"
    _title(figure, "Figure 4: synthetic apexes of held-out people, and the real ones", note)
    for place, name in enumerate(faces, start=1):
        start, end = lefts[place][0], lefts[place][-1] + _CELL
        x, y = (start + end) / 2 / width, 1 - 1.1 / height
        figure.text(
            x, y, style.escape_mathtext(name), ha="center", fontsize=style.TEXT_SIZE + 2, color=style.TEXT_COLOR
        )
        line = 1 - 1.17 / height
        figure.add_artist(Line2D([start / width, end / width], [line, line], color=style.MUTED_COLOR, linewidth=0.8))
    some = next(iter(faces.values()))
    for number, row in enumerate(chosen):
        label = int(some.label[row])
        shown = [[some.onset[row]], *[list(run.synthetic[row]) for run in faces.values()], [some.apex[row]]]
        for place, (group, heads) in enumerate(zip(shown, groups, strict=True)):
            for column, (face, head) in enumerate(zip(group, heads, strict=True)):
                axes = _face(figure, lefts[place][column], _HEAD + number * (_CELL + _GAP), face)
                if number == 0:
                    axes.set_title(_plain(head), fontsize=style.TEXT_SIZE, color=style.TEXT_COLOR, pad=4)
                if (0 < place < len(shown) - 1 and column == label) or place == len(shown) - 1:
                    axes.spines[:].set(visible=True, color=style.class_color(label), linewidth=2.4)
                if place == len(shown) - 1:
                    _badge(axes, _plain(classes[label]), label)
                if place == 0:
                    _beside(axes, f"{_plain(some.subject[row][1])}\n{_plain(some.clip[row])}")
    return figure


def draw_extremes(extremes: Mapping[str, Sequence[Extreme]], classes: Sequence[str]) -> Figure:
    """Draw a row per model: the best and the worst faces, each as onset, synthetic face and real apex, with the SSIM.

    Args:
      extremes: faces by name of the model, best first.
      classes: names of the classes, in label order.
    """
    heads = ("onset", "synthetic", "real")
    most = max(len(entries) for entries in extremes.values())
    lefts = _lefts([len(heads)] * most)
    words, head = 0.42, 1.15  # inches under each row and over the first
    width = lefts[-1][-1] + _CELL + 0.2
    height = head + len(extremes) * (_CELL + words) + 0.1
    figure = Figure(figsize=(width, height))
    note = "by SSIM to the real apex, the class of the real apex asked: the best on the left, the worst on the right"
    _title(figure, "The best and the worst synthetic faces of each model, held-out people", note)
    for number, (name, entries) in enumerate(extremes.items()):
        for place, entry in enumerate(entries):
            top = head + number * (_CELL + words)
            cells = [
                _face(figure, left, top, face)
                for left, face in zip(lefts[place], (entry.onset, entry.synthetic, entry.apex), strict=True)
            ]
            if number == 0:
                for axes, text in zip(cells, heads, strict=True):
                    axes.set_title(text, fontsize=style.TEXT_SIZE, color=style.TEXT_COLOR, pad=4)
            if place == 0:
                _beside(cells[0], style.escape_mathtext(name), style.TITLE_SIZE)
            cells[1].spines[:].set(visible=True, color=style.class_color(entry.label), linewidth=2.4)
            _badge(cells[1], _plain(classes[entry.label]), entry.label)
            likeness = f"SSIM {entry.ssim:.3f}, of the onset {entry.of_onset:.3f}"
            text = f"{style.escape_mathtext(style.truncate(entry.name, 40))}, seed {entry.seed}\n{likeness}"
            cells[1].text(
                0.5, -0.05, text, ha="center", va="top", transform=cells[1].transAxes, fontsize=style.SMALL_SIZE
            )
    return figure


def _lefts(sizes: Sequence[int]) -> list[list[float]]:
    """Return the left edges of the faces of each group, in inches."""
    lefts, at = [], _SIDE
    for size in sizes:
        lefts.append([at + column * (_CELL + _GAP) for column in range(size)])
        at += size * (_CELL + _GAP) + _GROUP
    return lefts


def _face(figure: Figure, left: float, top: float, face: GrayImages) -> Axes:
    axes = style.image_axes(figure, left, top, _CELL)
    axes.imshow(face, cmap="gray", vmin=0, vmax=255)
    return axes


def _badge(axes: Axes, text: str, label: int) -> None:
    box = {"facecolor": style.class_color(label), "edgecolor": "none", "pad": 1.6}
    axes.text(0.04, 0.04, text, transform=axes.transAxes, fontsize=style.SMALL_SIZE, color="white", bbox=box)


def _beside(axes: Axes, text: str, size: int = style.SMALL_SIZE) -> None:
    axes.text(
        -0.07, 0.5, text, transform=axes.transAxes, ha="right", va="center", fontsize=size, color=style.TEXT_COLOR
    )


def _title(figure: Figure, title: str, note: str) -> None:
    width, height = figure.get_size_inches()
    figure.text(0.15 / width, 1 - 0.38 / height, title, fontsize=style.TITLE_SIZE + 4, color=style.TEXT_COLOR)
    figure.text(0.15 / width, 1 - 0.64 / height, note, fontsize=style.TEXT_SIZE, color=style.MUTED_COLOR)


def _plain(name: str) -> str:
    return style.escape_mathtext(style.truncate(name, _NAME))
