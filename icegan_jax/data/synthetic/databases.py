"""Drawn databases with the people, clips and classes of MEGC2019, for a rehearsal of the protocol without data.

Each database has a camera, a light, a frame rate and a head motion of its own, modeled on docs/databases.md. The faces
are drawn: no score on them can be compared with a score on the recorded databases, and the names of the databases begin
with the word that marks drawn faces everywhere.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.clips import EXPRESSIONS, Clip, write_clips
from icegan_jax.data.ingest.annotation import parse_action_units
from icegan_jax.data.ingest.expected_counts import MEGC2019_COUNTS, ExpectedCounts
from icegan_jax.data.ingest.parallel import run_parallel
from icegan_jax.data.synthetic.action_units import UNITS
from icegan_jax.data.synthetic.animate import (
    BLINK,
    MIN_FRAMES,
    RESTING_FRAMES,
    ClipAnimation,
    MotionRanges,
    animate,
    resting_face,
    sample_animation,
    sample_rest,
    unit_regions,
)
from icegan_jax.data.synthetic.fields import Field, as_field
from icegan_jax.data.synthetic.identity import Identity, sample_identity
from icegan_jax.data.synthetic.portrait import draw_portrait
from icegan_jax.data.synthetic.render import FaceMuscles, Sides
from icegan_jax.data.synthetic.write import DATASET, REGIONS_FILE, check_seed, random_generator, write_frames

_UNEVENNESS = 0.7  # deviation of the logarithm of a person's share of the clips: about 15 people then have 1 or 2
_TASK_CLIPS = 6  # clips of one person that a process draws at a time
_MAX_OTHER_UNITS = 3  # units outside the expression that move within a clip
_UNEVEN_SIDES = 0.6  # largest difference of a movement between the sides of the face, as a share


@dataclass(frozen=True)
class Camera:
    """The camera of a database.

    Attributes:
        scale: pixels of a frame per pixel of the drawing of 240x280.
        blur: deviation of the lens's blur, in pixels of a frame.
        noise: deviation of the sensor's noise, gray levels.
        contrast: factor on the differences from middle gray.
        quality: of JPEG; None where frames are stored without loss.
    """

    scale: float
    blur: float
    noise: float
    contrast: float
    quality: int | None


@dataclass(frozen=True)
class Light:
    """The light and the wall of a database's studio; ranges of the fields of ``Identity``."""

    azimuth: tuple[float, float]
    elevation: tuple[float, float]
    strength: tuple[float, float]
    background: tuple[float, float]


@dataclass(frozen=True)
class DrawnDatabase:
    """A drawn database.

    Attributes:
        name: name of the recorded database that it is like.
        counts: people and clips.
        fps: frames per second.
        seconds: range of the time from onset to offset.
        camera: the camera.
        light: the light and the wall.
        motion: ranges of the expression's and the head's motion.
        blinks: probability that the eyes blink within a clip.
        other_units: largest motion of a unit that is not of the expression, as a share of the expression's.
        is_coded: whether the apex and the action units are annotated.
    """

    name: str
    counts: ExpectedCounts
    fps: int
    seconds: tuple[float, float]
    camera: Camera
    light: Light
    motion: MotionRanges
    blinks: float
    other_units: float
    is_coded: bool


# Frame rates, durations and the missing apex of SMIC: docs/databases.md. Cameras, light and motion: ours. The motions
# were set so that optical flow and a linear SVM reach a UF1 between 0.60 and 0.75 in LOSO (docs/results.md).
MEGC2019 = (
    DrawnDatabase(
        "casme2",
        MEGC2019_COUNTS["casme2"],
        fps=200,
        seconds=(0.15, 0.35),
        camera=Camera(scale=1.0, blur=0.5, noise=1.5, contrast=0.85, quality=92),
        light=Light(azimuth=(-0.15, 0.15), elevation=(0.5, 0.7), strength=(0.45, 0.52), background=(0.30, 0.36)),
        motion=MotionRanges(expression=(0.6, 2.2), drift=(0.2, 0.8), rotation=0.4, noise=(0.0, 0.0)),
        blinks=0.2,
        other_units=0.9,
        is_coded=True,
    ),
    DrawnDatabase(
        "samm",
        MEGC2019_COUNTS["samm"],
        fps=200,
        seconds=(0.15, 0.4),
        camera=Camera(scale=1.3, blur=0.4, noise=1.0, contrast=1.15, quality=85),
        light=Light(azimuth=(-0.5, 0.5), elevation=(0.2, 0.4), strength=(0.62, 0.72), background=(0.78, 0.85)),
        motion=MotionRanges(expression=(0.5, 2.0), drift=(0.3, 1.2), rotation=0.7, noise=(0.0, 0.0)),
        blinks=0.3,
        other_units=1.1,
        is_coded=True,
    ),
    DrawnDatabase(
        "smic",
        MEGC2019_COUNTS["smic"],
        fps=100,
        seconds=(0.11, 0.58),
        camera=Camera(scale=0.75, blur=0.8, noise=4.0, contrast=0.7, quality=None),
        light=Light(azimuth=(0.5, 0.9), elevation=(0.3, 0.5), strength=(0.5, 0.6), background=(0.52, 0.6)),
        motion=MotionRanges(expression=(0.6, 2.2), drift=(0.4, 1.5), rotation=0.8, noise=(0.0, 0.0)),
        blinks=0.2,
        other_units=0.8,
        is_coded=False,
    ),
)
DATABASES = {"megc2019": MEGC2019}


