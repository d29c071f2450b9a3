"""Drawing of one frame: the portrait, warped by action units, moved with the head, with brightness and noise."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.synthetic.action_units import UNITS, creases, displacement
from icegan_jax.data.synthetic.fields import Field, Grid, as_field, make_grid
from icegan_jax.data.synthetic.head_shape import SIDES, mouth_line
from icegan_jax.data.synthetic.identity import CENTER_X, EYE_Y, FRAME_HEIGHT, FRAME_WIDTH, Identity
from icegan_jax.data.synthetic.portrait import OVERSAMPLING, Portrait

Sides = tuple[float, float]  # coefficients of a unit left and right in the image, in pixels of the 128x128 crop

# Darkening of a crease per crop pixel of the unit: a coefficient of 3 pixels darkens by a tenth.
CREASE_PER_PIXEL = 0.035
MOUTH_GAP = 0.9  # opening between the lips / jaw drop at the lips


@dataclass(frozen=True)
class Pose:
    """The pose of the head: a rotation in degrees about the face's center, then a shift in frame pixels."""

    degrees: float = 0.0
    dx: float = 0.0
    dy: float = 0.0

    @property
    def matrix(self) -> Field:
        """The affine transformation float32[2, 3] from face coordinates to frame coordinates."""
        matrix = cv2.getRotationMatrix2D((CENTER_X, EYE_Y + 40), self.degrees, 1.0)
        matrix[:, 2] += np.array([self.dx, self.dy])
        return as_field(matrix)


@dataclass(frozen=True)
class CameraSettings:
    """A factor on the brightness, and the deviation of Gaussian noise in gray levels."""

    brightness: float = 1.0
    noise: float = 0.0


@dataclass(frozen=True)
class Motion:
    """The motion of the skin by a set of units, as fields on the frame's grid.

    ``skin`` float32[h, w, 2]: displacement of the skin, frame pixels. ``crease`` float32[h, w]:
    relative change of brightness. ``jaw``: drop of the jaw, frame pixels.
    """

    skin: Field
    crease: Field
    jaw: float

    def plus(self, other: "Motion", share: float) -> "Motion":
        """Return this motion plus ``share`` times another motion."""
        return Motion(
            self.skin + np.float32(share) * other.skin,
            self.crease + np.float32(share) * other.crease,
            self.jaw + share * other.jaw,
        )


def frame_grid() -> Grid:
    """Return the grid of one frame, with one sample per pixel."""
    return make_grid(FRAME_HEIGHT, FRAME_WIDTH, 1)


class FaceMuscles:
    """The displacements and creases of all action units of one person, each computed once."""

    def __init__(self, person: Identity) -> None:
        grid = frame_grid()
        self.scale = person.crop_scale
        self.skin = {(u, s): displacement(grid, person, u, s) for u in UNITS for s in SIDES}
        self.crease = {(u, s): creases(grid, person, u, s) for u in UNITS for s in SIDES}

    def motion(self, units: dict[str, Sides]) -> Motion:
        """Return the motion by these coefficients in crop pixels. Negative coefficients pull back without creases."""
        skin = np.zeros((FRAME_HEIGHT, FRAME_WIDTH, 2), np.float32)
        crease = np.zeros((FRAME_HEIGHT, FRAME_WIDTH), np.float32)
        for unit, sides in units.items():
            for side, amount in zip(SIDES, sides, strict=True):
                skin += np.float32(amount * self.scale) * self.skin[unit, side]
                crease += np.float32(CREASE_PER_PIXEL * max(amount, 0.0)) * self.crease[unit, side]
        return Motion(skin, crease, self.scale * float(np.mean(units.get("AU26", (0.0, 0.0)))))


def invert_displacement(skin: Field) -> Field:
    """Return the backward displacement e, for which q - e(q) is the source of point q, by fixed-point iteration."""
    grid = frame_grid()
    e: Field = skin
    for _ in range(3):
        e = as_field(
            cv2.remap(
                skin,
                grid.x - e[..., 0],
                grid.y - e[..., 1],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )
    return e


def draw_open_mouth(frame: Field, person: Identity, motion: Motion, pose: Pose) -> Field:
    """Darken the gap between the lips of a dropped jaw."""
    gap = MOUTH_GAP * motion.jaw
    if gap <= 0.05:
        return frame
    t = np.linspace(-0.92, 0.92, 33, dtype=np.float32)
    x = CENTER_X + person.mouth_half_width * t
    y = mouth_line(person, x)
    moved = cv2.remap(motion.skin, x[None].astype(np.float32), y[None] - 1, cv2.INTER_LINEAR)[0]
    upper = np.stack([x, y], 1) + moved
    lower = upper + np.stack([np.zeros_like(t), gap * (1 - (t / 0.92) ** 2)], 1)
    ring = np.concatenate([upper, lower[::-1]]).astype(np.float32)
    ring = ring @ pose.matrix[:, :2].T + pose.matrix[:, 2]
    hole = cv2.GaussianBlur(frame_grid().polygon(ring), (0, 0), 0.6)
    return as_field(frame * (1 - 0.85 * hole))


def draw_frame(
    portrait: Portrait, motion: Motion, pose: Pose, camera: CameraSettings, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw one frame, uint8[FRAME_HEIGHT, FRAME_WIDTH] gray."""
    grid = frame_grid()
    back = cv2.invertAffineTransform(pose.matrix).astype(np.float32)
    qx = back[0, 0] * grid.x + back[0, 1] * grid.y + back[0, 2]
    qy = back[1, 0] * grid.x + back[1, 1] * grid.y + back[1, 2]
    linear, edge = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    e = cv2.remap(invert_displacement(motion.skin), qx, qy, linear, borderMode=edge)
    sx, sy = qx - e[..., 0], qy - e[..., 1]

    def texture(v: Field) -> Field:
        return as_field(OVERSAMPLING * (v + 0.5) - 0.5)

    moving = cv2.remap(portrait.moving, texture(sx), texture(sy), linear, borderMode=edge)
    ball = cv2.remap(portrait.ball, texture(qx), texture(qy), linear, borderMode=edge)
    crease = cv2.remap(motion.crease, sx, sy, linear, borderMode=edge)
    skin, opening, cover = moving[..., 0], moving[..., 1], moving[..., 2]
    face = draw_open_mouth(skin * (1 + crease) * (1 - opening) + ball * opening, portrait.person, motion, pose)
    image = portrait.background * (1 - cover) + face * cover
    gray = 255 * camera.brightness * cv2.GaussianBlur(image, (0, 0), 0.5)
    if camera.noise:
        gray = gray + camera.noise * rng.standard_normal(gray.shape, dtype=np.float32)
    return np.asarray(np.clip(np.rint(gray), 0, 255), np.uint8)


def moved_region(motion: Motion, rest: Motion, pose: Pose, threshold: float) -> NDArray[np.bool_]:
    """Return where a motion moves the skin by more than ``threshold`` times its largest displacement.

    Returns:
        bool[FRAME_HEIGHT, FRAME_WIDTH], in pixels of a frame that shows the resting face ``rest`` at ``pose``.
    """
    size = np.sqrt((motion.skin**2).sum(-1))
    grid, e = frame_grid(), invert_displacement(rest.skin)
    shown = cv2.remap(size, grid.x - e[..., 0], grid.y - e[..., 1], cv2.INTER_LINEAR)
    shown = cv2.warpAffine(shown, pose.matrix, shown.shape[::-1])
    return shown > threshold * float(size.max())
