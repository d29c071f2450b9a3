"""The lines that the command prepare prints: counts, findings, and the result."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from icegan_jax.data.ingest.annotation import Finding
from icegan_jax.data.ingest.collect_clips import CollectedClips
from icegan_jax.data.ingest.expected_counts import MEGC2019_COUNTS
from icegan_jax.data.ingest.summary import Counts, Summary

# Differences that are printed at the end of prepare; --check and findings.csv show all.
_MAX_DIFFERENCES = 20


def count_lines(datasets: Mapping[str, Counts]) -> Iterator[str]:
    """Yield a table: clips, subjects and clips per class of each database, and their sums."""
    if not datasets:
        return
    classes = list(next(iter(datasets.values())).classes)
    columns = ("clips", "subjects", *classes)
    rows = {name: (c.clips, c.subjects, *(c.classes[word] for word in classes)) for name, c in datasets.items()}
    if len(rows) > 1:
        rows["all"] = tuple(map(sum, zip(*rows.values(), strict=True)))
    width = max(map(len, (*rows, "database")))
    yield "  ".join((f"{'database':{width}}", *(f"{name:>8}" for name in columns)))
    for name, numbers in rows.items():
        cells = (f"{n:>{max(8, len(column))}}" for n, column in zip(numbers, columns, strict=True))
        yield "  ".join((f"{name:{width}}", *cells))


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a line per finding; findings with one message are listed together below the message."""
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for f in findings:
        groups[f.message, f.remedy].append(f)
    for (message, remedy), group in groups.items():
        text = f"{message}; {remedy}" if remedy else message
        if len(group) == 1:
            yield f"  {group[0].clip}: {text}{_location(group[0])}"
            continue
        yield f"  {text} ({len(group)})"
        for f in group:
            yield f"    {f.clip}{_location(f)}"


def _location(finding: Finding) -> str:
    return f"  [{finding.where}]" if finding.where else ""


def clip_count_line(protocol: str, sources: Iterable[str], clips: int) -> str:
    """Return the number of clips, beside the expected number where the protocol is MEGC2019."""
    if protocol == "megc2019":
        return f"{clips} of {sum(sum(MEGC2019_COUNTS[name].clips_per_class) for name in sources)} clips of MEGC2019"
    return f"{clips} clips, protocol {protocol}"


def result_lines(summary: Summary, out: str, collected: CollectedClips | None = None) -> Iterator[str]:
    """Yield the lines at the end of prepare.

    Args:
        summary: the summary of the prepared folder.
        out: the folder, as the user wrote it.
        collected: the clips and findings of the sources; None for faces that the program drew.
    """
    counts = ", ".join(f"{n} {word}" for word, n in summary.classes.items())
    yield f"{summary.faces_found} of {summary.faces_found + len(summary.left_out)} faces found"
    yield f"{summary.clips} clips of {summary.subjects} subjects: {counts}"
    if len(summary.datasets) > 1:
        yield from count_lines(summary.datasets)
    if collected is not None:
        yield from _clip_set_lines(collected, summary, out)
        spotted = sum(clip.apex is None and clip.name not in summary.left_out for clip in collected.clips)
        if spotted:
            yield f"{spotted} apexes spotted, as none is annotated: --apex={summary.apex_method}"
    yield f"{summary.pairs} pairs of onset and frame, {summary.size}x{summary.size} gray, register={summary.register}"
    yield f"{summary.repairs} spotted apexes and repairs, each with its reason: {out}/repairs.csv"
    # Without frame numbers, equal reasons are counted together.
    with (Path(out) / "repairs.csv").open(newline="", encoding="utf-8") as file:
        kinds = Counter(f"{row['field']}: {re.sub('[0-9]+', 'N', row['reason'])}" for row in csv.DictReader(file))
    yield from (f"  {n} {kind}" for kind, n in kinds.most_common())
    if summary.frames_per_second:
        yield f"{summary.frames_per_second:.0f} frames per second over {summary.seconds:.1f} s"
    if summary.reused:
        yield f"{summary.reused} clips taken from an earlier run, as nothing about them changed"
    yield f"inspect the faces in {out}/contact_sheet.png, and everything in {out}/index.html"
    yield f"dataset: {out}  (fingerprint {summary.fingerprint[:12]})"


def _clip_set_lines(collected: CollectedClips, summary: Summary, out: str) -> Iterator[str]:
    yield clip_count_line(collected.protocol, collected.sources, summary.clips)
    with (Path(out) / "findings.csv").open(newline="", encoding="utf-8") as file:
        findings = [Finding(**row) for row in csv.DictReader(file)]
    yield from finding_lines(f for f in findings if f.kind in ("assumed", "shared"))
    damaged = dict.fromkeys(f.clip for f in collected.damaged)
    if damaged:
        yield f"left out, as their frames are damaged: {', '.join(damaged)}"
    if summary.left_out:
        yield f"left out, as their frames are damaged or show no face: {', '.join(summary.left_out)}"
    yield from finding_lines(collected.differences[:_MAX_DIFFERENCES])
    if len(collected.differences) > _MAX_DIFFERENCES:
        yield f"  and {len(collected.differences) - _MAX_DIFFERENCES} more: {out}/findings.csv"
