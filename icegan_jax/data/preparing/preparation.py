"""From settled clips to a prepared dataset folder, which holds all that was done and said."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from icegan_jax.data.annotation import Finding
from icegan_jax.data.apex import check_method
from icegan_jax.data.clips import EXPRESSIONS, Clip, read_clips
from icegan_jax.data.names import check_name, check_people
from icegan_jax.data.preparing import cache
from icegan_jax.data.preparing.cropping import REGISTRATIONS, SIZE, Cropped, Options, crop_clip
from icegan_jax.data.preparing.parallel import run_parallel
from icegan_jax.data.preparing.replacement import KEPT, replaced_folder
from icegan_jax.data.preparing.summary import Summary
from icegan_jax.data.preparing.writing import Context, refuse_damaged, write_folder
from icegan_jax.data.procedural import write_clips_to
from icegan_jax.data.selection.repairs import Repair
from icegan_jax.errors import UserError

__all__ = ["REGISTRATIONS", "SIZE", "Options", "prepare_clips", "prepare_procedural"]


@dataclass(frozen=True)
class _Task:
    """One clip's work; without a key nothing is kept."""

    clip: Clip
    options: Options
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
    options: Options = Options(),  # noqa: B008 (frozen)
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
    context = Context(repairs, findings, tuple(classes), protocol, tuple(sources))
    with replaced_folder(out) as staging:
        return _prepare_into(staging, clips, context, options, workers, progress, earlier=Path(out))


def prepare_procedural(
    out: str | Path,
    *,
    seed: int,
    subjects: int,
    clips_per_class: int,
    frames: int,
    databases: int = 1,
    options: Options = Options(),  # noqa: B008 (frozen)
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
    with replaced_folder(out) as staging:
        csv_path = write_clips_to(
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
        return _prepare_into(staging, clips, Context(sources=("procedural",)), options, workers, progress, earlier=None)


def _check(clips: Sequence[Clip], options: Options) -> None:
    if not clips:
        raise UserError("no clips to prepare; give at least one")
    if options.register not in REGISTRATIONS:
        raise UserError(f"register {options.register!r} is unknown; use {' or '.join(REGISTRATIONS)}")
    if not 16 <= options.size <= 1024:
        raise UserError(f"size {options.size} is out of range; use 16 to 1024 pixels")
    check_method(options.apex)
    check_people((clip.dataset, clip.subject) for clip in clips)
    for clip in clips:
        check_name(clip.clip, "clip")


def _prepare_into(
    staging: Path,
    clips: Sequence[Clip],
    context: Context,
    options: Options,
    workers: int | None,
    progress: bool,
    *,
    earlier: Path | None,
) -> Summary:
    """Prepares the clips into ``staging``; where there may be an ``earlier`` folder, clips are kept and reused."""
    start = time.perf_counter()
    results: dict[int, Cropped | Finding] = {}
    keys: dict[int, str] = {}
    if earlier is not None:
        for place, clip in enumerate(clips):
            try:
                keys[place] = cache.key_of(clip, options)
            except UserError as error:
                results[place] = _finding(clip, error)
                continue
            kept = cache.reuse(staging / KEPT, earlier / KEPT, keys[place])
            if kept is not None:
                results[place] = kept
    reused = sum(isinstance(result, Cropped) for result in results.values())
    tasks = {
        place: _Task(clip, options, staging / KEPT, keys.get(place))
        for place, clip in enumerate(clips)
        if place not in results
    }
    work = run_parallel(_work, list(tasks.values()), workers or os.cpu_count() or 1)
    frames = 0
    with tqdm(total=len(clips), initial=len(results), desc="faces", unit="clip", disable=not progress) as bar:
        for place, result in zip(tasks, work, strict=True):
            results[place] = result
            frames += result.frames if isinstance(result, Cropped) else 0
            bar.set_postfix_str(f"{frames / (time.perf_counter() - start):.0f} frames/s", refresh=False)
            bar.update()
    seconds = time.perf_counter() - start
    in_order = [results[place] for place in range(len(clips))]
    refuse_damaged(in_order, options)
    summary = write_folder(staging, clips, in_order, context, options)
    cache.keep_only(staging / KEPT, set(keys.values()))
    return replace(summary, reused=reused, seconds=seconds, frames_per_second=frames / seconds)


def _work(task: _Task) -> Cropped | Finding:
    """Prepares one clip, in a process of its own, and keeps it."""
    try:
        cropped = crop_clip(task.clip, task.options)
    except UserError as error:
        return _finding(task.clip, error)
    except OSError as error:
        return _finding(task.clip, UserError(f"{task.clip.frames}: cannot be read ({error}); restore the frames"))
    if task.key is not None:
        cache.store(task.folder, task.key, cropped)
    return cropped


def _finding(clip: Clip, error: UserError) -> Finding:
    """Tells why a clip cannot be prepared; errors are "PLACE: what; remedy"."""
    text = str(error)
    where, colon, rest = text.partition(": ")
    if not colon or not where.startswith(str(clip.frames)):
        where, rest = str(clip.frames), text
    message, _, remedy = rest.rpartition("; ")
    return Finding("missing", clip.name, where, message or rest, remedy if message else "")
