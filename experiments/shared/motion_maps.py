"""The pictures of Figure 5: heat maps of the change on the face, with outlines of the muscles' regions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.reporting import style
from icegan_jax.reporting.face_grid import Color, FaceGrid, cell_side

_CELL = 256  # pixels, at least
_OUTLINE = (0x66, 0xCC, 0xFF)
_KINDS = {"synthetic": "synthetic\nX_syn - X_on", "real": "real\nX_apex - X_on"}
_FULL = 40.0  # gray levels of 255 at full color where pictures share a scale


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
) -> Color:
    """Draw a column per class: the change of synthetic faces above that of real faces, each scaled to its peak.

    Args:
      maps: maps by kind (``synthetic``, ``real``) and label; maps may be missing.
      classes: names of the classes, in label order.
      rows: rows of the table; the share of the first row of each class stands under the picture.

    Returns:
      uint8[height, width, 3].
    """
    side = cell_side(next(iter(maps.values())).face.shape[0], _CELL)
    cells, names = [], []
    for kind in _KINDS:
        cells.append([np.full((side, side, 3), 255, np.uint8)] * len(classes))
        names.append(["no such clip"] * len(classes))
        for label, name in enumerate(classes):
            if (kind, label) in maps:
                face, change, region = maps[kind, label]
                peak = float(change.max())
                share = next(row for row in rows if row["class"] == name)
                cells[-1][label] = _heat_map(face, change / (peak or 1.0), region >= 0.5, side)
                names[-1][label] = f"inside {share[kind]:.2f}, even spread {share['even_spread']:.2f}, peak {peak:.0f}"
    caption = (
        "Where the faces of held-out people change. Outlined: the regions that the class's muscles move. Each picture "
        "has its own scale, from 0 to its peak in gray levels."
    )
    return FaceGrid(list(_KINDS.values()), classes, (side, side), caption, names).draw(cells)


def draw_people(
    faces: SynthesizedFaces,
    chosen: Sequence[int],
    regions: Sequence[Sequence[NDArray[np.bool_]]],
    classes: Sequence[str],
) -> Color:
    """Draw a row per selected clip: the onset, the change of the synthetic face of every class, and of the real apex.

    Args:
      faces: held-out faces of a run.
      chosen: positions of the selected clips.
      regions: bool[h, w] for each selected clip and class.
      classes: names of the classes, in label order.

    Returns:
      uint8[height, width, 3].
    """
    side = cell_side(faces.onset.shape[1], _CELL)
    cells, frames = [], {}
    for row, (clip, masks) in enumerate(zip(chosen, regions, strict=True)):
        onset, label = faces.onset[clip].astype(float), int(faces.label[clip])
        shown = [*zip(faces.synthetic[clip], masks, strict=True), (faces.apex[clip], masks[label])]
        maps = [_heat_map(onset, np.abs(face - onset) / _FULL, mask, side) for face, mask in shown]
        cells.append([faces.onset[clip], *maps])
        frames |= {(row, column): style.class_color(label) for column in (1 + label, 1 + len(classes))}
    caption = (
        "Change of single held-out faces. Framed: the class that the real apex shows; rows chosen by rule. Full color: "
        f"{_FULL:.0f} gray levels of 255 and more."
    )
    rows = [f"{faces.subject[clip][1]}\n{faces.clip[clip]}" for clip in chosen]
    return FaceGrid(rows, ["onset", *classes, "real apex"], (side, side), caption).draw(cells, frames)


def _heat_map(face: NDArray[np.float64], heat: NDArray[np.float64], region: NDArray[np.bool_], side: int) -> Color:
    """Draw the face in gray, the heat from 0 to 1 above the face, opaque where large, and the outline of the region."""
    heat = np.clip(heat, 0, 1)
    opaque = np.minimum(2 * heat, 1)[..., None]
    colors = colormaps["inferno"](0.2 + 0.8 * heat)[..., :3]  # without black, which is invisible on a face
    picture = (np.repeat(face[..., None] / 255, 3, axis=-1) * 0.75 * (1 - opaque) + colors * opaque) * 255
    picture = cv2.resize(picture.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    mask = cv2.resize(region.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    picture[(mask > 0) & (cv2.erode(mask, np.ones((3, 3), np.uint8)) == 0)] = _OUTLINE
    return np.asarray(picture, np.uint8)