class _Task(NamedTuple):
    """Clips (number within the person, label) of one person, which are drawn in one process."""

    database: DrawnDatabase
    number: int  # of the database
    person: int
    subject: str
    clips: tuple[tuple[int, int], ...]


def draw_databases(
    out: Path,
    databases: Sequence[DrawnDatabase],
    *,
    seed: int,
    workers: int | None = None,
    progress: bool = False,
) -> Path:
    """Draw databases and write their clips under ``out``, in the form in which ``draw_clips`` writes.

    The databases are named procedural_<name>, their people as those of the recorded database. The result depends on the
    databases and the seed alone.

    Args:
        out: folder to write into; created where missing.
        databases: the databases.
        seed: seed of all random draws, not negative.
        workers: number of processes; by default one per CPU core.
        progress: whether a progress bar is shown on stderr.

    Returns:
        The path of clips.csv.

    Raises:
        UserError: the seed is negative, or a frame cannot be written.
    """
    check_seed(seed)
    tasks = [
        _Task(database, number, person, subject, tuple(enumerate(labels, start=1))[start : start + _TASK_CLIPS])
        for number, database in enumerate(databases)
        for person, (subject, labels) in enumerate(assign_clips(database, random_generator(seed, number, 0)).items(), 1)
        for start in range(0, len(labels), _TASK_CLIPS)
    ]
    out.mkdir(parents=True, exist_ok=True)
    clips: list[Clip] = []
    regions: dict[str, NDArray[np.bool_]] = {}
    total = sum(len(task.clips) for task in tasks)
    with tqdm(total=total, desc="drawing faces", unit="clip", disable=not progress) as bar:
        work = partial(_draw_person, out=out, seed=seed)
        for drawn, moved in run_parallel(work, tasks, workers or os.cpu_count() or 1):
            clips += drawn
            regions |= moved
            bar.update(len(drawn))
    np.savez_compressed(out / REGIONS_FILE, allow_pickle=False, **regions)
    table = out / "clips.csv"
    write_clips(table, clips)
    return table


def assign_clips(database: DrawnDatabase, rng: np.random.Generator) -> dict[str, list[int]]:
    """Return the labels of each person's clips: unevenly many, and of the recorded number where that is known."""
    counts, labels = database.counts, np.repeat(np.arange(len(EXPRESSIONS)), database.counts.clips_per_class)
    known = dict(counts.clips_per_subject)
    others = sorted(counts.subjects - set(known))
    share = rng.lognormal(0.0, _UNEVENNESS, len(others))
    further = rng.multinomial(len(labels) - sum(known.values()) - len(others), share / share.sum())
    clips = known | {subject: 1 + int(n) for subject, n in zip(others, further, strict=True)}
    remaining = iter(rng.permutation(labels).tolist())
    return {subject: [next(remaining) for _ in range(clips[subject])] for subject in sorted(clips)}


