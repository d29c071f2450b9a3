"""Writes the content of a prepared folder: pairs, tables, pictures, and what was done and said.

From settled clips to a prepared dataset folder, which holds all that was done and said.
"""

import errno
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from icegan_jax.data.apex import check_apex_method
from icegan_jax.data.clips import EXPRESSIONS, Clip, read_clips, write_clips
from icegan_jax.data.crop import REGISTRATIONS, SIZE, ClipCrops, CropOptions, CropRepair, crop_clip
from icegan_jax.data.dataset import SUMMARY_FILE, Record, write_pairs
from icegan_jax.data.ingest import cache
from icegan_jax.data.ingest.annotation import Finding
from icegan_jax.data.ingest.contact_sheet import write_contact_sheet
from icegan_jax.data.ingest.parallel import run_parallel
from icegan_jax.data.ingest.prepared_page import write_page
from icegan_jax.data.ingest.repairs import Repair, repair, write_repairs
from icegan_jax.data.ingest.summary import (
    Summary,
    count_clips,
    count_datasets,
    package_versions,
    write_findings,
    write_summary,
)
from icegan_jax.data.landmarks import MARGIN
from icegan_jax.data.names import check_name, check_subjects
from icegan_jax.data.synthetic import draw_clips
from icegan_jax.errors import UserError
from icegan_jax.io import CACHE_DIR, atomic_dir

# Damaged clips that the error names with their reason, the first with the whole path; the others it counts.
_NAMED = 3


@dataclass(frozen=True)
class BuildContext:
    """What is known about the clips beside themselves, and goes into the prepared folder.

    Attributes:
        repairs: what was changed to settle the clips.
        findings: what else is to be known about them.
        classes: names of the classes, in label order.
        protocol: the rule that chose the clips; "" without one.
        sources: where the clips come from.
    """

    repairs: Sequence[Repair] = ()
    findings: Sequence[Finding] = ()
    classes: tuple[str, ...] = EXPRESSIONS
    protocol: str = ""
    sources: tuple[str, ...] = ()


def check_damaged(results: Sequence[ClipCrops | Finding], options: CropOptions) -> None:
    """Stops where a clip is damaged, unless damaged clips are to be left out and others are not.

    Raises:
        UserError: names the first damaged clips, with the reasons, and how many there are.
    """
    damaged = [result for result in results if isinstance(result, Finding)]
    if not damaged or (options.skip_damaged and len(damaged) < len(results)):
        return
    first = damaged[0]
    named = [f"{first.clip} ({first.where}: {first.message})"]
    named += [f"{f.clip} ({Path(f.where).name}: {f.message})" for f in damaged[1:_NAMED]]
    more = f" and {len(damaged) - _NAMED} more" if len(damaged) > _NAMED else ""
    remedy = first.remedy or "restore the frames"
    if not options.skip_damaged:
        remedy += ", or leave such clips out with --skip_damaged; the finished clips are kept for the next run"
    raise UserError(f"{len(damaged)} of {len(results)} clips cannot be prepared: {', '.join(named)}{more}; {remedy}")


def write_prepared_dir(
    folder: Path,
    clips: Sequence[Clip],
    results: Sequence[ClipCrops | Finding],
    context: BuildContext,
    options: CropOptions,
) -> Summary:
    """Writes all that a prepared folder holds, prepared.json last.

    Args:
        folder: an existing folder to write into.
        clips: the clips, in the order in which they are written.
        results: what became of each: its crops, or why it is left out.
        context: what goes with them.
        options: how they were prepared.

    Returns:
        The content of prepared.json.

    Raises:
        OSError: a file cannot be written.
    """
    used: list[Clip] = []
    records: list[Record] = []
    changes: list[Repair] = []
    lost: list[Finding] = []
    for clip, result in zip(clips, results, strict=True):
        if isinstance(result, Finding):
            lost.append(replace(result, message=f"left out: {result.message}"))
            continue
        used.append(replace(clip, apex=result.apex))
        records += _records(clip, result)
        changes += [_repair_of(clip, change) for change in result.changes]
    findings = [*context.findings, *lost]
    repairs = _in_order([*context.repairs, *changes], clips, lost)
    apexes = [record for record in records if record.shift == 0]
    counts = count_clips(used, context.classes)
    summary = Summary(
        clips=counts.clips,
        subjects=counts.subjects,
        faces_found=len(used),
        pairs=len(records),
        protocol=context.protocol,
        sources=context.sources,
        classes=counts.classes,
        datasets=count_datasets(used, context.classes),
        left_out=tuple(finding.clip for finding in lost),
        repairs=len(repairs),
        findings=len(findings),
        register=options.register,
        apex_method=options.apex,
        size=options.size,
        margin=MARGIN,
        versions=package_versions(),
        fingerprint=_write_pairs(folder, records, context.classes),
    )
    write_clips(folder / "clips.csv", used, context.classes)
    write_repairs(folder / "repairs.csv", repairs)
    write_findings(folder / "findings.csv", findings)
    write_contact_sheet(folder / "contact_sheet.png", apexes, context.classes)
    write_page(
        folder / "index.html",
        summary=summary.content(),
        apexes=apexes,
        clips=used,
        repairs=repairs,
        findings=findings,
        classes=context.classes,
    )
    write_summary(folder / SUMMARY_FILE, summary)
    return summary


