"""Writes procedural clips as a user's own would be: frames, a clips.csv, and the true regions."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.clips import EXPRESSIONS, Clip, write_clips
from icegan_jax.data.synthetic.animate import FEWEST_FRAMES, animate, resting_face, sample_course, unit_regions
from icegan_jax.data.synthetic.identity import sample_identity
from icegan_jax.data.synthetic.portrait import draw_portrait
from icegan_jax.data.synthetic.render import FaceMuscles
from icegan_jax.errors import UserError

DATASET = "procedural"
REGIONS_FILE = "regions.npz"


def draw_clips(
    out: Path, *, seed: int, subjects: int, clips_per_class: int, frames: int, progress: bool, databases: int = 1
) -> Path:
    """Draw people playing clips of each class and writes them under ``out``.

    Writes ``frames/<subject>/<clip>/img<n>.png`` (uint8[280, 240] grey; exactly ``frames`` of
    them, onset first, offset last), ``clips.csv`` and ``regions.npz`` (see ``read_regions``). A
    person depends on (seed, its number) alone and a clip on (seed, person, class, its number,
    frames), so that more people or clips leave the others as they are.

    Args:
        out: folder to write into; made where missing.
        seed: everything is drawn from it.
        subjects: number of people, named p01, p02, ...
        clips_per_class: clips per person and class, named positive_1, positive_2, ...
        frames: frames per clip, at least 6.
        progress: show a progress bar on stderr.
        databases: to how many databases the people are dealt out in turn, named procedural_1, ...;
            of a single one the name is procedural.

    Returns:
        The path of the clips.csv.

    Raises:
        UserError: a number is too small, or ``out`` already holds a clips.csv.
    """
    if seed < 0:
        raise UserError(f"seed is {seed}; it must not be negative")
    if subjects < 1 or clips_per_class < 1:
        raise UserError(f"subjects is {subjects} and clips per class {clips_per_class}; both must be at least 1")
    if frames < FEWEST_FRAMES:
        raise UserError(
            f"frames is {frames}; a clip with an onset, an apex and its four neighbours needs at least {FEWEST_FRAMES}"
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
            rng = _stream(seed, number)
            dataset = DATASET if databases == 1 else f"{DATASET}_{(number - 1) % databases + 1}"
            person = sample_identity(rng)
            habit = resting_face(rng, 1.0)
            portrait, muscles = draw_portrait(person), FaceMuscles(person)
            for label, word in enumerate(EXPRESSIONS):
                for take in range(1, clips_per_class + 1):
                    rng = _stream(seed, number, label, take)
                    act = sample_course(word, muscles, habit, frames, rng)
                    first = int(rng.integers(3, 200))
                    name = f"{word}_{take}"
                    folder = out / "frames" / subject / name
                    folder.mkdir(parents=True, exist_ok=True)
                    for index, frame in enumerate(animate(portrait, muscles, act, rng)):
                        path = folder / f"img{first + index}.png"
                        if not cv2.imwrite(str(path), frame, [cv2.IMWRITE_PNG_COMPRESSION, 1]):
                            raise UserError(f"{path} could not be written; check the disk")
                    for unit, mask in unit_regions(muscles, act).items():
                        regions[f"{subject}/{name}/{unit}"] = mask
                    clips.append(
                        Clip(
                            dataset,
                            subject,
                            name,
                            label,
                            folder,
                            first,
                            first + act.apex,
                            first + frames - 1,
                        )
                    )
                    bar.update()
    np.savez_compressed(out / REGIONS_FILE, allow_pickle=False, **regions)
    write_clips(table, clips)
    return table


def read_true_regions(path: str | Path) -> dict[str, NDArray[np.bool_]]:
    """Read the true regions: where each action unit moves the skin.

    Args:
        path: a ``regions.npz``, or the folder that holds it.

    Returns:
        bool[280, 240] per "<subject>/<clip>/<unit>" (as "p01/positive_1/AU12"), in the
        coordinates of the clip's onset frame: True where the unit alone displaces the skin by
        more than a quarter of its largest displacement at the apex.

    Raises:
        UserError: there is no such file.
    """
    path = Path(path)
    path = path / REGIONS_FILE if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"{path}: no such file; procedural clips have it beside their clips.csv")
    with np.load(path, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def _stream(seed: int, *position: int) -> np.random.Generator:
    """The generator of one person or clip: a child of the seed that ignores its siblings."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=position))
