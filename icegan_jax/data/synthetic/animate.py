"""Animation of one clip: the resting face, the expression from onset to offset, and the drift of head and light."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.synthetic.action_units import UNITS, expression_units
from icegan_jax.data.synthetic.fields import Field, as_field
from icegan_jax.data.synthetic.portrait import Portrait
from icegan_jax.data.synthetic.render import CameraSettings, FaceMuscles, Pose, Sides, draw_frame, moved_region

# All lengths are in pixels of the 128x128 face crop.
MAX_MOTION = (1.2, 2.8)  # range of the skin's largest motion at the apex: a micro-expression moves one to three pixels
MAX_DRIFT = (0.2, 0.7)  # range of the head's largest shift within a clip
MAX_ROTATION = 0.35  # degrees, of the head within a clip
BRIGHTNESS_DRIFT = 0.012
SENSOR_NOISE = (0.8, 1.8)  # gray levels
ASYMMETRY = 0.15
# Deviations of the coefficients of the resting face between people, and between clips of one person.
REST_BETWEEN_PEOPLE = {
    "AU1": 1.8, "AU2": 1.8, "AU4": 1.8, "AU5": 0.7, "AU6": 1.4, "AU9": 1.3, "AU12": 2.0,
    "AU15": 1.4, "AU26": 0.7,
}  # fmt: skip
REST_BETWEEN_CLIPS = 1.0  # as a share of REST_BETWEEN_PEOPLE
NEIGHBORS = 2  # frames on both sides of the apex (docs/design.md, "Crop and registration")
MIN_FRAMES = 2 * NEIGHBORS + 2
RESTING_FRAMES = 3  # frames before the onset
BLINK = 4.5  # largest motion of the upper lid in a blink
REGION_THRESHOLD = 0.25  # of a unit's largest displacement


@dataclass(frozen=True)
class MotionRanges:
    """The ranges from which the motion of a clip is drawn; lengths in pixels of the 128x128 face crop.

    Attributes:
        expression: the skin's largest motion at the apex.
        drift: the head's largest shift within the clip.
        rotation: the head's largest rotation within the clip, degrees.
        noise: deviation of the sensor noise, gray levels.
    """

    expression: tuple[float, float] = MAX_MOTION
    drift: tuple[float, float] = MAX_DRIFT
    rotation: float = MAX_ROTATION
    noise: tuple[float, float] = SENSOR_NOISE


@dataclass(frozen=True)
class ClipAnimation:
    """The parameters of all frames of one clip.

    Attributes:
        rest: coefficients (left, right) of each action unit in the resting face, in crop pixels.
        peak: coefficients of the expression at the apex, which are added to ``rest``.
        intensity: float32[frames], the share of ``peak`` in each frame: 0 at the onset, 1 at the apex.
        apex: index of the apex.
        poses: the pose of the head in each frame.
        cameras: brightness and noise of each frame.
        irrelevant: movements that do not belong to the expression, such as a blink: the coefficients of each, and its
            float32[frames] share in each frame.
    """

    rest: dict[str, Sides]
    peak: dict[str, Sides]
    intensity: Field
    apex: int
    poses: tuple[Pose, ...]
    cameras: tuple[CameraSettings, ...]
    irrelevant: tuple[tuple[dict[str, Sides], Field], ...] = ()


def resting_face(rng: np.random.Generator, spread: float) -> dict[str, Sides]:
    """Draw the coefficients of a resting face: positive or negative for each unit, and similar on both sides."""
    rest = {}
    for unit in UNITS:
        size = spread * REST_BETWEEN_PEOPLE[unit] * np.clip(rng.normal(), -1.6, 1.6)
        if unit == "AU26":
            size = max(size, 0.0)
        uneven = spread * 0.25 * rng.uniform(-1, 1)
        rest[unit] = (float(size + uneven), float(size - uneven))
    return rest


def sample_drift(rng: np.random.Generator, frames: int, inertia: float = 0.8) -> NDArray[np.float64]:
    """Draw a smooth random path float64[frames] that starts at 0 and whose largest absolute value is 1."""
    path = np.zeros(frames)
    speed = rng.normal()
    for i in range(1, frames):
        speed = inertia * speed + rng.normal() - 0.15 * path[i - 1]
        path[i] = path[i - 1] + speed
    return path / max(float(np.abs(path).max()), 1e-9)


def sample_intensity(rng: np.random.Generator, frames: int, apex: int) -> Field:
    """Draw an intensity that rises from 0 at the first frame to 1 at ``apex``, then decays to at most a seventh."""
    rest = rng.uniform(0.0, 0.15)
    rise, fall = rng.uniform(0.85, 1.4, 2)
    i = np.arange(frames)
    up = (0.5 - 0.5 * np.cos(np.pi * np.clip(i / apex, 0, 1))) ** rise
    down = (0.5 + 0.5 * np.cos(np.pi * np.clip((i - apex) / (frames - 1 - apex), 0, 1))) ** fall
    return as_field(np.where(i <= apex, up, rest + (1 - rest) * down))


def sample_animation(
    label: str,
    muscles: FaceMuscles,
    resting_units: dict[str, Sides],
    frames: int,
    rng: np.random.Generator,
    ranges: MotionRanges = MotionRanges(),  # noqa: B008 (frozen)
) -> ClipAnimation:
    """Draw the parameters of one clip.

    Args:
        label: class of the expression, one of ``clips.EXPRESSIONS``.
        muscles: the action units of the person.
        resting_units: coefficients of the person's resting face.
        frames: number of frames, at least ``MIN_FRAMES``.
        rng: generator of the clip. The order of the draws defines the clip of a seed.
        ranges: of the motion and the noise.
    """
    change = resting_face(rng, REST_BETWEEN_CLIPS)
    rest = {u: (resting_units[u][0] + change[u][0], resting_units[u][1] + change[u][1]) for u in UNITS}
    rest["AU26"] = (max(rest["AU26"][0], 0.0), max(rest["AU26"][1], 0.0))
    raw: dict[str, Sides] = {}
    for unit, share in expression_units(label, rng).items():
        asymmetry = rng.uniform(-ASYMMETRY, ASYMMETRY)
        raw[unit] = (share * (1 + asymmetry), share * (1 - asymmetry))
    size = np.sqrt((muscles.motion(raw).skin ** 2).sum(-1)).max() / muscles.scale
    gain = float(rng.uniform(*ranges.expression) / size)
    peak = {unit: (gain * left, gain * right) for unit, (left, right) in raw.items()}

    earliest, latest = NEIGHBORS + 1, frames - 1 - NEIGHBORS
    apex = int(np.clip(round(rng.uniform(0.3, 0.65) * (frames - 1)), earliest, latest))
    intensity = sample_intensity(rng, frames, apex)

    initial = Pose(rng.uniform(-3, 3), rng.uniform(-5, 5), rng.uniform(-4, 4))
    direction, distance = rng.uniform(0, 2 * np.pi), rng.uniform(*ranges.drift) * muscles.scale
    along, across, rotation = sample_drift(rng, frames), 0.4 * sample_drift(rng, frames), sample_drift(rng, frames)
    rotation *= rng.uniform(0.2, 1.0) * ranges.rotation
    dx = distance * (along * np.cos(direction) - across * np.sin(direction)) / np.hypot(1, 0.4)
    dy = distance * (along * np.sin(direction) + across * np.cos(direction)) / np.hypot(1, 0.4)
    poses = tuple(
        Pose(initial.degrees + float(degrees), initial.dx + float(x), initial.dy + float(y))
        for degrees, x, y in zip(rotation, dx, dy, strict=True)
    )
    light = 1 + BRIGHTNESS_DRIFT * rng.uniform(0.3, 1.0) * sample_drift(rng, frames)
    exposure, noise = rng.uniform(0.94, 1.06), float(rng.uniform(*ranges.noise))
    cameras = tuple(CameraSettings(float(exposure * b), noise) for b in light)
    return ClipAnimation(rest, peak, intensity, apex, poses, cameras)


def sample_rest(
    animation: ClipAnimation,
    scale: float,
    rng: np.random.Generator,
    ranges: MotionRanges = MotionRanges(),  # noqa: B008 (frozen)
) -> ClipAnimation:
    """Draw the parameters of the frames before the onset: the eyes blink and the head moves, without an expression.

    Args:
        animation: the clip that follows.
        scale: frame pixels per crop pixel.
        rng: generator of these frames.
        ranges: of the motion.
    """
    first, camera = animation.poses[0], animation.cameras[0]
    lids = -rng.uniform(0.0, BLINK)
    turns, shifts = rng.uniform(-1, 1, RESTING_FRAMES), rng.uniform(-1, 1, (RESTING_FRAMES, 2))
    light = 1 + BRIGHTNESS_DRIFT * rng.uniform(-1, 1, RESTING_FRAMES)
    return ClipAnimation(
        rest=animation.rest,
        peak={"AU5": (lids, lids)},
        intensity=as_field(rng.uniform(0.0, 1.0, RESTING_FRAMES)),
        apex=0,
        poses=tuple(
            Pose(first.degrees + ranges.rotation * float(turn), first.dx + float(x), first.dy + float(y))
            for turn, (x, y) in zip(turns, ranges.drift[1] * scale * shifts, strict=True)
        ),
        cameras=tuple(replace(camera, brightness=camera.brightness * float(factor)) for factor in light),
    )


def animate(
    portrait: Portrait, muscles: FaceMuscles, animation: ClipAnimation, rng: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a clip in order, uint8[280, 240] each."""
    rest, peak = muscles.motion(animation.rest), muscles.motion(animation.peak)
    irrelevant = [(muscles.motion(units), shares) for units, shares in animation.irrelevant]
    for index, (pose, camera) in enumerate(zip(animation.poses, animation.cameras, strict=True)):
        motion = rest.plus(peak, float(animation.intensity[index]))
        for other, shares in irrelevant:
            if shares[index]:
                motion = motion.plus(other, float(shares[index]))
        yield draw_frame(portrait, motion, pose, camera, rng)


def unit_regions(muscles: FaceMuscles, animation: ClipAnimation) -> dict[str, NDArray[np.bool_]]:
    """Return, for each unit of the expression, where the unit moves the skin: bool[280, 240] in the onset's pixels."""
    rest = muscles.motion(animation.rest)
    return {
        unit: moved_region(muscles.motion({unit: sides}), rest, animation.poses[0], REGION_THRESHOLD)
        for unit, sides in animation.peak.items()
    }