def _records(clip: Clip, cropped: ClipCrops) -> list[Record]:
    return [
        Record(clip.dataset, clip.subject, clip.clip, clip.label, shift, onset=cropped.onset, apex=face)
        for shift, face in zip(cropped.shifts, cropped.faces, strict=True)
    ]


def _repair_of(clip: Clip, change: CropRepair) -> Repair:
    return repair(clip, change.field, change.old, change.new, change.reason)


def _in_order(repairs: Sequence[Repair], clips: Sequence[Clip], lost: Sequence[Finding]) -> list[Repair]:
    """Sorts repairs by their clip's place, those of no clip last; a clip left out needs none."""
    place = {(clip.dataset, clip.subject, clip.clip): n for n, clip in enumerate(clips)}
    without = {finding.clip for finding in lost}
    kept = [row for row in repairs if f"{row.dataset}/{row.subject}/{row.clip}" not in without]
    return sorted(kept, key=lambda row: place.get((row.dataset, row.subject, row.clip), len(clips)))


def _write_pairs(folder: Path, records: Sequence[Record], classes: Sequence[str]) -> str:
    """Writes the pairs; array_record and TFDS raise many kinds where the disk refuses."""
    try:
        return write_pairs(folder, records, classes)
    except (UserError, OSError):
        raise
    except Exception as error:
        line = " ".join(str(error).split())[:200]
        for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            if os.strerror(code) in line:
                raise OSError(code, os.strerror(code)) from error
        raise OSError(errno.EIO, line) from error


__all__ = ["REGISTRATIONS", "SIZE", "CropOptions", "prepare_clips", "prepare_procedural"]


@dataclass(frozen=True)
class _Task:
    """One clip's work; without a key nothing is kept."""

    clip: Clip
    options: CropOptions
    folder: Path
    key: str | None


def prepare_clips(
    clips: Sequence[Clip],
    out: str | Path,
    *,
    repairs: Sequence[Repair] = (),
    findings: Sequence[Finding] = (),
    classes: Sequence[str] = EXPRESSIONS,
    protocol: str = "",
    sources: Sequence[str] = (),
    options: CropOptions = CropOptions(),  # noqa: B008 (frozen)
    workers: int | None = None,
    progress: bool = True,
) -> Summary:
    """Turns clips into the prepared dataset folder ``out``, which replaces an earlier one.

    Writes the TFDS dataset, clips.csv with the spotted apexes, repairs.csv, findings.csv,
    contact_sheet.png, index.html, prepared.json, and a cache of the clips. The folder appears when
    all of it is written; its content does not depend on ``workers``, nor on what was reused.

    Each finished clip is kept beside ``out`` at once (``replaced_folder``): where a run ends early,
    however it ends, the next one lacks only the clips that were being worked on. The next run
    also reuses the clips of an earlier ``out`` whose frames, frame numbers and options are the same.

    Args:
        clips: the clips, settled (``repairs.settle``), in the order in which they are written.
        out: the folder to make.
        repairs: what was changed to settle them.
        findings: what else is to be known about them.
        classes: names of the classes, in label order.
        protocol: the rule that chose the clips.
        sources: where the clips come from.
        options: how to prepare them.
        workers: processes; by default one per CPU core.
        progress: whether to draw a progress bar on stderr.

    Raises:
        UserError: an option or a name is wrong, a clip's frames are damaged or show no face (unless
            ``skip_damaged``), or ``out`` cannot be written.
    """
    for clip in clips:
        if clip.frames.resolve().is_relative_to(Path(out).resolve()):
            raise UserError(
                f"{out}: holds the frames of clip {clip.name}, which it would replace; choose another --out"
            )
    _check(clips, options)
    context = BuildContext(repairs, findings, tuple(classes), protocol, tuple(sources))
    with atomic_dir(out) as staging:
        return _prepare_into(staging, clips, context, options, workers, progress, earlier=Path(out))


