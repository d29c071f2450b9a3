"""The dataset doctor: reads everything, decodes every frame, writes nothing, and says what it found."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from icegan_jax.data.clips import Clip, frames_after_onset
from icegan_jax.data.crop import frames_to_read
from icegan_jax.data.ingest.annotation import Finding
from icegan_jax.data.ingest.collect_clips import CollectedClips
from icegan_jax.data.ingest.messages import count_lines, count_summary_line, finding_lines
from icegan_jax.data.ingest.parallel import run_parallel
from icegan_jax.data.ingest.summary import count_clips, count_datasets
from icegan_jax.data.video import index_frames, read_frame, read_frames
from icegan_jax.errors import UserError

# What each kind of finding means to the reader, in the order in which they are told: the gravest last, where a
# terminal shows them beside the line that sums up.
_TITLES = {
    "excluded": "left out by the protocol's rule",
    "note": "notes",
    "surplus": "surplus: folders and rows that no clip uses",
    "repair": "other repairs",
    "missing": "missing: clips that the protocol has and this copy has not; they are left out",
    "error": "errors: preparation stops at these; clips with damaged frames can be left out with --skip_damaged",
}
_REPAIRS = "repairs: frames that are replaced; a row of a --repairs file beats each of them"


def check_clips(
    gathered: CollectedClips, workers: int | None = None, progress: bool = True, method: str = "difference"
) -> list[Finding]:
    """Decodes every frame of every clip from onset to offset, one at a time in each process.

    Args:
        gathered: the clips.
        workers: processes; by default one per CPU core.
        progress: whether to draw a progress bar on stderr.
        method: how the apex will be spotted where none is annotated.

    Returns:
        For each frame that cannot be decoded or has another size than the clip's first, in the
        order of the clips: an "error" where preparation reads it, a "note" where it does not.
    """
    clips = gathered.clips
    results = run_parallel(partial(check_clip, method=method), clips, workers or os.cpu_count() or 1)
    bar = tqdm(results, total=len(clips), desc="frames", unit="clip", disable=not progress)
    return [finding for findings in bar for finding in findings]


def check_clip(clip: Clip, method: str = "difference") -> list[Finding]:
    """Returns a finding for each frame from onset to offset that cannot be used, as ``examine`` does."""
    if not clip.frames.is_dir():
        return _examine_video(clip, method)
    try:
        files = index_frames(clip.frames)
    except (UserError, OSError) as error:  # it was there a moment ago
        return [_finding(clip, clip.frames, str(error))]
    held = {number: file for number, file in files.items() if clip.onset <= number <= clip.offset}
    read = set(frames_to_read(clip, frames_after_onset(clip, list(held)), method))
    findings = []
    size: tuple[int, ...] = ()
    for number, file in held.items():
        try:
            shape = read_frame(file).shape
        except UserError as error:
            findings.append(_finding(clip, file, str(error), read=number in read))
            continue
        size = size or shape
        if shape != size:
            text = f"is {shape[1]}x{shape[0]}, the clip's first frame {size[1]}x{size[0]}; give frames of one size"
            findings.append(_finding(clip, file, text, read=number in read))
    return findings


def _examine_video(clip: Clip, method: str) -> list[Finding]:
    numbers = range(clip.onset, clip.offset + 1)
    last = max(frames_to_read(clip, numbers[1:], method))
    decoded = -1
    try:
        for number, _ in read_frames(clip.frames, numbers):
            decoded = number
    except (UserError, OSError) as error:
        return [_finding(clip, clip.frames, str(error), read=decoded < last)]
    return []


def _finding(clip: Clip, file: Path, text: str, read: bool = True) -> Finding:
    message, _, remedy = text.removeprefix(f"{file}: ").rpartition("; ")
    if read:
        return Finding("error", clip.name, str(file), message or text, remedy)
    return Finding("note", clip.name, str(file), f"{message or text}; no frame that preparation needs", remedy)


def exit_code(
    gathered: CollectedClips, damaged: Sequence[Finding], *, strict: bool = False, skip_damaged: bool = False
) -> int:
    """Returns the exit code of ``--check``.

    0: preparation would succeed with the protocol's exact set (of sources that no protocol counts:
    with all clips). 1: it would succeed, but something differs. 2: it would stop.

    Args:
        gathered: what the sources hold.
        damaged: what ``examine`` found.
        strict: whether any set but the protocol's is refused.
        skip_damaged: whether clips with damaged frames are left out instead.
    """
    lost = _lost(gathered, damaged)
    fatal = [f for f in gathered.errors if f not in gathered.damaged]
    left = [clip for clip in gathered.clips if clip.name not in lost]
    if fatal or not left or (lost and not skip_damaged) or (strict and gathered.differences):
        return 2
    return 1 if lost or gathered.differences else 0


def _lost(gathered: CollectedClips, damaged: Sequence[Finding]) -> set[str]:
    """Names of the clips that cannot be prepared."""
    return {f.clip for f in (*gathered.damaged, *damaged) if f.kind == "error"}


def format_check(
    gathered: CollectedClips,
    damaged: Sequence[Finding],
    *,
    method: str,
    strict: bool = False,
    skip_damaged: bool = False,
) -> Iterator[str]:
    """Yields the lines of the doctor's report: counts, everything found, and a line that sums up.

    Args:
        gathered: what the sources hold.
        damaged: what ``examine`` found.
        method: how the apex will be spotted where none is annotated.
        strict: whether any set but the protocol's is refused.
        skip_damaged: whether clips with damaged frames are left out.
    """
    yield from count_lines(count_datasets(gathered.clips, gathered.classes))
    spotted = Counter(clip.dataset for clip in gathered.clips if clip.apex is None)
    for dataset, n in spotted.items():
        yield f"{dataset}: {n} clips without an apex, which prepare spots (--apex={method})"
    findings = [*gathered.findings, *damaged]
    if gathered.repairs:
        yield ""
        yield f"{_REPAIRS} ({len(gathered.repairs)})"
        yield from _repair_lines(gathered)
    for kind, title in _TITLES.items():
        group = [f for f in findings if f.kind == kind]
        if group:
            yield ""
            yield f"{title} ({len(group)})"
            yield from finding_lines(group)
    yield ""
    yield _sum_up(gathered, damaged, exit_code(gathered, damaged, strict=strict, skip_damaged=skip_damaged))


def _repair_lines(gathered: CollectedClips) -> Iterator[str]:
    frames = {(c.dataset, c.subject, c.clip): c.frames for c in gathered.clips}
    groups = defaultdict(list)
    for row in gathered.repairs:
        groups[row.field, row.reason].append(row)
    for (field, reason), rows in groups.items():
        yield f"  {field}: {reason} ({len(rows)})"
        for row in rows:
            key = (row.dataset, row.subject, row.clip)
            yield f"    {'/'.join(key)}: {row.old or 'none'} -> {row.new}  [{frames[key]}]"


def _sum_up(gathered: CollectedClips, damaged: Sequence[Finding], code: int) -> str:
    lost = _lost(gathered, damaged)
    left = [clip for clip in gathered.clips if clip.name not in lost]
    errors = len(gathered.errors) + sum(f.kind == "error" for f in damaged)
    words = (
        f"{count_summary_line(gathered.protocol, gathered.sources, len(left))}, "
        f"{count_clips(left, gathered.classes).subjects} subjects, {errors} errors, "
        f"{len(gathered.differences)} differences, {len(gathered.repairs)} repairs; nothing was written"
    )
    if code == 2:
        return f"preparation would stop: {words}"
    if code == 1:
        return f"preparation would succeed with another set: {words}, no face looked for"
    return f"preparation would succeed: {words}, no face looked for"
