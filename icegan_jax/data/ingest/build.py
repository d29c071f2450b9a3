"""The building of a prepared folder from clips: pairs of registered faces, tables, and pictures of all clips."""

import errno
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from icegan_jax.data.apex import check_apex_method
from icegan_jax.data.clip_frames import MAX_FRAMES, MIN_FRAMES, write_clip_frames
from icegan_jax.data.clips import EXPRESSIONS, Clip, read_clips, write_clips
from icegan_jax.data.crop import REGISTRATIONS, ClipCrops, CropOptions, apply_changes, crop_clip
from icegan_jax.data.dataset import SUMMARY_FILE, Record, write_pairs
from icegan_jax.data.ingest import cache
from icegan_jax.data.ingest.annotation import Finding
from icegan_jax.data.ingest.parallel import run_parallel
from icegan_jax.data.ingest.prepared_page import write_contact_sheet, write_page
from icegan_jax.data.ingest.repairs import Repair, make_repair
from icegan_jax.data.ingest.shared_frames import find_shared_frames
from icegan_jax.data.ingest.summary import (
    Summary,
    count_clips,
    count_datasets,
    package_versions,
    write_summary,
    write_table,
)
from icegan_jax.data.landmarks import MARGIN
from icegan_jax.data.names import check_name, check_subjects
from icegan_jax.data.synthetic import DATABASES, draw_clips, draw_databases
from icegan_jax.errors import UserError
from icegan_jax.io import CACHE_DIR, atomic_dir

# Damaged clips that the error names with their reason, the first with the whole path; the others are counted.
_MAX_NAMED = 3


@dataclass(frozen=True)
class BuildContext:
    """Information about the clips that goes into the prepared folder.

    Attributes:
        repairs: the repairs of the annotation.
        findings: the findings about the sources.
        classes: names of the classes, in label order.
        protocol: the protocol that selected the clips; "" without one.
        sources: names of the sources.
    """

    repairs: Sequence[Repair] = ()
    findings: Sequence[Finding] = ()
    classes: tuple[str, ...] = EXPRESSIONS
    protocol: str = ""
    sources: tuple[str, ...] = ()


def _check_damaged(results: Sequence[ClipCrops | Finding], options: CropOptions) -> None:
    """Check that no clip is damaged, or that damaged clips may be left out and others remain.

    Raises:
        UserError: a clip is damaged. The message names the first damaged clips, with the reasons, and their number.
    """
    damaged = [result for result in results if isinstance(result, Finding)]
    if not damaged or (options.skip_damaged and len(damaged) < len(results)):
        return
    first = damaged[0]
    named = [f"{first.clip} ({first.where}: {first.message})"]
    named += [f"{f.clip} ({Path(f.where).name}: {f.message})" for f in damaged[1:_MAX_NAMED]]
    more = f" and {len(damaged) - _MAX_NAMED} more" if len(damaged) > _MAX_NAMED else ""
    remedy = first.remedy or "restore the frames"
    if not options.skip_damaged:
        remedy += ", or leave such clips out with --skip_damaged; the finished clips are kept for the next run"
    raise UserError(f"{len(damaged)} of {len(results)} clips cannot be prepared: {', '.join(named)}{more}; {remedy}")


def _check_shared(shared: Sequence[Finding]) -> None:
    """Check that no frames of two subjects have two labels.

    Raises:
        UserError: they have. The message names the first clip.
    """
    errors = [finding for finding in shared if finding.kind == "error"]
    if errors:
        first = errors[0]
        more = f" ({len(errors) - 1} more with errors)" if len(errors) > 1 else ""
        raise UserError(f"{first.where}: clip {first.clip} {first.message}{more}; {first.remedy}; see all with --check")


