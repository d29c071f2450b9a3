"""Facial action units (FACS): displacement of the skin and creases of each unit.

An action unit is a small number of Gaussian pulls per side of the face. Coefficients are pixels of the 128x128 face
crop at the point of the unit's largest displacement. The resting face of a person uses the same units, with either
sign, so that a single image does not distinguish an expression from a resting face.
"""

from dataclasses import dataclass

import numpy as np

from icegan_jax.data.synthetic.fields import Field, Grid, as_field, gaussian, smoothstep, spline
from icegan_jax.data.synthetic.head_shape import mouth_line
from icegan_jax.data.synthetic.identity import CENTER_X, EYE_Y, Identity

UNITS = ("AU1", "AU2", "AU4", "AU5", "AU6", "AU9", "AU12", "AU15", "AU26")


@dataclass(frozen=True)
class SkinPull:
    """A Gaussian displacement: center and widths in frame pixels, and direction (dx, dy), with dy downwards."""

    x: float
    y: float
    width: float
    height: float
    dx: float
    dy: float


def skin_pulls(person: Identity, unit: str, side: int) -> tuple[SkinPull, ...]:
    """Return the pulls of one action unit on one side of the face; AU26 has none.

    Directions follow the description of each unit in the Facial Action Coding System (Ekman and Friesen 1978); widths
    and shares are ours.

    Args:
        person: the geometry of the face.
        unit: one of ``UNITS``.
        side: -1 for the left side of the image, 1 for the right side.

    Raises:
        ValueError: the unit is unknown.
    """
    eye, brow = person.eye_half_distance, person.brow_y
    mouth, nose, corner = (
        person.mouth_half_width,
        person.nose_y,
        person.mouth_y + person.corner_drop,
    )

    def at(out: float, y: float, width: float, height: float, dx: float, dy: float) -> SkinPull:
        return SkinPull(CENTER_X + side * out, y, width, height, side * dx, dy)

    match unit:
        case "AU1":  # inner brow up
            return (at(0.50 * eye, brow - 2, 11, 10, 0.0, -1.0),)
        case "AU2":  # outer brow up
            return (at(1.25 * eye, brow - 3, 12, 10, 0.05, -1.0),)
        case "AU4":  # brows down and together
            return (
                at(0.45 * eye, brow, 10, 9, -0.62, 0.78),
                at(1.00 * eye, brow, 10, 8, -0.22, 0.45),
            )
        case "AU5":  # upper lid up
            return (at(eye, EYE_Y - person.lid_up + 0.5, 9, 4.2, 0.0, -1.0),)
        case "AU6":  # cheek up, lower lid up, outer eye corner in
            return (
                at(1.05 * eye, EYE_Y + 25, 15, 12, 0.08, -1.0),
                at(eye, EYE_Y + person.lid_low + 1, 10, 4.5, 0.0, -0.55),
                at(eye + 18, EYE_Y + 3, 8, 8, -0.3, -0.1),
            )
        case "AU9":  # nose wrinkled: wings and upper lip up, inner brow down
            return (
                at(0.95 * person.nose_half_width, nose - 8, 8, 9, 0.12, -1.0),
                at(0.45 * mouth, person.mouth_y - person.upper_lip, 9, 4.5, 0.0, -0.55),
                at(0.35 * eye, brow + 4, 9, 8, -0.25, 0.65),
            )
        case "AU12":  # lip corners up and out
            return (
                at(mouth - 1, corner - 1, 12.5, 9, 0.62, -0.82),
                at(mouth + 10, corner - 16, 12, 10, 0.12, -0.35),
            )
        case "AU15":  # lip corners down
            return (
                at(mouth - 1, corner + 1, 12, 8.5, 0.18, 1.0),
                at(0.35 * mouth, person.mouth_y + 16, 10, 6, 0.0, -0.2),
            )
        case "AU26":
            return ()
    raise ValueError(f"no action unit {unit!r}; known: {', '.join(UNITS)}")


