"""The images of Figure 5: heat maps of the change on the face, with outlines of the muscles' regions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.reporting import style

_LARGE, _SMALL = 2.5, 1.3  # inches of a picture's side
_GAP, _SIDE, _HEAD, _FOOT = 0.08, 1.0, 1.15, 0.75
_HEAT = ListedColormap(colormaps["inferno"](np.linspace(0.2, 1, 256)))  # without black, which is invisible on a face
_OUTLINE = "#66ccff"
_KINDS = {"synthetic": "synthetic\n$X_{syn}-X_{on}$", "real": "real\n$X_{apex}-X_{on}$"}
_FULL = 40.0  # gray levels of 255 at full color where images share a scale


class MotionMap(NamedTuple):
    """The mean face, change and region of one kind of faces.

    Attributes:
      face: float[h, w], the mean neutral face, 0 to 255.
      change: float[h, w], root of the mean squared change in gray levels.
      region: float[h, w], share of the clips whose region contains the pixel.
    """

    face: NDArray[np.float64]
    change: NDArray[np.float64]
    region: NDArray[np.float64]


def draw_classes(
    maps: Mapping[tuple[str, int], MotionMap], classes: Sequence[str], rows: Sequence[Mapping[str, object]]
) -> Figure:
    """Draw a column per class: the change of synthetic faces above that of real faces, each scaled to its peak.

    Args:
      maps: maps by kind (``synthetic``, ``real``) and label; maps may be missing.
      classes: names of the classes, in label order.
      rows: rows of the table; the shares of the first row of each class stand under the images.
    """
    line = 0.42  # inches for the words under a picture
    width = _SIDE + len(classes) * (_LARGE + _GAP) + 0.15
    height = _HEAD + len(_KINDS) * (_LARGE + line) + _FOOT
    figure = Figure(figsize=(width, height))
    _title(figure, "Where the faces of held-out people change", "outlined: the regions that the class's muscles move")
    for place, (kind, words) in enumerate(_KINDS.items()):
        top = _HEAD + place * (_LARGE + line)
        figure.text(0.1 / width, 1 - (top + _LARGE / 2) / height, words, va="center", fontsize=style.TEXT_SIZE + 1)
        for label, name in enumerate(classes):
            left = _SIDE + label * (_LARGE + _GAP)
            axes = _image_axes(figure, left, top, _LARGE)
            if place == 0:
                axes.set_title(_plain(name), fontsize=style.TITLE_SIZE, color=style.class_color(label), pad=5)
            if (kind, label) not in maps:
                axes.text(0.5, 0.5, "no such clip", ha="center", transform=axes.transAxes, fontsize=style.TEXT_SIZE)
                continue
            motion_map = maps[kind, label]
            peak = float(motion_map.change.max())
            _show(axes, motion_map.face, motion_map.change / (peak or 1.0), motion_map.region)
            row = next(row for row in rows if row["class"] == name)
            share = row[kind]
            text = f"inside {share:.2f}, even spread {row['even_spread']:.2f}\npeak {peak:.1f} gray levels"
            axes.text(0.5, -0.02, text, ha="center", va="top", transform=axes.transAxes, fontsize=style.SMALL_SIZE + 1)
    _bar(figure, ("0", "each picture's own peak"), 0.45)
    return figure


def draw_people(
    faces: SynthesizedFaces,
    chosen: Sequence[int],
    regions: Sequence[Sequence[NDArray[np.bool_]]],
    classes: Sequence[str],
) -> Figure:
    """Draw a row per selected clip: the onset, and the changes of synthetic faces and of the real apex on one scale.

    Args:
      faces: the faces of a run.
      chosen: positions of the selected clips.
      regions: bool[h, w] for each selected clip and class.
      classes: names of the classes, in label order.
    """
    columns = ["onset", *(_plain(name) for name in classes), "real apex"]
    side = 1.25
    width = side + len(columns) * (_SMALL + _GAP) + 0.15
    height = _HEAD + len(chosen) * (_SMALL + _GAP) + _FOOT
    figure = Figure(figsize=(width, height))
    _title(figure, "Change of single held-out faces", "framed: the class that the real apex shows; rows chosen by rule")
    for place, (row, masks) in enumerate(zip(chosen, regions, strict=True)):
        onset, label = faces.onset[row].astype(float), int(faces.label[row])
        shown = [(None, None), *zip(faces.synthetic[row], masks, strict=True), (faces.apex[row], masks[label])]
        for column, ((face, mask), head) in enumerate(zip(shown, columns, strict=True)):
            axes = _image_axes(figure, side + column * (_SMALL + _GAP), _HEAD + place * (_SMALL + _GAP), _SMALL)
            if face is None or mask is None:
                axes.imshow(onset, cmap="gray", vmin=0, vmax=255)
                words = f"{_plain(faces.subject[row][1])}\n{_plain(faces.clip[row])}"
                axes.text(
                    -0.06, 0.5, words, ha="right", va="center", transform=axes.transAxes, fontsize=style.SMALL_SIZE
                )
            else:
                _show(axes, onset, np.abs(face - onset) / _FULL, mask.astype(float))
            if place == 0:
                axes.set_title(head, fontsize=style.TEXT_SIZE + 1, pad=4)
            if column in (1 + label, len(columns) - 1):
                axes.spines[:].set(visible=True, color=style.class_color(label), linewidth=2.4)
    _bar(figure, ("0", f"{_FULL:.0f} gray levels of 255 and more"), 0.5)
    return figure


def _show(axes: Axes, face: NDArray[np.float64], heat: NDArray[np.float64], region: NDArray[np.float64]) -> None:
    """Draw the face in gray, the heat from 0 to 1 above the face, opaque where large, and the outline of the region."""
    heat = np.clip(heat, 0, 1)
    opaque = np.minimum(2 * heat, 1)[..., None]
    gray = np.repeat(face[..., None] / 255, 3, axis=-1) * 0.75
    axes.imshow(gray * (1 - opaque) + _HEAT(heat)[..., :3] * opaque)
    if region.max() >= 0.5 > region.min():
        axes.contour(region, levels=[0.5], colors=[_OUTLINE], linewidths=1.0)


def _title(figure: Figure, title: str, note: str) -> None:
    width, height = figure.get_size_inches()
    figure.text(0.15 / width, 1 - 0.36 / height, title, fontsize=style.TITLE_SIZE + 3, color=style.TEXT_COLOR)
    figure.text(0.15 / width, 1 - 0.6 / height, note, fontsize=style.TEXT_SIZE, color=style.MUTED_COLOR)


def _bar(figure: Figure, ends: tuple[str, str], bottom: float) -> None:
    """Draw the color bar under the images."""
    width, height = figure.get_size_inches()
    wide = 2.4
    axes = figure.add_axes(((width - wide) / 2 / width, bottom / height, wide / width, 0.12 / height))
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=_HEAT, aspect="auto")
    axes.set_yticks([])
    axes.set_xticks([0, 255], list(ends))
    axes.tick_params(labelsize=style.SMALL_SIZE, length=2)
    axes.spines[:].set_visible(False)


def _plain(name: str) -> str:
    return style.escape_mathtext(style.truncate(name, 16))


def _image_axes(figure: Figure, left: float, top: float, side: float) -> Axes:
    """Add square axes for an image, without ticks and frame; left, top and side are in inches from the top left."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, 1 - (top + side) / height, side / width, side / height))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return axes