def _write_prepared_dir(
    folder: Path,
    clips: Sequence[Clip],
    results: Sequence[ClipCrops | Finding],
    context: BuildContext,
    options: CropOptions,
) -> Summary:
    """Write all files of a prepared folder, prepared.json last, and return the content of prepared.json.

    Args:
        folder: an existing folder to write into.
        clips: the clips, in the order in which they are written.
        results: for each clip its crops, or the reason why the clip is left out.
        context: information about the clips.
        options: the options of the crops.

    Raises:
        OSError: a file cannot be written.
    """
    used: list[Clip] = []
    records: list[Record] = []
    crop_repairs: list[Repair] = []
    left_out: list[Finding] = []
    for clip, result in zip(clips, results, strict=True):
        if isinstance(result, Finding):
            left_out.append(replace(result, message=f"left out: {result.message}"))
            continue
        used.append(apply_changes(clip, result))
        records += [
            Record(clip.dataset, clip.subject, clip.clip, clip.label, shift, result.onset, apex=face, rest=rest)
            for shift, face, rest in zip(result.shifts, result.faces, result.rest, strict=True)
        ]
        crop_repairs += [make_repair(clip, c.field, c.old, c.new, c.reason) for c in result.changes]
    findings = [*context.findings, *left_out]
    repairs = _sort_repairs([*context.repairs, *crop_repairs], clips, left_out)
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
        left_out=tuple(finding.clip for finding in left_out),
        repairs=len(repairs),
        findings=len(findings),
        register=options.register,
        apex_method=options.apex,
        size=options.size,
        margin=MARGIN,
        versions=package_versions(),
        fingerprint=_write_pairs(folder, records, context.classes),
    )
    if options.clip_frames:
        write_clip_frames(folder, used, [crops.clip_frames for crops in results if isinstance(crops, ClipCrops)])
    write_clips(folder / "clips.csv", used, context.classes)
    write_table(folder / "repairs.csv", Repair, repairs)
    write_table(folder / "findings.csv", Finding, findings)
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


def _sort_repairs(repairs: Sequence[Repair], clips: Sequence[Clip], left_out: Sequence[Finding]) -> list[Repair]:
    """Sort repairs by the order of the clips, without those of clips that are left out."""
    index = {(clip.dataset, clip.subject, clip.clip): n for n, clip in enumerate(clips)}
    without = {finding.clip for finding in left_out}
    remaining = [row for row in repairs if f"{row.dataset}/{row.subject}/{row.clip}" not in without]
    return sorted(remaining, key=lambda row: index.get((row.dataset, row.subject, row.clip), len(clips)))


def _write_pairs(folder: Path, records: Sequence[Record], classes: Sequence[str]) -> str:
    """Write the pairs and return their fingerprint.

    array_record and TFDS raise exceptions of many kinds where the disk is full; all become ``OSError``.
    """
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


def prepare_clips(
    clips: Sequence[Clip],
    out: str | Path,
    *,
    context: BuildContext = BuildContext(),  # noqa: B008 (frozen)
    options: CropOptions = CropOptions(),  # noqa: B008 (frozen)
    workers: int | None = None,
    progress: bool = True,
) -> Summary:
    """Write the prepared dataset folder ``out`` of the clips, in place of an earlier one.

    The folder holds the TFDS dataset, clips.csv with the spotted apexes, repairs.csv, findings.csv, contact_sheet.png,
    index.html, prepared.json, and a cache of the clips. The folder appears when all files are written (``atomic_dir``);
    its content depends neither on ``workers`` nor on the reuse of clips.

    Each finished clip is stored at once: after a run that was interrupted or killed, the next run prepares only the
    remaining clips. The next run also reuses the clips of an earlier ``out`` whose frames, frame numbers and options
    are the same.

    Args:
        clips: the repaired clips (``repair_annotation``), in the order in which they are written.
        out: the folder to write.
        context: information about the clips.
        options: the options of the crops.
        workers: number of processes; by default one per CPU core.
        progress: whether to draw a progress bar on stderr.

    Raises:
        UserError: an option or a name is wrong, a clip's frames are damaged or show no face (unless ``skip_damaged``),
            or ``out`` cannot be written.
    """
    check_frames_outside(clips, out)
    _check_arguments(clips, options)
    with atomic_dir(out, SUMMARY_FILE, "prepare") as staging:
        return _prepare_into(staging, clips, context, options, workers, progress, earlier=Path(out))


def prepare_procedural(
    out: str | Path,
    *,
    seed: int,
    subjects: int,
    clips_per_class: int,
    frames: int,
    databases: int = 1,
    like: str | None = None,
    options: CropOptions = CropOptions(),  # noqa: B008 (frozen)
    workers: int | None = None,
    progress: bool = True,
) -> Summary:
    """Draw procedural faces into ``out``/raw and prepare them like any clips, without a cache.

    Args:
        out: the folder to write; an earlier prepared one is replaced.
        seed: seed of the drawing.
        subjects: number of persons.
        clips_per_class: clips per person and expression.
        frames: frames per clip.
        databases: number of databases among which the persons are divided.
        like: a name in ``synthetic.DATABASES``: draw those databases; ``subjects``, ``clips_per_class``, ``frames`` and
            ``databases`` are then not read.
        options: the options of the crops.
        workers: number of processes; by default one per CPU core.
        progress: whether to draw progress bars on stderr.

    Raises:
        UserError: a number is out of range, or ``out`` cannot be written.
    """
    with atomic_dir(out, SUMMARY_FILE, "prepare") as staging:
        raw = staging / "raw"
        if like is not None:
            csv_path = draw_databases(raw, DATABASES[like], seed=seed, workers=workers, progress=progress)
        else:
            csv_path = draw_clips(
                raw,
                seed=seed,
                subjects=subjects,
                clips_per_class=clips_per_class,
                frames=frames,
                progress=progress,
                databases=databases,
            )
        clips = read_clips(csv_path)
        _check_arguments(clips, options)
        return _prepare_into(
            staging, clips, BuildContext(sources=("procedural",)), options, workers, progress, earlier=None
        )