def prepare_procedural(
    out: str | Path,
    *,
    seed: int,
    subjects: int,
    clips_per_class: int,
    frames: int,
    databases: int = 1,
    options: CropOptions = CropOptions(),  # noqa: B008 (frozen)
    workers: int | None = None,
    progress: bool = True,
) -> Summary:
    """Draws procedural faces into ``out``/raw and prepares them like any clips; nothing is kept or reused.

    Args:
        out: the folder to make; an earlier prepared one is replaced.
        seed: of the drawing.
        subjects: persons to draw.
        clips_per_class: clips per person and expression.
        frames: frames per clip.
        databases: to how many databases the people are dealt out.
        options: how to prepare them.
        workers: processes; by default one per CPU core.
        progress: whether to draw progress bars on stderr.

    Raises:
        UserError: a number is out of range, or ``out`` cannot be written.
    """
    with atomic_dir(out) as staging:
        csv_path = draw_clips(
            staging / "raw",
            seed=seed,
            subjects=subjects,
            clips_per_class=clips_per_class,
            frames=frames,
            progress=progress,
            databases=databases,
        )
        clips = read_clips(csv_path)
        _check(clips, options)
        return _prepare_into(
            staging, clips, BuildContext(sources=("procedural",)), options, workers, progress, earlier=None
        )


def _check(clips: Sequence[Clip], options: CropOptions) -> None:
    if not clips:
        raise UserError("no clips to prepare; give at least one")
    if options.register not in REGISTRATIONS:
        raise UserError(f"register {options.register!r} is unknown; use {' or '.join(REGISTRATIONS)}")
    if not 16 <= options.size <= 1024:
        raise UserError(f"size {options.size} is out of range; use 16 to 1024 pixels")
    check_apex_method(options.apex)
    check_subjects((clip.dataset, clip.subject) for clip in clips)
    for clip in clips:
        check_name(clip.clip, "clip")


def _prepare_into(
    staging: Path,
    clips: Sequence[Clip],
    context: BuildContext,
    options: CropOptions,
    workers: int | None,
    progress: bool,
    *,
    earlier: Path | None,
) -> Summary:
    """Prepares the clips into ``staging``; where there may be an ``earlier`` folder, clips are kept and reused."""
    start = time.perf_counter()
    results: dict[int, ClipCrops | Finding] = {}
    keys: dict[int, str] = {}
    if earlier is not None:
        for place, clip in enumerate(clips):
            try:
                keys[place] = cache.cache_key(clip, options)
            except UserError as error:
                results[place] = _finding(clip, error)
                continue
            kept = cache.reuse_cached(staging / CACHE_DIR, earlier / CACHE_DIR, keys[place])
            if kept is not None:
                results[place] = kept
    reused = sum(isinstance(result, ClipCrops) for result in results.values())
    tasks = {
        place: _Task(clip, options, staging / CACHE_DIR, keys.get(place))
        for place, clip in enumerate(clips)
        if place not in results
    }
    work = run_parallel(_work, list(tasks.values()), workers or os.cpu_count() or 1)
    frames = 0
    with tqdm(total=len(clips), initial=len(results), desc="faces", unit="clip", disable=not progress) as bar:
        for place, result in zip(tasks, work, strict=True):
            results[place] = result
            frames += result.frames if isinstance(result, ClipCrops) else 0
            bar.set_postfix_str(f"{frames / (time.perf_counter() - start):.0f} frames/s", refresh=False)
            bar.update()
    seconds = time.perf_counter() - start
    in_order = [results[place] for place in range(len(clips))]
    check_damaged(in_order, options)
    summary = write_prepared_dir(staging, clips, in_order, context, options)
    cache.prune_cache(staging / CACHE_DIR, set(keys.values()))
    return replace(summary, reused=reused, seconds=seconds, frames_per_second=frames / seconds)


def _work(task: _Task) -> ClipCrops | Finding:
    """Prepares one clip, in a process of its own, and keeps it."""
    try:
        cropped = crop_clip(task.clip, task.options)
    except UserError as error:
        return _finding(task.clip, error)
    except OSError as error:
        return _finding(task.clip, UserError(f"{task.clip.frames}: cannot be read ({error}); restore the frames"))
    if task.key is not None:
        cache.store_in_cache(task.folder, task.key, cropped)
    return cropped


def _finding(clip: Clip, error: UserError) -> Finding:
    """Tells why a clip cannot be prepared; errors are "PLACE: what; remedy"."""
    text = str(error)
    where, colon, rest = text.partition(": ")
    if not colon or not where.startswith(str(clip.frames)):
        where, rest = str(clip.frames), text
    message, _, remedy = rest.rpartition("; ")
    return Finding("missing", clip.name, where, message or rest, remedy if message else "")
