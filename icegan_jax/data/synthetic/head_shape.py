"""The contours and the height field of the head, and its shading."""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from icegan_jax.data.synthetic.fields import Field, Grid, as_field, gaussian, spline
from icegan_jax.data.synthetic.identity import CENTER_X, EYE_Y, FRAME_HEIGHT, Identity

SIDES = (-1, 1)  # left and right of the image


def head_outline(person: Identity) -> Field:
    """Return the contour of the head, from the crown to the chin and back, float32[n, 2] in frame pixels."""
    w = person.head_half_width
    jaw = w * person.jaw_ratio
    right = [
        (0.30 * w, person.crown_y + 2.0),
        (0.64 * w, person.crown_y + 14),
        (0.94 * w, 84.0),
        (1.0 * w, EYE_Y),
        (0.97 * w, EYE_Y + 26),
        (jaw, person.mouth_y - 12),
        (0.86 * jaw, person.mouth_y + 10),
        (0.60 * jaw, person.chin_y - 13),
        (person.chin_width * jaw, person.chin_y - 3),
    ]
    left = [(-x, y) for x, y in reversed(right)]
    around = [(0.0, person.crown_y), *right, (0.0, person.chin_y), *left]
    contour = spline([left[-1], *around, around[0], right[0]])[12:-13]  # without the overlap at both ends
    return contour + np.array([CENTER_X, 0], np.float32)


def neck_outline(person: Identity) -> Field:
    """Return the contour of the neck, float32[n, 2] in frame pixels."""
    w, top, bottom = 0.66 * person.head_half_width, person.mouth_y, FRAME_HEIGHT + 10.0
    points = [
        (-w, top),
        (-w, bottom - 26),
        (-1.5 * w, bottom),
        (1.5 * w, bottom),
        (w, bottom - 26),
        (w, top),
    ]
    return as_field(np.asarray(points) + [CENTER_X, 0])


def ear_outline(person: Identity, side: int) -> Field:
    """Return the contour of one ear, float32[n, 2] in frame pixels."""
    x, y, w = CENTER_X + side * person.head_half_width, EYE_Y + 16, 8.5
    points = [
        (-4.0, -17.0),
        (3.0, -20.0),
        (w, -14.0),
        (w - 1, 0.0),
        (4.5, 11.0),
        (0.0, 17.0),
        (-5.0, 16.0),
    ]
    return spline([(x + side * dx, y + dy) for dx, dy in points])


def mouth_line(person: Identity, x: ArrayLike) -> Field:
    """Return the height of the line between the closed lips at x, both in frame pixels."""
    t = np.clip((np.asarray(x) - CENTER_X) / person.mouth_half_width, -1.2, 1.2)
    bow = 0.8 * np.exp(-((t / 0.16) ** 2)) - 0.6 * np.exp(-(((np.abs(t) - 0.38) / 0.2) ** 2))
    return as_field(person.mouth_y + person.corner_drop * t * t + bow)


def inflate(grid: Grid, mask: Field, depth: float, radius: float, smooth: float) -> Field:
    """Return the height of a rounded solid over a mask, which is ``depth`` at ``radius`` inside the mask's edge."""
    distance = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5) / grid.scale
    inside = 1 - np.clip(distance / radius, 0, 1)
    return grid.blur((depth * np.sqrt(1 - inside**2)).astype(np.float32), smooth)