def check_frames_outside(clips: Sequence[Clip], out: str | Path) -> None:
    """Check that the folder ``out``, which is going to be replaced, holds no frames of the clips.

    Raises:
        UserError: it does.
    """
    for clip in clips:
        if clip.frames.resolve().is_relative_to(Path(out).resolve()):
            raise UserError(
                f"{out}: holds the frames of clip {clip.name}, which it would replace; choose another --out"
            )


def check_crop_options(options: CropOptions) -> None:
    """Check the values of the options.

    Raises:
        UserError: a value is unknown or out of range.
    """
    if options.register not in REGISTRATIONS:
        raise UserError(f"register {options.register!r} is unknown; use {' or '.join(REGISTRATIONS)}")
    if not 16 <= options.size <= 1024:
        raise UserError(f"size {options.size} is out of range; use 16 to 1024 pixels")
    if options.clip_frames and not MIN_FRAMES <= options.clip_frames <= MAX_FRAMES:
        raise UserError(f"clip_frames {options.clip_frames} is out of range; use {MIN_FRAMES} to {MAX_FRAMES}, or 0")
    check_apex_method(options.apex)


def _check_arguments(clips: Sequence[Clip], options: CropOptions) -> None:
    if not clips:
        raise UserError("no clips to prepare; give at least one")
    check_crop_options(options)
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
    """Prepare the clips into ``staging``; with a path of an ``earlier`` folder, clips are stored and reused."""
    start = time.perf_counter()
    results: dict[int, ClipCrops | Finding] = {}
    keys: dict[int, str] = {}
    if earlier is not None:
        for index, clip in enumerate(clips):
            try:
                keys[index] = cache.cache_key(clip, options)
            except UserError as error:
                results[index] = _finding(clip, error)
                continue
            cached = cache.reuse_cached(staging / CACHE_DIR, earlier / CACHE_DIR, keys[index])
            if cached is not None:
                results[index] = cached
    reused = sum(isinstance(result, ClipCrops) for result in results.values())
    remaining = [index for index in range(len(clips)) if index not in results]
    work = partial(_prepare_clip, options=options, cache_dir=staging / CACHE_DIR)
    tasks = [(clips[index], keys.get(index)) for index in remaining]
    frames = 0
    with tqdm(total=len(clips), initial=len(results), desc="faces", unit="clip", disable=not progress) as bar:
        for index, result in zip(remaining, run_parallel(work, tasks, workers or os.cpu_count() or 1), strict=True):
            results[index] = result
            frames += result.frames if isinstance(result, ClipCrops) else 0
            bar.set_postfix_str(f"{frames / (time.perf_counter() - start):.0f} frames/s", refresh=False)
            bar.update()
    seconds = time.perf_counter() - start
    ordered = [results[index] for index in range(len(clips))]
    _check_damaged(ordered, options)
    shared = find_shared_frames(clips, [r.digests if isinstance(r, ClipCrops) else () for r in ordered])
    _check_shared(shared)
    context = replace(context, findings=[*context.findings, *shared])
    summary = _write_prepared_dir(staging, clips, ordered, context, options)
    cache.prune_cache(staging / CACHE_DIR, set(keys.values()))
    return replace(summary, reused=reused, seconds=seconds, frames_per_second=frames / seconds)


def _prepare_clip(task: tuple[Clip, str | None], options: CropOptions, cache_dir: Path) -> ClipCrops | Finding:
    """Crop a clip and store the result under its key, in a process of its own; without a key nothing is stored."""
    clip, key = task
    try:
        cropped = crop_clip(clip, options)
    except UserError as error:
        return _finding(clip, error)
    except OSError as error:
        return _finding(clip, UserError(f"{clip.frames}: cannot be read ({error}); restore the frames"))
    if key is not None:
        cache.store_in_cache(cache_dir, key, cropped)
    return cropped


def _finding(clip: Clip, error: UserError) -> Finding:
    """Return the reason why a clip cannot be prepared; the text of an error is "FILE: message; remedy"."""
    text = str(error)
    where, colon, rest = text.partition(": ")
    if not colon or not where.startswith(str(clip.frames)):
        where, rest = str(clip.frames), text
    message, _, remedy = rest.rpartition("; ")
    return Finding("missing", clip.name, where, message or rest, remedy if message else "")
