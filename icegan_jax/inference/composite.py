"""Composites: the change that a generator makes to a face crop, applied to the picture that the crop came from."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.landmarks import MARGIN, Box
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_crops import NeutralFace

# The change fades in over this share of the box, from the edge inwards: the margin around the landmarks.
_FEATHER = MARGIN / (1 + 2 * MARGIN)
# The standard deviation of the Gaussian blur of the motion, in pixels of the crop. Transposed convolutions leave a
# checkerboard in the motion, which is invisible at the crop's size and a zigzag along every edge of a picture ten
# times as large. The value was chosen by eye.
_MOTION_BLUR = 1.0
_BATCH = 16  # faces per step of the progress bar

Color = NDArray[np.uint8]
Floats = NDArray[np.float32]


def composite_face(picture: Color, box: Box, change: Floats, intensity: float) -> Color:
    """Change the face in a picture; no pixel outside the box changes.

    The blurred motion and the added gray levels are scaled up to the picture's pixels (cubic) and fade out towards the
    edge of the box. Motion and gray levels are applied to the picture itself, so that detail and color stay: the
    picture's pixels move (cubic interpolation), and the gray levels are added to red, green and blue alike.

    Args:
        picture: uint8[h, w, 3], RGB.
        box: the crop, in the picture's pixels.
        change: float32[n, n, 3] of the crop, see ``Ensemble.motion_field``.
        intensity: the factor of the change; 0 changes no pixel.

    Returns:
        uint8[h, w, 3].
    """
    n = len(change)
    change = np.dstack([cv2.GaussianBlur(change[..., :2], (0, 0), _MOTION_BLUR), change[..., 2]])
    top, bottom = _pixels_within(box.top, box.bottom, picture.shape[0])
    left, right = _pixels_within(box.left, box.right, picture.shape[1])
    y, x = np.arange(top, bottom, dtype=np.float32), np.arange(left, right, dtype=np.float32)
    fade = np.outer(_feather(y, box.top, box.bottom), _feather(x, box.left, box.right))
    scale = np.array((box.height / n, box.width / n, 1), np.float32) * np.float32(intensity) * fade[..., None]
    down, across, added = np.moveaxis(_scale_up(change, box, top, bottom, left, right) * scale, 2, 0)
    surroundings = box.grown(MARGIN)  # the pixels that the motion may fetch
    y0, y1 = _pixels_within(surroundings.top, surroundings.bottom, picture.shape[0])
    x0, x1 = _pixels_within(surroundings.left, surroundings.right, picture.shape[1])
    fetched = picture[y0:y1, x0:x1].astype(np.float32)
    columns, rows = x[None, :] - x0 + across, y[:, None] - y0 + down
    moved = cv2.remap(fetched, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    result = picture.copy()
    result[top:bottom, left:right] = np.clip(np.rint(moved + added[..., None]), 0, 255).astype(np.uint8)
    return result


def _pixels_within(start: float, end: float, pixels: int) -> tuple[int, int]:
    """Return the first and last (excluded) of the pixels whose centers lie in an interval."""
    return max(0, math.ceil(start)), min(pixels, math.floor(end) + 1)


def _feather(at: Floats, start: float, end: float) -> Floats:
    """Return 0 at the ends of an interval, 1 from ``_FEATHER`` of its length inwards, half a cosine in between."""
    inwards = np.minimum(at - start, end - at) / (_FEATHER * (end - start))
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(inwards, 0, 1)), np.float32)


def _scale_up(fields: Floats, box: Box, top: int, bottom: int, left: int, right: int) -> Floats:
    """Resample fields [n, n, c] of the crop at the picture's pixels: float32[bottom - top, right - left, c].

    Where the picture is coarser than the crop, several samples are averaged for each pixel.
    """
    n = len(fields)
    times = max(1, math.ceil(n / min(box.width, box.height)))
    # Sample j lies at x = left - 0.5 + (j + 0.5) / times of the picture, at (x - box.left) n / width - 0.5 of the crop.
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


@dataclass(frozen=True)
class Renderer:
    """Renders every neutral face with every expression and noise draw of a request, at any intensity.

    Attributes:
        ensemble: the generators.
        neutral_faces: the neutral faces.
        labels: the labels of the expressions.
        draws: the numbers of the noise draws.
        changes: float32[len(neutral_faces), len(labels) * len(draws), n, n, 3], see ``Ensemble.motion_field``, for
            composites; None for the generators' own faces.
    """

    ensemble: Ensemble
    neutral_faces: Sequence[NeutralFace]
    labels: Sequence[int]
    draws: Sequence[int]
    changes: NDArray[np.float32] | None

    def neutral(self) -> list[Color]:
        """Return the picture uint8[h, w, 3] of each neutral face, for display beside the rendered faces."""
        if self.changes is not None:
            return [face.picture for face in self.neutral_faces]
        return [_to_color(face.onset) for face in self.neutral_faces]

    def render(self, intensity: float) -> list[list[Color]]:
        """Return for each neutral face the pictures uint8[h, w, 3] of its expressions, the draws of each together."""
        if self.changes is not None:
            return [
                [composite_face(face.picture, face.box, change, intensity) for change in row]
                for face, row in zip(self.neutral_faces, self.changes, strict=True)
            ]
        onset, label, draw = generator_inputs(self.neutral_faces, self.labels, self.draws)
        faces = self.ensemble.synthesize(onset, label, draw, np.full(len(label), intensity, np.float32))
        count = len(self.labels) * len(self.draws)
        return [[_to_color(face) for face in faces[i : i + count]] for i in range(0, len(faces), count)]


def build_renderer(
    ensemble: Ensemble, neutral_faces: Sequence[NeutralFace], labels: Sequence[int], draws: Sequence[int], *, crop: bool
) -> Renderer:
    """Return a renderer of the generators' own faces (``crop``), or of composites, whose changes are computed here."""
    if crop:
        return Renderer(ensemble, neutral_faces, labels, draws, None)
    onset, label, draw = generator_inputs(neutral_faces, labels, draws)
    fields = [ensemble.motion_field(onset[batch], label[batch], draw[batch]) for batch in _batches(len(label))]
    n = ensemble.image_size
    changes = np.concatenate(fields).reshape(len(neutral_faces), -1, n, n, 3)
    return Renderer(ensemble, neutral_faces, labels, draws, changes)


def generator_inputs(
    neutral_faces: Sequence[NeutralFace], labels: Sequence[int], draws: Sequence[int]
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]]:
    """Return onset uint8[b, n, n], label int32[b] and draw int32[b] of every face, ordered as ``Renderer.render``."""
    count = len(labels) * len(draws)
    onset = np.repeat(np.stack([face.onset for face in neutral_faces]), count, axis=0)
    label = np.tile(np.repeat(np.array(labels, np.int32), len(draws)), len(neutral_faces))
    draw = np.tile(np.array(draws, np.int32), len(labels) * len(neutral_faces))
    return onset, label, draw


def _batches(count: int) -> Iterator[slice]:
    starts = range(0, count, _BATCH)
    bar = tqdm(starts, desc="synthesizing", unit="batch", disable=None if len(starts) > 1 else True)
    return (slice(start, start + _BATCH) for start in bar)


def _to_color(gray: NDArray[np.uint8]) -> Color:
    return np.repeat(gray[..., None], 3, axis=2)
