"""From clips to a prepared dataset folder: find the face, register, spot the apex, crop, write."""

import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.apex import spot_apex
from icegan_jax.data.clips import (
    EXPRESSIONS,
    Clip,
    read_clips,
    write_clips,
)
from icegan_jax.data.contact_sheet import write_contact_sheet
from icegan_jax.data.dataset import SUMMARY_FILE, Record, write_pairs
from icegan_jax.data.faces import MARGIN, Box, Face, find_face
from icegan_jax.data.frames import list_frames, read_frames
from icegan_jax.data.procedural import write_clips_to
from icegan_jax.data.registration import (
    IDENTITY,
    crop_face,
    estimate_motion,
    match_brightness,
    to_grey,
)
from icegan_jax.data.repairs import (
    Repair,
    movement,
    repair,
    settle,
    write_repairs,
)
from icegan_jax.data.replacement import replaced_folder
from icegan_jax.errors import UserError

REGISTRATIONS = ("rigid", "none")
SIZE = 128  # pixels on a side; the paper's input

# The apex and its four neighbours are trained on (DATASETS.md section 5, DESIGN.md section 5).
_SHIFTS = (-2, -1, 0, 1, 2)
# Frames after the onset in which the face is looked for where the onset shows none.
_MORE_FRAMES = 25

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Options:
    """How faces are cropped.

    Attributes:
        register: "rigid" moves each frame onto the onset and matches its mean brightness; "none"
            does neither.
        size: pixels on a side of a prepared face.
    """

    register: str = "rigid"
    size: int = SIZE


@dataclass(frozen=True)
class Summary:
    """What a prepared folder holds; the content of prepared.json.

    Attributes:
        clips: number of clips.
        subjects: number of (dataset, subject) persons.
        faces_found: number of clips in which a face was found (all: prepare stops otherwise).
        pairs: number of (onset, frame) pairs, the apexes and their neighbours.
        classes: clips per expression.
        repairs: rows of repairs.csv.
        register: "rigid" or "none".
        size: pixels on a side.
        margin: around the landmarks' box, as a fraction of its width.
        fingerprint: sha256 of the pairs' pixels, labels, shifts and names.
    """

    clips: int
    subjects: int
    faces_found: int
    pairs: int
    classes: dict[str, int]
    repairs: int
    register: str
    size: int
    margin: float
    fingerprint: str


@dataclass(frozen=True)
class _Prepared:
    """One clip after preparation; no records where no face was found."""

    clip: Clip
    records: list[Record]
    repairs: list[Repair]


def prepare_clips(
    clips: Sequence[Clip],
    out: str | Path,
    *,
    options: Options = Options(),  # noqa: B008 (frozen)
    workers: int | None = None,
    progress: bool = True,
) -> Summary:
    """Turns clips into the prepared dataset folder ``out``, which replaces an earlier one.

    Writes the TFDS dataset, clips.csv as resolved, repairs.csv, contact_sheet.png and
    prepared.json. The folder appears when all of it is written; its content does not depend on
    ``workers``.

    Args:
        clips: the clips, in the order in which they are written.
        out: the folder to make.
        options: how to crop.
        workers: processes; by default one per CPU core.
        progress: whether to draw a progress bar on stderr.

    Raises:
        UserError: frames are missing or unreadable, a clip shows no face, or ``out`` cannot be
            written.
    """
    for clip in clips:
        if clip.frames.resolve().is_relative_to(Path(out).resolve()):
            raise UserError(
                f"{out}: holds the frames of clip {clip.name}, which it would replace; choose another --out"
            )
    with replaced_folder(out) as staging:
        return _prepare_into(staging, clips, options, workers, progress)


