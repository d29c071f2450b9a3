"""Which annotated clips a protocol uses, and with which label: by rule, never by a list of clips."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from icegan_jax.data.ingest.annotation import Annotation, DatabaseAnnotation, Finding
from icegan_jax.data.ingest.emotions import FIVE_CLASS_EMOTIONS
from icegan_jax.data.ingest.emotions import protocol_classes
from icegan_jax.data.ingest.emotions import emotion_of_annotation
from icegan_jax.data.ingest.emotions import possible_labels
from icegan_jax.data.ingest.expected_counts import CORRECT_REMEDY
from icegan_jax.data.ingest.expected_counts import FIVE_CLASS_COUNTS
from icegan_jax.data.ingest.expected_counts import MEGC2019_COUNTS
from icegan_jax.data.ingest.expected_counts import ExpectedCounts
from icegan_jax.data.ingest.expected_counts import totals_finding
from icegan_jax.data.ingest.expected_counts import unexplained_differences
from icegan_jax.errors import UserError

PROTOCOLS = ("megc2019", "three", "five")

ClipKey = tuple[str, str, str]

# CASME II clips that MEGC2019 does not have, by name, as a re-saved copy may hide the reason (docs/databases.md,
# "MEGC2019 clips").
_NOT_CASME2 = {
    ("sub04", "EP12_01f"): "MEGC2019 left it out: no apex in the distributed workbook",
    ("sub05", "EP09_05f"): "MEGC2019 left it out: its apex is its onset in the distributed workbook",
    ("sub09", "EP02_02f"): "MEGC2019 left it out: no row in the distributed workbook",
    ("sub24", "EP02_07"): "MEGC2019 left it out: no row in the distributed workbook",
}
# Sadness in the workbook of 2014, which MEGC2019 used, and surprise in that of 2019 (docs/databases.md, "CASME II").
_RELABELLED = (("sub24", "EP07_01"), ("sub24", "EP07_04f"), ("sub24", "EP10_03"))

# What SMIC-E-HS has no frames of (docs/databases.md, "SMIC").
_NOT_SMIC_E = ("s01_ne_02", "s02_sur_05", "s03_ne_03", "s03_ne_20", "s04_ne_05", "s04_ne_06", "s09_sur_02")


@dataclass(frozen=True)
class ClipSelection:
    """The clips that a protocol uses.

    Attributes:
        annotations: (annotation, label) of every selected clip, in the order of the readings.
        classes: names of the classes; a label is an index into them.
        findings: an "excluded" for every clip left out, with its reason, and notes on labels.
        protocol: one of ``PROTOCOLS``.
        datasets: the databases that were read.
        doubtful: (annotation, label) of clips that the rule left out because of their apex cell, which the distributed
            workbook fills for them; ``count_findings`` calls them missing.
    """

    annotations: list[tuple[Annotation, int]]
    classes: tuple[str, ...]
    findings: list[Finding]
    protocol: str
    datasets: tuple[str, ...]
    doubtful: list[tuple[Annotation, int]]


def key_of(annotation: Annotation) -> ClipKey:
    """Returns (dataset, subject, clip), which is unique."""
    return (annotation.dataset, annotation.subject, annotation.clip)


def select_clips(readings: Mapping[str, DatabaseAnnotation], protocol: str) -> ClipSelection:
    """Chooses the clips of a protocol and gives each its label.

    "megc2019" is the set of CASME II, SAMM and SMIC (docs/databases.md, "MEGC2019 clips"); "three" is every clip
    whose emotion is negative, positive or surprise; "five" is the five-class set of CASME II or of SAMM.

    Args:
        readings: what the reader of each database found, by the database's name.
        protocol: one of ``PROTOCOLS``.

    Raises:
        UserError: the protocol does not know a database, an emotion word is unknown (the message names the row), or a
            clip is annotated twice.
    """
    _check_sources(tuple(readings), protocol)
    result = ClipSelection([], protocol_classes(protocol, next(iter(readings))), [], protocol, tuple(readings), [])
    rows: dict[ClipKey, str] = {}
    wrong: list[UserError] = []
    for annotation in (a for reading in readings.values() for a in reading.annotations):
        key = key_of(annotation)
        try:
            if key in rows:
                raise UserError(
                    f"{annotation.where}: clip {annotation.name} is already in {rows[key]}; remove or rename one"
                )
            rows[key] = annotation.where
            _select(annotation, result)
        except UserError as error:
            wrong.append(error)
    if wrong:
        raise UserError(f"{wrong[0]} (and {len(wrong) - 1} more rows)" if len(wrong) > 1 else str(wrong[0]))
    return result


def _check_sources(names: tuple[str, ...], protocol: str) -> None:
    if protocol not in PROTOCOLS:
        raise UserError(f"protocol {protocol!r} is unknown; use one of {', '.join(PROTOCOLS)}")
    if not names:
        raise UserError("no database to select clips from; give at least one")
    others = [name for name in names if name not in MEGC2019_COUNTS]
    if protocol == "megc2019" and others:
        raise UserError(
            f"{', '.join(others)}: no part of MEGC2019, which is casme2, samm and smic; use --protocol=three"
        )
    if protocol == "five" and (len(names) > 1 or names[0] not in FIVE_CLASS_EMOTIONS):
        raise UserError(
            f"protocol five is for casme2 alone or samm alone, not {', '.join(names)}; "
            "give one of these two or use --protocol=three"
        )


def _select(annotation: Annotation, result: ClipSelection) -> None:
    labels = possible_labels(annotation, result.protocol)
    emotion = emotion_of_annotation(annotation)
    if annotation.emotion and annotation.emotion.strip().lower() != emotion:
        message = f"the annotation says {annotation.emotion}, the name {emotion}: the name counts, as in MEGC2019"
        result.findings.append(Finding("note", annotation.name, annotation.where, message))
    label = next(iter(labels))
    reason, known = "", True
    if len(labels) > 1:
        reason = f"emotion {emotion!r} is of more than one class"
    elif label is None:
        reason = f"emotion {emotion!r} has no class in protocol {result.protocol}"
    elif result.protocol == "megc2019" and annotation.dataset == "casme2":
        reason, known = _casme2_reason(annotation, emotion)
    if reason:
        result.findings.append(Finding("excluded", annotation.name, annotation.where, reason))
    if label is not None and not (reason and known):
        (result.doubtful if reason else result.annotations).append((annotation, label))


def _casme2_reason(annotation: Annotation, emotion: str) -> tuple[str, bool]:
    """Why MEGC2019 leaves a CASME II clip out ("": it does not), and whether it is known to."""
    key = (annotation.subject, annotation.clip)
    if key in _NOT_CASME2:
        return _NOT_CASME2[key], True
    if key in _RELABELLED and emotion == "surprise":
        return "MEGC2019 left it out: sadness until the workbook of 2019 called it surprise", True
    if annotation.apex is None:
        return "its apex is not a number", False
    return ("its apex is its onset", False) if annotation.apex == annotation.onset else ("", True)


def compare_with_expected_counts(selection: ClipSelection, present: Collection[ClipKey]) -> list[Finding]:
    """Compares the clips that have frames with what the complete databases hold.

    Each database that was read is compared on its own: clips per class, subjects, and the clips of those subjects for
    whom the number is known (docs/databases.md, "MEGC2019 clips"). For "three" only clips without frames are found.

    Args:
        selection: what the protocol uses.
        present: (dataset, subject, clip) of the clips that have frames.

    Returns:
        A "missing" or "surplus" finding for each clip that can be named, one with numbers for each class and subject
        that these do not explain, and a note with the sums; nothing for a complete database.
    """
    return [f for dataset in selection.datasets for f in _compare(dataset, selection, set(present))]


def _compare(dataset: str, selection: ClipSelection, present: set[ClipKey]) -> list[Finding]:
    part = _part(dataset, selection)
    findings: list[Finding] = []
    here: list[tuple[str, int]] = []  # (subject, label)
    lacking: list[tuple[str, int]] = []  # the same, of every clip named missing
    for a, label in selection.annotations:
        if a.dataset != dataset:
            continue
        if part and part.subjects and a.subject not in part.subjects:
            if key_of(a) in present:
                findings.append(Finding("surplus", a.name, a.where, "its subject has no clip in MEGC2019_COUNTS", CORRECT_REMEDY))
        elif key_of(a) in present:
            here.append((a.subject, label))
        else:
            findings.append(_without_frames(a.name, a.where))
            lacking.append((a.subject, label))
    for a, label in selection.doubtful:
        if a.dataset == dataset and a.subject in MEGC2019_COUNTS[dataset].subjects:
            remedy = "write the frame number of its apex into the cell, as the distributed workbook has it"
            findings.append(Finding("missing", a.name, a.where, "MEGC2019_COUNTS has it, its apex cell leaves it out", remedy))
            lacking.append((a.subject, label))
    if dataset == "smic" and selection.protocol == "megc2019":
        annotated = {a.clip for a, _ in selection.annotations if a.dataset == dataset}
        for clip in _NOT_SMIC_E:
            subject = clip.split("_")[0]
            if clip not in annotated:
                findings.append(_without_frames(f"smic/{subject}/{clip}", "SMIC"))
                lacking.append((subject, 0 if "_ne_" in clip else 2))
    if part:
        findings += unexplained_differences(dataset, part, selection.classes, here, lacking)
        if findings:
            findings.append(totals_finding(dataset, part, selection.classes, here))
    return findings


def _part(dataset: str, selection: ClipSelection) -> ExpectedCounts | None:
    if selection.protocol == "megc2019":
        return MEGC2019_COUNTS[dataset]
    if selection.protocol == "three":
        return None
    part = FIVE_CLASS_COUNTS[dataset]
    surprise = selection.classes.index("surprise")
    clips = list(part.clips)
    clips[surprise] += sum((a.subject, a.clip) in _RELABELLED for a, k in selection.annotations if k == surprise)
    return ExpectedCounts(tuple(clips))


def _without_frames(name: str, where: str) -> Finding:
    clip = name.split("/")[-1]
    if name.startswith("smic/") and clip in _NOT_SMIC_E:
        remedy = "SMIC-E-HS does not have it: give SMIC_all_raw or SMIC_all_cropped as well or instead"
    else:
        remedy = "restore its folder"
    return Finding("missing", name, where, "no usable frames of it", remedy)