def _draw_person(task: _Task, out: Path, seed: int) -> tuple[list[Clip], dict[str, NDArray[np.bool_]]]:
    """Draw clips of one person, write the frames, and return the clips and the regions of motion."""
    database, dataset = task.database, f"{DATASET}_{task.database.name}"
    rng = random_generator(seed, task.number, task.person)
    person = _light_person(sample_identity(rng), database.light, rng)
    resting_units = resting_face(rng, 1.0)
    portrait, muscles = draw_portrait(person), FaceMuscles(person)
    clips: list[Clip] = []
    regions: dict[str, NDArray[np.bool_]] = {}
    for number, label in task.clips:
        rng, rest_rng = (random_generator(seed, task.number, task.person, number, part) for part in range(2))
        frames = max(round(database.fps * rng.uniform(*database.seconds)), MIN_FRAMES)
        animation = sample_animation(EXPRESSIONS[label], muscles, resting_units, frames, rng, database.motion)
        animation = replace(
            animation, peak=_vary_expression(animation, rng), irrelevant=_sample_irrelevant(animation, database, rng)
        )
        first = int(rng.integers(RESTING_FRAMES, 2000))
        rest = sample_rest(animation, muscles.scale, rest_rng, database.motion)
        name = f"{task.subject}_{EXPRESSIONS[label]}_{number}"
        folder = out / "frames" / database.name / task.subject / name
        drawn = chain(animate(portrait, muscles, rest, rest_rng), animate(portrait, muscles, animation, rng))
        recorded = (record_frame(frame, database.camera, rng) for frame in drawn)
        write_frames(folder, first - RESTING_FRAMES, recorded, database.camera.quality)
        for unit, mask in unit_regions(muscles, animation).items():
            regions[f"{task.subject}/{name}/{unit}"] = mask
        apex = first + animation.apex if database.is_coded else None
        units = parse_action_units("+".join(animation.peak)) if database.is_coded else ()
        clips.append(Clip(dataset, task.subject, name, label, folder, first, apex, first + frames - 1, units))
    return clips, regions


def _light_person(person: Identity, light: Light, rng: np.random.Generator) -> Identity:
    """Return the person in the light of a database's studio."""
    return replace(
        person,
        light_azimuth=float(rng.uniform(*light.azimuth)),
        light_elevation=float(rng.uniform(*light.elevation)),
        light_strength=float(rng.uniform(*light.strength)),
        background_tone=float(rng.uniform(*light.background)),
    )


def _vary_expression(animation: ClipAnimation, rng: np.random.Generator) -> dict[str, Sides]:
    """Return the expression's peak with any share of each unit, and more on one side: few show all units evenly."""
    return {unit: _scaled_sides(sides, rng.uniform(0, 1), rng) for unit, sides in animation.peak.items()}


def _scaled_sides(sides: Sides, share: float, rng: np.random.Generator) -> Sides:
    uneven = float(rng.uniform(-_UNEVEN_SIDES, _UNEVEN_SIDES))
    return share * (1 + uneven) * sides[0], share * (1 - uneven) * sides[1]


def _sample_irrelevant(
    animation: ClipAnimation, database: DrawnDatabase, rng: np.random.Generator
) -> tuple[tuple[dict[str, Sides], Field], ...]:
    """Draw movements that say nothing about the class: a blink, and other action units, each at any time."""
    time = np.arange(len(animation.intensity))

    def pulse(width: float) -> Field:
        """Draw the course of a movement that is as strong at its middle as 1, and 0 at the onset."""
        middle = rng.uniform(0.15, 1.0) * time[-1]
        shares = np.exp(-0.5 * ((time - middle) / width) ** 2)
        return as_field(shares * np.clip(time / max(0.2 * time[-1], 1.0), 0, 1))

    movements = []
    if rng.random() < database.blinks:
        lids = -float(rng.uniform(0.5, 1.0)) * BLINK
        movements.append(({"AU5": (lids, lids)}, pulse(0.06 * database.fps)))
    largest = database.other_units * max(max(abs(a), abs(b)) for a, b in animation.peak.values())
    for _ in range(rng.integers(0, _MAX_OTHER_UNITS + 1)):
        unit = str(rng.choice([unit for unit in UNITS if unit not in animation.peak]))
        sides = _scaled_sides((largest, largest), float(rng.uniform(0.2, 1.0)), rng)
        movements.append(({unit: sides}, pulse(0.35 * len(time))))
    return tuple(movements)


def record_frame(drawing: NDArray[np.uint8], camera: Camera, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the frame that a camera makes of a drawing uint8[h, w]: uint8[scale h, scale w]."""
    gray = drawing.astype(np.float32)
    interpolation = cv2.INTER_AREA if camera.scale < 1 else cv2.INTER_CUBIC
    if camera.scale != 1:
        gray = as_field(cv2.resize(gray, None, fx=camera.scale, fy=camera.scale, interpolation=interpolation))
    gray = as_field(cv2.GaussianBlur(gray, (0, 0), camera.blur))
    gray = 128 + camera.contrast * (gray - 128) + camera.noise * rng.standard_normal(gray.shape, dtype=np.float32)
    return np.asarray(np.clip(np.rint(gray), 0, 255), np.uint8)