def head_height(grid: Grid, person: Identity, head: Field) -> Field:
    """Return the height of the head towards the viewer, in frame pixels; ``head``: the mask of the head."""
    w = person.head_half_width
    z = inflate(grid, head, 46.0, 0.92 * w, 5.0)
    z += 6 * gaussian(grid, CENTER_X, 95, 0.6 * w, 26)  # forehead
    nose, half, tall = person.nose_y, person.nose_half_width, person.nose_height
    for step in np.linspace(0, 1, 9):  # the ridge of the nose rises towards its tip
        y = EYE_Y - 5 + step * (nose - 8 - EYE_Y + 5)
        width = person.bridge_half_width * (0.72 + 0.25 * step)
        z += (0.10 + 0.25 * step) * tall * 0.85 * gaussian(grid, CENTER_X, y, width, 5.2)
    z += 0.55 * tall * gaussian(grid, CENTER_X, nose - 8.5, 0.46 * half, 5.2)
    z += 2.0 * gaussian(grid, CENTER_X, nose + 9, 7, 6)  # the upper jaw
    z -= 0.9 * gaussian(grid, CENTER_X, nose + 9, 2.0, 5)  # philtrum
    z += 3.2 * gaussian(grid, CENTER_X, person.mouth_y - 3.6, 0.55 * person.mouth_half_width, 3.0)
    z += 4.2 * gaussian(grid, CENTER_X, person.mouth_y + 5.5, 0.5 * person.mouth_half_width, 3.2)
    z -= 2.6 * gaussian(grid, CENTER_X, person.mouth_y + 15, 15, 3.6)  # under the lower lip
    z += person.chin_height * gaussian(grid, CENTER_X, person.chin_y - 14, 14, 9)
    for side in SIDES:
        eye = CENTER_X + side * person.eye_half_distance
        z += 0.34 * tall * gaussian(grid, CENTER_X + side * 0.72 * half, nose - 5.5, 0.24 * half, 4.4)
        z -= 7.5 * gaussian(grid, CENTER_X + side * 0.62 * person.eye_half_distance, EYE_Y - 2, 7, 9)
        z -= 5.0 * gaussian(grid, eye, EYE_Y - 1, 16, 9)  # socket
        z += 4.6 * gaussian(grid, eye, EYE_Y - 0.5, 10.5, 6.5)  # eyeball under the lids
        z += 3.4 * gaussian(grid, eye - side * 2, person.brow_y + 1, 16, 5)  # brow ridge
        z += person.cheek * gaussian(grid, CENTER_X + side * 0.62 * w, EYE_Y + 31, 16, 14)
        z -= 1.3 * person.bags * gaussian(grid, eye - side * 3, EYE_Y + 14, 9, 2.6)
        fold = spline(
            [
                (CENTER_X + side * (half + 2), nose - 7),
                (CENTER_X + side * (half + 9), nose + 7),
                (CENTER_X + side * (person.mouth_half_width + 7), person.mouth_y - 3),
            ]
        )
        z -= 2.6 * person.folds * grid.blur(grid.strokes([fold], 2 * grid.scale), 2.2)
        corner = CENTER_X + side * person.mouth_half_width
        z -= 1.8 * gaussian(grid, corner + side, person.mouth_y + person.corner_drop + 1, 4, 4)
    return z


def shade_surface(grid: Grid, person: Identity, z: Field) -> Field:
    """Return the shading of the height field, about 0.2 to 1.15: diffuse light, cast shadows, occlusion and gloss."""
    azimuth, elevation = person.light_azimuth, person.light_elevation
    lx = np.sin(azimuth) * np.cos(elevation)
    ly = -np.sin(elevation)
    lz = np.cos(azimuth) * np.cos(elevation)
    dy, dx = np.gradient(z, 1 / grid.scale)
    facing = (-dx * lx - dy * ly + lz) / np.sqrt(dx**2 + dy**2 + 1)
    diffuse = np.clip((facing + 0.25) / 1.25, 0, 1)
    shadow = np.zeros_like(z)
    across = float(np.hypot(lx, ly))
    for step in range(2, 44, 3):  # frame pixels towards the light
        move = np.array(
            [[1, 0, -step * lx / across * grid.scale], [0, 1, -step * ly / across * grid.scale]],
            np.float32,
        )
        above = cv2.warpAffine(z, move, z.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        shadow = np.maximum(shadow, above - z - step * lz / across)
    shadow = grid.blur((1 - np.exp(-np.maximum(shadow, 0) / 3)).astype(np.float32), 1.6)
    hollow = np.clip(grid.blur(z, 7) - z, 0, 8) / 8
    strength = person.light_strength
    shade = (1 - strength) * (1 - 0.55 * hollow) + strength * diffuse * (1 - 0.62 * shadow)
    half_way = np.array([lx, ly, lz + 1]) / np.linalg.norm([lx, ly, lz + 1])
    glint = (-dx * half_way[0] - dy * half_way[1] + half_way[2]) / np.sqrt(dx**2 + dy**2 + 1)
    return as_field(shade + 0.11 * strength * np.clip(glint, 0, 1) ** 18 * (1 - shadow))
