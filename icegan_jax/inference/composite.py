"""Placing what changes in a face back into the picture that the face was cropped from.

The faces of one order: every portrait with every expression and noise draw, at any intensity.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.landmarks import MARGIN, Box
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.neutral_faces import NeutralFace

Colour = NDArray[np.uint8]

Floats = NDArray[np.float32]

# Over this share of the box, from its edge inwards, the change sets in: the margin around the landmarks.
_FEATHER = MARGIN / (1 + 2 * MARGIN)

# Gaussian blur of the motion, in pixels of the crop: transposed convolutions leave a wobble from pixel to pixel, which
# is nothing at the crop's size and a zigzag along every edge of a picture ten times as large. Chosen by eye.
_SMOOTH = 1.0


def composite_face(picture: Colour, box: Box, change: Floats, intensity: float) -> Colour:
    """Changes the face in a picture; outside the box no pixel is another.

    Smoothed motion and grey levels are enlarged to the picture's pixels (cubic), fade towards the edge of the box, and
    are applied to the picture itself: its pixels move, cubically interpolated, so that its detail and colour stay; the
    grey levels are added to red, green and blue alike.

    Args:
        picture: uint8[h, w, 3], RGB.
        box: the crop, in the picture's pixels.
        change: float32[n, n, 3] of the crop, see ``use.model.Ensemble.motion_field``.
        intensity: how much of it; 0 leaves every pixel as it is.

    Returns:
        uint8[h, w, 3].
    """
    n = len(change)
    change = np.dstack([cv2.GaussianBlur(change[..., :2], (0, 0), _SMOOTH), change[..., 2]])
    top, bottom = _within(box.top, box.bottom, picture.shape[0])
    left, right = _within(box.left, box.right, picture.shape[1])
    y, x = np.arange(top, bottom, dtype=np.float32), np.arange(left, right, dtype=np.float32)
    fade = np.outer(_feather(y, box.top, box.bottom), _feather(x, box.left, box.right))
    scaled = np.array((box.height / n, box.width / n, 1), np.float32) * np.float32(intensity) * fade[..., None]
    down, across, added = np.moveaxis(_enlarged(change, box, top, bottom, left, right) * scaled, 2, 0)
    part = box.grown(MARGIN)  # whence pixels may come
    y0, y1 = _within(part.top, part.bottom, picture.shape[0])
    x0, x1 = _within(part.left, part.right, picture.shape[1])
    source = picture[y0:y1, x0:x1].astype(np.float32)
    columns, rows = x[None, :] - x0 + across, y[:, None] - y0 + down
    moved = cv2.remap(source, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    placed = picture.copy()
    placed[top:bottom, left:right] = np.clip(np.rint(moved + added[..., None]), 0, 255).astype(np.uint8)
    return placed


def _within(start: float, end: float, pixels: int) -> tuple[int, int]:
    """First and last (excluded) of the pixels whose centres lie in an interval."""
    return max(0, math.ceil(start)), min(pixels, math.floor(end) + 1)


def _feather(at: Floats, start: float, end: float) -> Floats:
    """0 at the ends of an interval, 1 from ``_FEATHER`` of its length inwards, half a cosine in between."""
    inwards = np.minimum(at - start, end - at) / (_FEATHER * (end - start))
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(inwards, 0, 1)), np.float32)


def _enlarged(fields: Floats, box: Box, top: int, bottom: int, left: int, right: int) -> Floats:
    """Fields [n, n, c] of the crop at the picture's pixels, float32[bottom - top, right - left, c].

    Where the picture is coarser than the crop, several samples a pixel are averaged.
    """
    n = len(fields)
    times = max(1, math.ceil(n / min(box.width, box.height)))
    # From sample j to picture x = left - 0.5 + (j + 0.5) / times, and on to the crop, (x - box.left) n / width - 0.5.
    sx, sy = n / box.width, n / box.height
    x0 = (left - 0.5 + 0.5 / times - box.left) * sx - 0.5
    y0 = (top - 0.5 + 0.5 / times - box.top) * sy - 0.5
    sampled = cv2.warpAffine(
        fields,
        np.array([[sx / times, 0, x0], [0, sy / times, y0]]),
        ((right - left) * times, (bottom - top) * times),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if times > 1:
        sampled = cv2.resize(sampled, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return np.asarray(sampled, np.float32)


_AT_ONCE = 16  # faces that the networks are asked for between two moves of the progress bar


@dataclass(frozen=True)
class Renderer:
    """Makes the faces.

    Attributes:
        model: the networks.
        portraits: the neutral faces.
        labels: of the expressions asked for.
        draws: numbers of the noise draws.
        changes: float32[len(portraits), len(labels) * len(draws), n, n, 3] for changed pictures, see
            ``Ensemble.motion_field``; None for the networks' own faces.
    """

    model: Ensemble
    portraits: Sequence[NeutralFace]
    labels: Sequence[int]
    draws: Sequence[int]
    changes: NDArray[np.float32] | None

    def onsets(self) -> list[Colour]:
        """The neutral face of each portrait, uint8[h, w, 3], as it is shown beside the others."""
        if self.changes is not None:
            return [portrait.picture for portrait in self.portraits]
        return [_colour(portrait.onset) for portrait in self.portraits]

    def faces(self, intensity: float) -> list[list[Colour]]:
        """For each portrait its faces uint8[h, w, 3]: of each expression the draws, one after another."""
        if self.changes is not None:
            return [
                [composite_face(portrait.picture, portrait.box, change, intensity) for change in row]
                for portrait, row in zip(self.portraits, self.changes, strict=True)
            ]
        onset, label, draw = requested_faces(self.portraits, self.labels, self.draws)
        drawn = self.model.synthesize(onset, label, draw, np.full(len(label), intensity, np.float32))
        count = len(self.labels) * len(self.draws)
        return [[_colour(face) for face in drawn[i : i + count]] for i in range(0, len(drawn), count)]


def build_renderer(
    model: Ensemble, portraits: Sequence[NeutralFace], labels: Sequence[int], draws: Sequence[int], *, crop: bool
) -> Renderer:
    """Asks the networks for the changes, unless it is their own faces (``crop``) that are wanted."""
    if crop:
        return Renderer(model, portraits, labels, draws, None)
    onset, label, draw = requested_faces(portraits, labels, draws)
    found = [model.motion_field(onset[at], label[at], draw[at]) for at in _batches(len(label))]
    n = model.size
    changes = np.concatenate(found).reshape(len(portraits), -1, n, n, 3)
    return Renderer(model, portraits, labels, draws, changes)


def requested_faces(
    portraits: Sequence[NeutralFace], labels: Sequence[int], draws: Sequence[int]
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]]:
    """Onset uint8[b, n, n], label and draw int32[b] of every face, portrait by portrait."""
    count = len(labels) * len(draws)
    onset = np.repeat(np.stack([portrait.onset for portrait in portraits]), count, axis=0)
    label = np.tile(np.repeat(np.array(labels, np.int32), len(draws)), len(portraits))
    draw = np.tile(np.array(draws, np.int32), len(labels) * len(portraits))
    return onset, label, draw


def _batches(count: int) -> Iterator[slice]:
    starts = range(0, count, _AT_ONCE)
    bar = tqdm(starts, desc="synthesizing", unit="batch", disable=None if len(starts) > 1 else True)
    return (slice(start, start + _AT_ONCE) for start in bar)


def _colour(grey: NDArray[np.uint8]) -> Colour:
    return np.repeat(grey[..., None], 3, axis=2)
