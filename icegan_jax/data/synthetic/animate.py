"""Plays one clip: the day's resting face, the expression's course, head and lamp drifting."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.synthetic.action_units import UNITS, expression_units
from icegan_jax.data.synthetic.fields import Field, as_field
from icegan_jax.data.synthetic.portrait import Portrait
from icegan_jax.data.synthetic.render import CameraSettings, FaceMuscles, Pose, Sides, draw_frame, moved_region

# All lengths in pixels of the 128x128 face crop.
LARGEST_MOTION = (1.2, 2.8)  # of the skin at the apex: a micro-expression moves one to three pixels
LARGEST_DRIFT = (0.2, 0.7)  # of the head within a clip
LARGEST_TURN = 0.35  # degrees, of the head within a clip
BRIGHTNESS_DRIFT = 0.012
SENSOR_NOISE = (0.8, 1.8)  # grey levels
ASYMMETRY = 0.15
# Deviation of the resting coefficients between people and between clips of one person.
REST_BETWEEN_PEOPLE = {
    "AU1": 1.8, "AU2": 1.8, "AU4": 1.8, "AU5": 0.7, "AU6": 1.4, "AU9": 1.3, "AU12": 2.0,
    "AU15": 1.4, "AU26": 0.7,
}  # fmt: skip
REST_BETWEEN_CLIPS = 1.0  # of the above
NEIGHBOURS = 2  # frames that the apex keeps on both sides (docs/design.md, "Crop and registration")
FEWEST_FRAMES = 2 * NEIGHBOURS + 2
REGION_THRESHOLD = 0.25  # of a unit's largest displacement


@dataclass(frozen=True)
class ExpressionCourse:
    """Everything that happens in one clip.

    Attributes:
        rest: the resting face's coefficients per unit (left, right), crop pixels.
        peak: the expression's coefficients at the apex, on top of ``rest``.
        course: float32[frames], the share of ``peak`` per frame: 0 at the onset, 1 at the apex.
        apex: index of the apex.
        poses: the head per frame.
        photos: the camera per frame.
    """

    rest: dict[str, Sides]
    peak: dict[str, Sides]
    course: Field
    apex: int
    poses: tuple[Pose, ...]
    photos: tuple[CameraSettings, ...]


def resting_face(rng: np.random.Generator, spread: float) -> dict[str, Sides]:
    """Draw a resting face: every unit with a sign, nearly the same on both sides."""
    rest = {}
    for unit in UNITS:
        size = spread * REST_BETWEEN_PEOPLE[unit] * np.clip(rng.normal(), -1.6, 1.6)
        if unit == "AU26":
            size = max(size, 0.0)
        uneven = spread * 0.25 * rng.uniform(-1, 1)
        rest[unit] = (float(size + uneven), float(size - uneven))
    return rest


def sample_drift(rng: np.random.Generator, frames: int, inertia: float = 0.8) -> NDArray[np.float64]:
    """A smooth wandering path that starts at 0 and whose farthest point is at distance 1."""
    path = np.zeros(frames)
    speed = rng.normal()
    for i in range(1, frames):
        speed = inertia * speed + rng.normal() - 0.15 * path[i - 1]
        path[i] = path[i - 1] + speed
    return path / max(float(np.abs(path).max()), 1e-9)


def sample_intensity(rng: np.random.Generator, frames: int, apex: int) -> Field:
    """Smooth rise from 0 at the first frame to 1 at ``apex``, then a decay to at most a seventh."""
    rest = rng.uniform(0.0, 0.15)
    rise, fall = rng.uniform(0.85, 1.4, 2)
    i = np.arange(frames)
    up = (0.5 - 0.5 * np.cos(np.pi * np.clip(i / apex, 0, 1))) ** rise
    down = (0.5 + 0.5 * np.cos(np.pi * np.clip((i - apex) / (frames - 1 - apex), 0, 1))) ** fall
    return as_field(np.where(i <= apex, up, rest + (1 - rest) * down))


def sample_course(
    label: str, muscles: FaceMuscles, habit: dict[str, Sides], frames: int, rng: np.random.Generator
) -> ExpressionCourse:
    """Plan one clip of class ``label`` for a person with the resting face ``habit``."""
    today = resting_face(rng, REST_BETWEEN_CLIPS)
    rest = {u: (habit[u][0] + today[u][0], habit[u][1] + today[u][1]) for u in UNITS}
    rest["AU26"] = (max(rest["AU26"][0], 0.0), max(rest["AU26"][1], 0.0))
    raw: dict[str, Sides] = {}
    for unit, share in expression_units(label, rng).items():
        lean = rng.uniform(-ASYMMETRY, ASYMMETRY)
        raw[unit] = (share * (1 + lean), share * (1 - lean))
    size = np.sqrt((muscles.move(raw).skin ** 2).sum(-1)).max() / muscles.scale
    gain = float(rng.uniform(*LARGEST_MOTION) / size)
    peak = {unit: (gain * left, gain * right) for unit, (left, right) in raw.items()}

    earliest, latest = NEIGHBOURS + 1, frames - 1 - NEIGHBOURS
    apex = int(np.clip(round(rng.uniform(0.3, 0.65) * (frames - 1)), earliest, latest))
    course = sample_intensity(rng, frames, apex)

    still = Pose(rng.uniform(-3, 3), rng.uniform(-5, 5), rng.uniform(-4, 4))
    way, reach = rng.uniform(0, 2 * np.pi), rng.uniform(*LARGEST_DRIFT) * muscles.scale
    along, aside, turn = sample_drift(rng, frames), 0.4 * sample_drift(rng, frames), sample_drift(rng, frames)
    turn *= rng.uniform(0.2, 1.0) * LARGEST_TURN
    dx = reach * (along * np.cos(way) - aside * np.sin(way)) / np.hypot(1, 0.4)
    dy = reach * (along * np.sin(way) + aside * np.cos(way)) / np.hypot(1, 0.4)
    poses = tuple(
        Pose(still.degrees + float(t), still.dx + float(x), still.dy + float(y))
        for t, x, y in zip(turn, dx, dy, strict=True)
    )
    lamp = 1 + BRIGHTNESS_DRIFT * rng.uniform(0.3, 1.0) * sample_drift(rng, frames)
    exposure, noise = rng.uniform(0.94, 1.06), float(rng.uniform(*SENSOR_NOISE))
    photos = tuple(CameraSettings(float(exposure * b), noise) for b in lamp)
    return ExpressionCourse(rest, peak, course, apex, poses, photos)


def animate(
    portrait: Portrait, muscles: FaceMuscles, act: ExpressionCourse, rng: np.random.Generator
) -> Iterator[NDArray[np.uint8]]:
    """Draw the frames of a performance in order, uint8[280, 240] each."""
    rest, peak = muscles.move(act.rest), muscles.move(act.peak)
    for share, pose, photo in zip(act.course, act.poses, act.photos, strict=True):
        yield draw_frame(portrait, rest.plus(peak, float(share)), pose, photo, rng)


def unit_regions(muscles: FaceMuscles, act: ExpressionCourse) -> dict[str, NDArray[np.bool_]]:
    """Per acting unit, where it moves the skin: bool[280, 240], onset frame's coordinates."""
    rest = muscles.move(act.rest)
    return {
        unit: moved_region(muscles.move({unit: sides}), rest, act.poses[0], REGION_THRESHOLD)
        for unit, sides in act.peak.items()
    }
