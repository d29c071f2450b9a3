"""The check of the sources (``--check``): every frame is decoded, nothing is written."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from icegan_jax.data.clips import Clip, frames_after_onset
from icegan_jax.data.crop import frames_to_read
from icegan_jax.data.frame_numbers import index_frames
from icegan_jax.data.images import Levels, picture_digest, read_levels
from icegan_jax.data.ingest.annotation import Finding
from icegan_jax.data.ingest.collect_clips import CollectedClips
from icegan_jax.data.ingest.messages import clip_count_line, count_lines, finding_lines
from icegan_jax.data.ingest.parallel import run_parallel
from icegan_jax.data.ingest.shared_frames import find_shared_frames
from icegan_jax.data.ingest.summary import count_clips, count_datasets
from icegan_jax.data.video import FRAME_REMEDY, read_frames
from icegan_jax.errors import UserError

# Titles of the kinds of findings, the most serious last, where a terminal shows them beside the summary line.
_TITLES = {
    "excluded": "left out by the protocol's rule",
    "note": "notes",
    "assumed": "assumed: layouts of databases that were never read",
    "surplus": "surplus: folders and rows that no clip uses",
    "repair": "other repairs",
    "shared": "shared: frames that two subjects have; main refuses folds of them",
    "missing": "missing: clips that the protocol has and this copy has not; they are left out",
    "error": "errors: preparation stops at these; clips with damaged frames can be left out with --skip_damaged",
}
_REPAIRS_TITLE = "repairs: frames that are replaced; a row of a --repairs file beats each of them"


def check_clips(
    collected: CollectedClips, workers: int | None = None, progress: bool = True, method: str = "difference"
) -> tuple[list[Finding], list[Finding]]:
    """Decode every frame of every clip from onset to offset, one at a time in each process.

    Args:
        collected: the clips.
        workers: number of processes; by default one per CPU core.
        progress: whether to draw a progress bar on stderr.
        method: how the apex will be spotted where none is annotated.

    Returns:
        damaged: for each frame that cannot be decoded or has another size than the clip's first frame, in the order
            of the clips: an "error" where preparation reads the frame, else a "note".
        shared: see ``find_shared_frames``, of the frames that preparation reads of the clips without an "error".
    """
    clips = collected.clips
    results = run_parallel(partial(check_clip, method=method), clips, workers or os.cpu_count() or 1)
    bar = tqdm(results, total=len(clips), desc="frames", unit="clip", disable=not progress)
    findings, digests = zip(*bar, strict=True) if clips else ((), ())
    return [finding for of_clip in findings for finding in of_clip], find_shared_frames(clips, digests)


def check_clip(clip: Clip, method: str = "difference") -> tuple[list[Finding], list[str]]:
    """Return the findings on the frames from onset to offset that cannot be used, and the digests of those needed.

    There are no digests where a frame that is needed cannot be used: preparation leaves the clip out, or stops.
    """
    numbers: Sequence[int] = range(clip.onset, clip.offset + 1)
    files: dict[int, Path] = {}
    if clip.frames.is_dir():
        try:
            files = index_frames(clip.frames)
        except (UserError, OSError) as error:  # the folder may have changed since the clips were collected
            return [_frame_finding(clip, clip.frames, str(error))], []
        numbers = [number for number in files if number in numbers]
    needed = set(frames_to_read(clip, frames_after_onset(clip, numbers), method))
    findings, digests = [], []
    size: tuple[int, ...] = ()
    for affected, file, frame in _decode_frames(clip, numbers, files):
        is_needed = not needed.isdisjoint(affected)
        if isinstance(frame, Exception):
            findings.append(_frame_finding(clip, file, str(frame), is_needed=is_needed))
            continue
        size = size or frame.shape
        if frame.shape != size:
            findings.append(_size_finding(clip, file, frame.shape, size, is_needed=is_needed))
        elif is_needed:
            digests.append(picture_digest(frame))
    return findings, [] if any(f.kind == "error" for f in findings) else digests


def _decode_frames(
    clip: Clip, numbers: Sequence[int], files: Mapping[int, Path]
) -> Iterator[tuple[Sequence[int], Path, Levels | Exception]]:
    """Yield the frames of a clip, each with its number and file.

    Args:
        clip: the clip.
        numbers: the frames, ascending.
        files: the file of each number; empty for a video.

    Yields:
        The numbers concerned, the file, and the frame or the error in its place: in a video that of all further frames.
    """
    for number in numbers if files else ():
        try:
            yield (number,), files[number], read_levels(files[number], FRAME_REMEDY)
        except UserError as error:
            yield (number,), files[number], error
    if files:
        return
    position = 0
    try:
        for number, frame in read_frames(clip.frames, numbers):
            position += 1
            yield (number,), clip.frames, frame
    except (UserError, OSError) as error:
        yield numbers[position:], clip.frames, error


def _size_finding(
    clip: Clip, file: Path, shape: tuple[int, ...], first: tuple[int, ...], *, is_needed: bool
) -> Finding:
    text = f"is {shape[1]}x{shape[0]}, the clip's first frame {first[1]}x{first[0]}; give frames of one size"
    return _frame_finding(clip, file, text, is_needed=is_needed)


def _frame_finding(clip: Clip, file: Path, text: str, is_needed: bool = True) -> Finding:
    """Return a finding of an error's text, whose remedy follows the last semicolon."""
    message, _, remedy = text.removeprefix(f"{file}: ").rpartition("; ")
    if is_needed:
        return Finding("error", clip.name, str(file), message or text, remedy)
    return Finding("note", clip.name, str(file), f"{message or text}; no frame that preparation needs", remedy)


