"""Writes the content of a prepared folder: pairs, tables, pictures, and what was done and said."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from icegan_jax.data.annotation import Finding
from icegan_jax.data.clips import EXPRESSIONS, Clip, write_clips
from icegan_jax.data.dataset import SUMMARY_FILE, Record, write_pairs
from icegan_jax.data.faces import MARGIN
from icegan_jax.data.preparing.contact_sheet import write_contact_sheet
from icegan_jax.data.preparing.cropping import Change, Cropped, Options
from icegan_jax.data.preparing.page import write_page
from icegan_jax.data.preparing.summary import (
    Summary,
    count_clips,
    count_datasets,
    package_versions,
    write_findings,
    write_summary,
)
from icegan_jax.data.selection.repairs import Repair, repair, write_repairs
from icegan_jax.errors import UserError

# Damaged clips that the error names with their reason, the first with the whole path; the others it counts.
_NAMED = 3


@dataclass(frozen=True)
class Context:
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


def refuse_damaged(results: Sequence[Cropped | Finding], options: Options) -> None:
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


def write_folder(
    folder: Path, clips: Sequence[Clip], results: Sequence[Cropped | Finding], context: Context, options: Options
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


def _records(clip: Clip, cropped: Cropped) -> list[Record]:
    return [
        Record(clip.dataset, clip.subject, clip.clip, clip.label, shift, onset=cropped.onset, apex=face)
        for shift, face in zip(cropped.shifts, cropped.faces, strict=True)
    ]


def _repair_of(clip: Clip, change: Change) -> Repair:
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