def displacement(grid: Grid, person: Identity, unit: str, side: int) -> Field:
    """Return the displacement (x, y) of one side of a unit, float32[h, w, 2], whose longest vector is 1."""
    field = np.zeros((*grid.shape, 2), np.float32)
    if unit == "AU26":  # everything below the closed lips moves down with the jaw
        below = smoothstep(grid.y - mouth_line(person, grid.x), -1.0, 8.0)
        half = smoothstep(side * (grid.x - CENTER_X) + 0 * grid.y, -6, 6)
        beyond = 1 - smoothstep(grid.y, person.chin_y + 1, person.chin_y + 22)
        across = np.exp(-0.5 * ((grid.x - CENTER_X) / (0.52 * person.head_half_width)) ** 2)
        field[..., 1] = below * beyond * across * half
    else:
        for pull in skin_pulls(person, unit, side):
            shape = gaussian(grid, pull.x, pull.y, pull.width, pull.height)
            field[..., 0] += pull.dx * shape
            field[..., 1] += pull.dy * shape
    longest = float(np.sqrt((field**2).sum(-1)).max())
    return field / longest


def creases(grid: Grid, person: Identity, unit: str, side: int) -> Field:
    """Return the relative change of brightness by a unit's creases, float32[h, w], about -1 to 0.5."""
    eye, brow, nose = person.eye_half_distance, person.brow_y, person.nose_y
    mouth, corner = person.mouth_half_width, person.mouth_y + person.corner_drop
    lines: list[list[tuple[float, float]]] = []
    match unit:
        case "AU1":
            lines = [[(2, brow - y), (14, brow - y - 2), (28, brow - y + 1)] for y in (15, 23)]
        case "AU2":
            lines = [[(18, brow - y), (32, brow - y - 1), (44, brow - y + 4)] for y in (16, 24)]
        case "AU4":
            lines = [[(4.5, brow - 7), (5.0, brow + 1), (4.0, brow + 8)]]
        case "AU6":
            tail = eye + person.eye_half_width + 2
            lines = [[(tail, EYE_Y + y), (tail + 5, EYE_Y + 1.6 * y + 1)] for y in (-3.0, 1.0, 5.0)]
            lines.append([(eye - 11, EYE_Y + 10), (eye, EYE_Y + 13), (eye + 13, EYE_Y + 10)])
        case "AU9":
            lines = [[(1, EYE_Y + y), (6, EYE_Y + y + 1), (9, EYE_Y + y + 5)] for y in (0.0, 7.0, 14.0)]
        case "AU12":
            half = person.nose_half_width
            lines = [[(half + 3, nose - 6), (half + 10, nose + 6), (mouth + 8, corner - 3)]]
        case "AU15":
            lines = [[(mouth + 3, corner + 2), (mouth + 5, corner + 8), (mouth + 4, corner + 14)]]
    if not lines:
        return np.zeros(grid.shape, np.float32)
    drawn = grid.strokes([spline([(CENTER_X + side * x, y) for x, y in line]) for line in lines])
    wide = 2.0 if unit == "AU12" else 1.1
    dark = grid.blur(drawn, wide)
    bright = np.roll(dark, round(-1.8 * wide), axis=0)  # the skin bulges above its crease
    return as_field(-(dark - 0.5 * bright) / max(float(dark.max()), 1e-6))


def expression_units(label: str, rng: np.random.Generator) -> dict[str, float]:
    """Draw the relative strengths of a class's units; negative has AU4 with AU15 or AU4 with AU9."""
    match label:
        case "positive":
            return {"AU6": float(rng.uniform(0.4, 0.8)), "AU12": 1.0}
        case "negative":
            if rng.random() < 0.5:
                return {"AU4": float(rng.uniform(0.7, 1.0)), "AU15": float(rng.uniform(0.7, 1.0))}
            return {"AU4": float(rng.uniform(0.7, 1.0)), "AU9": float(rng.uniform(0.6, 0.9))}
        case "surprise":
            return {
                "AU1": float(rng.uniform(0.75, 1.0)),
                "AU2": float(rng.uniform(0.7, 1.0)),
                "AU5": float(rng.uniform(0.35, 0.6)),
                "AU26": float(rng.uniform(0.5, 1.0)),
            }
    raise ValueError(f"no expression {label!r}; known: negative, positive, surprise")