def prepare_procedural(
    out: str | Path,
    *,
    seed: int,
    subjects: int,
    clips_per_class: int,
    frames: int,
    options: Options = Options(),  # noqa: B008 (frozen)
    workers: int | None = None,
    progress: bool = True,
) -> Summary:
    """Draws procedural faces into ``out``/raw and prepares them like any clips.

    Args:
        out: the folder to make; an earlier prepared one is replaced.
        seed: of the drawing.
        subjects: persons to draw.
        clips_per_class: clips per person and expression.
        frames: frames per clip.
        options: how to crop.
        workers: processes; by default one per CPU core.
        progress: whether to draw progress bars on stderr.

    Raises:
        UserError: a number is out of range, or ``out`` cannot be written.
    """
    with replaced_folder(out) as staging:
        csv_path = write_clips_to(
            staging / "raw",
            seed=seed,
            subjects=subjects,
            clips_per_class=clips_per_class,
            frames=frames,
            progress=progress,
        )
        return _prepare_into(staging, read_clips(csv_path), options, workers, progress)


def _prepare_into(
    folder: Path, clips: Sequence[Clip], options: Options, workers: int | None, progress: bool
) -> Summary:
    _check(clips, options)
    settled = _settle_all(clips)
    tasks = [(clip, repairs, options) for clip, repairs in settled]
    bar = tqdm(
        _run(tasks, workers or os.cpu_count() or 1),
        total=len(tasks),
        desc="faces",
        unit="clip",
        disable=not progress,
    )
    with bar:
        prepared = list(bar)
    faceless = [p.clip.name for p in prepared if not p.records]
    if faceless:
        more = f" and {len(faceless) - 5} more" if len(faceless) > 5 else ""
        raise UserError(
            f"{len(clips) - len(faceless)} of {len(clips)} faces found; no face in clip "
            f"{', '.join(faceless[:5])}{more}; remove these rows or give frames with a frontal face"
        )
    return _write(folder, prepared, options)


def _check(clips: Sequence[Clip], options: Options) -> None:
    if not clips:
        raise UserError("no clips to prepare; give at least one")
    if options.register not in REGISTRATIONS:
        raise UserError(f"register {options.register!r} is unknown; use {' or '.join(REGISTRATIONS)}")
    if not 16 <= options.size <= 1024:
        raise UserError(f"size {options.size} is out of range; use 16 to 1024 pixels")


def _settle_all(clips: Sequence[Clip]) -> list[tuple[Clip, list[Repair]]]:
    """Checks every clip's frames before work begins; a folder or video is listed once."""
    numbers: dict[Path, Sequence[int]] = {}
    settled = []
    for clip in clips:
        if clip.frames not in numbers:
            try:
                numbers[clip.frames] = list_frames(clip.frames)
            except UserError as error:
                raise UserError(f"clip {clip.name}: {error}") from None
        settled.append(settle(clip, numbers[clip.frames]))
    return settled


