"""Antialiased and smooth shapes on a pixel grid, from which the faces are drawn."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Field = NDArray[np.float32]


def as_field(values: ArrayLike) -> Field:
    """Return the values as float32."""
    return np.asarray(values, np.float32)


@dataclass(frozen=True)
class Grid:
    """A canvas of ``scale`` samples per pixel: x float32[1, w] and y float32[h, 1] in frame pixels."""

    scale: int
    x: Field
    y: Field

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns of the canvas."""
        return self.y.shape[0], self.x.shape[1]

    def blur(self, field: Field, sigma: float) -> Field:
        """Blur a field by a Gaussian with ``sigma`` in frame pixels."""
        return as_field(cv2.GaussianBlur(field, (0, 0), sigma * self.scale))

    def canvas(self, points: Field) -> NDArray[np.int32]:
        """Convert frame coordinates [n, 2] to OpenCV's fixed-point coordinates (4 fractional bits)."""
        return np.round(((points + 0.5) * self.scale - 0.5) * 16).astype(np.int32)

    def polygon(self, points: Field) -> Field:
        """Return an antialiased filled polygon, 1 inside, of points [n, 2] in frame pixels."""
        out = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(out, [self.canvas(points)], (255,), cv2.LINE_AA, 4)
        return as_field(out / np.float32(255))

    def strokes(self, lines: list[Field], thickness: int = 1) -> Field:
        """Return antialiased open polylines, 1 on the line, with ``thickness`` in canvas samples."""
        out = np.zeros(self.shape, np.uint8)
        cv2.polylines(out, [self.canvas(line) for line in lines], False, (255,), thickness, cv2.LINE_AA, 4)
        return as_field(out / np.float32(255))


def make_grid(height: int, width: int, scale: int) -> Grid:
    """Return the canvas of a height x width frame, whose pixels have their centers at integers."""
    x = (np.arange(width * scale, dtype=np.float32) + 0.5) / scale - 0.5
    y = (np.arange(height * scale, dtype=np.float32) + 0.5) / scale - 0.5
    return Grid(scale, x[None, :].astype(np.float32), y[:, None].astype(np.float32))


def gaussian(grid: Grid, x: float, y: float, sx: float, sy: float) -> Field:
    """Return an axis-aligned Gaussian float32[h, w] of height 1 at (x, y), with deviations ``sx`` and ``sy``."""
    down, across = (grid.y - y) / sy, (grid.x - x) / sx
    return as_field(np.exp(-0.5 * down**2) * np.exp(-0.5 * across**2))


def smoothstep(value: ArrayLike, low: float, high: float) -> Field:
    """Return a smooth step from 0 at ``low`` to 1 at ``high``, without slope at both ends."""
    t = np.clip((np.asarray(value) - low) / (high - low), 0, 1)
    return as_field(t * t * (3 - 2 * t))


def spline(points: list[tuple[float, float]], samples: int = 12) -> Field:
    """Return the open Catmull-Rom curve float32[n, 2] through the points."""
    p = np.asarray(points, np.float32)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, samples, endpoint=False, dtype=np.float32)[:, None]
    pieces = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return as_field(np.concatenate([*pieces, p[-2:-1]]))


def noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> Field:
    """Draw smooth noise of unit deviation whose features are ``cell`` samples wide."""
    rows, columns = (int(np.ceil(n / cell)) + 3 for n in shape)
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    fine = cv2.resize(coarse, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
    out = fine[: shape[0], : shape[1]]
    return as_field(out / max(float(out.std()), 1e-6))
