"""Drawn clips on disk, in the form of a user's own clips: frames, a clips.csv, and the true regions of motion."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.clips import EXPRESSIONS, Clip, write_clips
from icegan_jax.data.ingest.annotation import parse_action_units
from icegan_jax.data.synthetic.animate import (
    MIN_FRAMES,
    RESTING_FRAMES,
    animate,
    resting_face,
    sample_animation,
    sample_rest,
    unit_regions,
)
from icegan_jax.data.synthetic.identity import sample_identity
from icegan_jax.data.synthetic.portrait import draw_portrait
from icegan_jax.data.synthetic.render import FaceMuscles
from icegan_jax.errors import UserError

DATASET = "procedural"
REGIONS_FILE = "regions.npz"


def draw_clips(
    out: Path, *, seed: int, subjects: int, clips_per_class: int, frames: int, progress: bool, databases: int = 1
) -> Path:
    """Draw clips of each class for several subjects and write the clips under ``out``.

    The files are ``frames/<subject>/<clip>/img<n>.png`` (uint8[280, 240] gray; ``RESTING_FRAMES`` images before the
    onset, then ``frames`` images from the onset to the offset), ``clips.csv`` and ``regions.npz`` (see
    ``read_true_regions``). A subject depends only on (seed, number of the subject), and a clip only on (seed, subject,
    class, number of the clip, frames), so that more subjects or clips do not change the others.

    Args:
        out: folder to write into; created where missing.
        seed: seed of all random draws.
        subjects: number of subjects, named p01, p02, ...
        clips_per_class: number of clips per subject and class, named positive_1, positive_2, ...
        frames: frames per clip, at least 6.
        progress: whether a progress bar is shown on stderr.
        databases: number of databases, named procedural_1, ..., to which the subjects are assigned in turn; a single
            database is named procedural.

    Returns:
        The path of clips.csv.

    Raises:
        UserError: a number is too small, or ``out`` has a clips.csv already.
    """
    check_seed(seed)
    if subjects < 1 or clips_per_class < 1:
        raise UserError(f"subjects is {subjects} and clips per class {clips_per_class}; both must be at least 1")
    if frames < MIN_FRAMES:
        raise UserError(
            f"frames is {frames}; a clip with an onset, an apex and its four neighbors needs at least {MIN_FRAMES}"
        )
    table = out / "clips.csv"
    if table.exists():
        raise UserError(f"{table} exists; choose another folder or remove it")
    out.mkdir(parents=True, exist_ok=True)
    digits = max(2, len(str(subjects)))
    clips: list[Clip] = []
    regions: dict[str, NDArray[np.bool_]] = {}
    total = subjects * clips_per_class * len(EXPRESSIONS)
    with tqdm(total=total, desc="drawing faces", unit="clip", disable=not progress) as bar:
        for number in range(1, subjects + 1):
            subject = f"p{number:0{digits}d}"
            rng = random_generator(seed, number)
            dataset = DATASET if databases == 1 else f"{DATASET}_{(number - 1) % databases + 1}"
            person = sample_identity(rng)
            resting_units = resting_face(rng, 1.0)
            portrait, muscles = draw_portrait(person), FaceMuscles(person)
            for label, expression in enumerate(EXPRESSIONS):
                for repetition in range(1, clips_per_class + 1):
                    rng = random_generator(seed, number, label, repetition)
                    animation = sample_animation(expression, muscles, resting_units, frames, rng)
                    first = int(rng.integers(RESTING_FRAMES, 200))
                    rest_rng = random_generator(seed, number, label, repetition, 1)
                    rest = sample_rest(animation, muscles.scale, rest_rng)
                    name = f"{expression}_{repetition}"
                    folder = out / "frames" / subject / name
                    drawn = chain(
                        animate(portrait, muscles, rest, rest_rng), animate(portrait, muscles, animation, rng)
                    )
                    write_frames(folder, first - RESTING_FRAMES, drawn)
                    for unit, mask in unit_regions(muscles, animation).items():
                        regions[f"{subject}/{name}/{unit}"] = mask
                    apex, offset = first + animation.apex, first + frames - 1
                    units = parse_action_units("+".join(animation.peak))
                    clips.append(Clip(dataset, subject, name, label, folder, first, apex, offset, units))
                    bar.update()
    np.savez_compressed(out / REGIONS_FILE, allow_pickle=False, **regions)
    write_clips(table, clips)
    return table


def check_seed(seed: int) -> None:
    """Check that a seed is not negative.

    Raises:
        UserError: it is.
    """
    if seed < 0:
        raise UserError(f"seed is {seed}; it must not be negative")


def write_frames(folder: Path, first: int, frames: Iterable[NDArray[np.uint8]], quality: int | None = None) -> None:
    """Write the frames of a clip as img<number> into a new folder.

    Args:
        folder: the folder to make.
        first: number of the first frame.
        frames: uint8[h, w] each.
        quality: of JPEG, 1 to 100; None for PNG, which loses nothing.

    Raises:
        UserError: a frame cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    suffix = ".png" if quality is None else ".jpg"
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1] if quality is None else [cv2.IMWRITE_JPEG_QUALITY, quality]
    for number, frame in enumerate(frames, start=first):
        path = folder / f"img{number}{suffix}"
        if not cv2.imwrite(str(path), frame, options):
            raise UserError(f"{path} could not be written; check the disk")


def read_true_regions(path: str | Path) -> dict[str, NDArray[np.bool_]]:
    """Read the true regions of drawn clips, in which each action unit moves the skin.

    Args:
        path: a ``regions.npz``, or the folder of that file.

    Returns:
        bool[280, 240] by "<subject>/<clip>/<unit>" (such as "p01/positive_1/AU12"), in pixels of the clip's onset: True
        where the unit alone displaces the skin by more than a quarter of the unit's largest displacement at the apex.

    Raises:
        UserError: there is no such file.
    """
    path = Path(path)
    path = path / REGIONS_FILE if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"{path}: no such file; procedural clips have it beside their clips.csv")
    with np.load(path, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def random_generator(seed: int, *position: int) -> np.random.Generator:
    """Return the random generator of one subject or clip, which does not depend on the other subjects and clips."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=position))