def _run(tasks: Sequence[tuple[Clip, list[Repair], Options]], workers: int) -> Iterator[_Prepared]:
    """Yields the prepared clips in the order of the tasks."""
    workers = min(workers, len(tasks))
    if workers <= 1:
        for task in tasks:
            with _one_thread():
                done = _prepare_clip(*task)
            yield done
        return
    # spawn: forking a process that runs JAX's or OpenCV's threads may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,))
    try:
        yield from pool.map(_prepare_clip, *zip(*tasks, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV on one thread, as in the worker processes, so that the bytes are the same."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _prepare_clip(clip: Clip, repairs: list[Repair], options: Options) -> _Prepared:
    """Finds the face of one clip, spots its apex where it is open, and crops its pairs."""
    repairs = list(repairs)
    numbers = list_frames(clip.frames) if clip.frames.is_dir() else range(clip.offset + 1)
    moving = movement(clip, numbers)
    face = find_face(_read_each(clip, [clip.onset, *moving[:_MORE_FRAMES]]))
    if face is None:
        return _Prepared(clip, [], repairs)
    repairs += _face_repairs(clip, face, [clip.onset, *moving][face.position])
    if clip.apex is None:
        needed = moving
    else:
        needed = [n for n in moving if n - clip.apex in _SHIFTS]
    images = dict(read_frames(clip.frames, [clip.onset, *needed]))
    box = face.box().within(images[clip.onset].shape)
    _check_sizes(clip, images)
    crops, unregistered = _crop_all(images, clip.onset, box, options)
    if clip.apex is None:
        found = spot_apex(np.stack([crops[n] for n in (clip.onset, *needed)]))
        clip = replace(clip, apex=needed[found - 1])
        reason = "spotted: the largest summed |frame - onset|"
        if options.register == "rigid":
            reason += " after registration"
        repairs.append(repair(clip, "apex", None, clip.apex, reason))
    apex = clip.apex
    assert apex is not None
    records = [
        Record(
            clip.dataset,
            clip.subject,
            clip.clip,
            clip.label,
            n - apex,
            onset=crops[clip.onset],
            apex=crops[n],
        )
        for n in needed
        if n - apex in _SHIFTS
    ]
    repairs += [
        repair(clip, "registration", "rigid", "none", f"frame {n} could not be moved onto the onset")
        for n in unregistered
        if n - apex in _SHIFTS
    ]
    return _Prepared(clip, records, repairs)


def _read_each(clip: Clip, numbers: Sequence[int]) -> Iterator[Grey]:
    """Yields the frames one at a time; of most clips only the first is asked for."""
    for n in numbers:
        yield from (image for _, image in read_frames(clip.frames, [n]))


def _face_repairs(clip: Clip, face: Face, frame: int) -> list[Repair]:
    rows = []
    if face.count > 1:
        rows.append(repair(clip, "face", face.count, 1, f"{face.count} faces: the largest one"))
    if frame != clip.onset:
        reason = "no face found in the onset: the box is that of a later frame"
        rows.append(repair(clip, "face", clip.onset, frame, reason))
    if face.help not in ("", "upsampled"):
        rows.append(repair(clip, "face", None, face.help, "the detector found no face without it"))
    return rows


def _check_sizes(clip: Clip, images: dict[int, Grey]) -> None:
    onset = images[clip.onset].shape
    for n, image in images.items():
        if image.shape != onset:
            raise UserError(
                f"clip {clip.name}: frame {n} of {clip.frames} is "
                f"{image.shape[1]}x{image.shape[0]}, "
                f"the onset {onset[1]}x{onset[0]}; give frames of one size"
            )


def _crop_all(images: dict[int, Grey], onset: int, box: Box, options: Options) -> tuple[dict[int, Grey], list[int]]:
    """Returns uint8[size, size] crops of all images, and which frames resisted registration."""
    neutral = crop_face(images[onset], box, IDENTITY, options.size)
    crops = {onset: to_grey(neutral)}
    unregistered = []
    for n, image in images.items():
        if n == onset:
            continue
        motion = None
        if options.register == "rigid":
            motion = estimate_motion(images[onset], image, box)
            if motion is None:
                unregistered.append(n)
        crop = crop_face(image, box, IDENTITY if motion is None else motion, options.size)
        if options.register == "rigid":
            crop = match_brightness(crop, neutral)
        crops[n] = to_grey(crop)
    return crops, unregistered


def _write(folder: Path, prepared: Sequence[_Prepared], options: Options) -> Summary:
    records = [r for p in prepared for r in p.records]
    clips = [p.clip for p in prepared]
    repairs = [row for p in prepared for row in p.repairs]
    fingerprint = write_pairs(folder, records)
    write_clips(folder / "clips.csv", clips)
    write_repairs(folder / "repairs.csv", repairs)
    write_contact_sheet(folder / "contact_sheet.png", [r for r in records if r.shift == 0])
    counts = Counter(clip.label for clip in clips)
    summary = Summary(
        clips=len(clips),
        subjects=len({(clip.dataset, clip.subject) for clip in clips}),
        faces_found=len(clips),
        pairs=len(records),
        classes={word: counts[label] for label, word in enumerate(EXPRESSIONS)},
        repairs=len(repairs),
        register=options.register,
        size=options.size,
        margin=MARGIN,
        fingerprint=fingerprint,
    )
    text = json.dumps(asdict(summary), indent=2) + "\n"
    (folder / SUMMARY_FILE).write_text(text, encoding="utf-8")
    return summary