def report_check(
    collected: CollectedClips,
    damaged: Sequence[Finding],
    shared: Sequence[Finding] = (),
    *,
    method: str,
    strict: bool = False,
    skip_damaged: bool = False,
) -> tuple[int, list[str]]:
    """Return the exit code of ``--check`` and its lines: counts, all findings by kind, and a summary line.

    Code 0: preparation would succeed with the protocol's exact set (of sources without expected counts: with all
    clips). 1: preparation would succeed, but something differs. 2: preparation would stop.

    Args:
        collected: the clips and findings of the sources.
        damaged: the first findings of ``check_clips``.
        shared: its second findings.
        method: how the apex will be spotted where none is annotated.
        strict: whether any set but the protocol's is refused.
        skip_damaged: whether clips with damaged frames are left out.
    """
    lines = list(count_lines(count_datasets(collected.clips, collected.classes)))
    without_apex = Counter(clip.dataset for clip in collected.clips if clip.apex is None)
    lines += [
        f"{name}: {n} clips without an apex, which prepare spots (--apex={method})" for name, n in without_apex.items()
    ]
    if collected.repairs:
        lines += ["", f"{_REPAIRS_TITLE} ({len(collected.repairs)})", *_repair_lines(collected)]
    findings = [*collected.findings, *damaged, *shared]
    for kind, title in _TITLES.items():
        group = [f for f in findings if f.kind == kind]
        if group:
            lines += ["", f"{title} ({len(group)})", *finding_lines(group)]

    errors = [f for f in findings if f.kind == "error"]
    about_frames = [f for f in (*collected.damaged, *damaged) if f.kind == "error"]
    unusable = {f.clip for f in about_frames}
    usable = [clip for clip in collected.clips if clip.name not in unusable]
    code = 1 if unusable or collected.differences or shared else 0
    if (
        len(errors) > len(about_frames)
        or not usable
        or (unusable and not skip_damaged)
        or (strict and collected.differences)
    ):
        code = 2
    title = ("preparation would succeed", "preparation would succeed with another set", "preparation would stop")[code]
    lines += [
        "",
        f"{title}: {clip_count_line(collected.protocol, collected.sources, len(usable))}, "
        f"{count_clips(usable, collected.classes).subjects} subjects, {len(errors)} errors, "
        f"{len(collected.differences)} differences, {len(collected.repairs)} repairs; nothing was written, and no face "
        "was searched",
    ]
    return code, lines


def _repair_lines(collected: CollectedClips) -> Iterator[str]:
    frames = {(c.dataset, c.subject, c.clip): c.frames for c in collected.clips}
    groups = defaultdict(list)
    for row in collected.repairs:
        groups[row.field, row.reason].append(row)
    for (field, reason), rows in groups.items():
        yield f"  {field}: {reason} ({len(rows)})"
        for row in rows:
            key = (row.dataset, row.subject, row.clip)
            yield f"    {'/'.join(key)}: {row.old or 'none'} -> {row.new}  [{frames[key]}]"
