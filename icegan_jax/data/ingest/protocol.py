"""The selection of a protocol's clips and their labels, by rule, never by a list of clips."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from icegan_jax.data.ingest.annotation import Annotation, ClipKey, DatabaseAnnotation, Finding
from icegan_jax.data.ingest.emotions import (
    FIVE_CLASS_EMOTIONS,
    normalize_emotion,
    possible_labels,
    protocol_classes,
)
from icegan_jax.data.ingest.expected_counts import (
    CORRECT_REMEDY,
    FIVE_CLASS_COUNTS,
    MEGC2019_COUNTS,
    ExpectedCounts,
    totals_finding,
    unexplained_differences,
)
from icegan_jax.errors import UserError

PROTOCOLS = ("megc2019", "three", "five")

# CASME II clips that MEGC2019 does not have, by name, as a re-saved copy may hide the reason (docs/databases.md,
# "MEGC2019 clips").
_NOT_CASME2 = {
    ("sub04", "EP12_01f"): "MEGC2019 left it out: no apex in the distributed workbook",
    ("sub05", "EP09_05f"): "MEGC2019 left it out: its apex is its onset in the distributed workbook",
    ("sub09", "EP02_02f"): "MEGC2019 left it out: no row in the distributed workbook",
    ("sub24", "EP02_07"): "MEGC2019 left it out: no row in the distributed workbook",
}
# These clips are sadness in the workbook of 2014, which MEGC2019 used, and surprise in the workbook of 2019
# (docs/databases.md, "CASME II").
_RELABELED = (("sub24", "EP07_01"), ("sub24", "EP07_04f"), ("sub24", "EP10_03"))

# Clips of which SMIC-E-HS has no frames (docs/databases.md, "SMIC").
_NOT_SMIC_E = ("s01_ne_02", "s02_sur_05", "s03_ne_03", "s03_ne_20", "s04_ne_05", "s04_ne_06", "s09_sur_02")


@dataclass(frozen=True)
class ClipSelection:
    """The clips of a protocol.

    Attributes:
        annotations: (annotation, label) of every selected clip, in the order of the annotations.
        classes: names of the classes; a label is an index into them.
        findings: an "excluded" for every clip left out, with its reason.
        protocol: one of ``PROTOCOLS``.
        datasets: the databases.
        unusable_apex: (annotation, label) of clips that the rule leaves out because of their apex cell, which the
            distributed workbook fills; ``compare_with_expected_counts`` reports them as missing.
    """

    annotations: list[tuple[Annotation, int]]
    classes: tuple[str, ...]
    findings: list[Finding]
    protocol: str
    datasets: tuple[str, ...]
    unusable_apex: list[tuple[Annotation, int]]


def select_clips(databases: Mapping[str, DatabaseAnnotation], protocol: str) -> ClipSelection:
    """Select the clips of a protocol and give each its label.

    "megc2019" is the set of CASME II, SAMM and SMIC (docs/databases.md, "MEGC2019 clips"); "three" is every clip
    whose emotion is negative, positive or surprise; "five" is the five-class set of CASME II or of SAMM.

    Args:
        databases: the annotation of each database, by the database's name.
        protocol: one of ``PROTOCOLS``.

    Raises:
        UserError: the protocol does not have a database, an emotion word is unknown (the message names the row), or a
            clip is annotated twice.
    """
    _check_databases(tuple(databases), protocol)
    classes = protocol_classes(protocol, next(iter(databases)))
    selection = ClipSelection([], classes, [], protocol, tuple(databases), [])
    rows: dict[ClipKey, str] = {}
    errors: list[UserError] = []
    for annotation in (a for database in databases.values() for a in database.annotations):
        try:
            if annotation.key in rows:
                raise UserError(
                    f"{annotation.where}: clip {annotation.name} is already in {rows[annotation.key]}; "
                    "remove or rename one"
                )
            rows[annotation.key] = annotation.where
            _select(annotation, selection)
        except UserError as error:
            errors.append(error)
    if errors:
        raise UserError(f"{errors[0]} (and {len(errors) - 1} more rows)" if len(errors) > 1 else str(errors[0]))
    return selection


def _check_databases(names: tuple[str, ...], protocol: str) -> None:
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


def _select(annotation: Annotation, selection: ClipSelection) -> None:
    """Add a clip to the selection, or the reason why the clip is left out."""
    emotion = normalize_emotion(annotation.emotion)
    labels = possible_labels(annotation, selection.protocol)
    label = next(iter(labels))
    reason, is_expected = "", True
    if len(labels) > 1:
        reason = f"emotion {emotion!r} is of more than one class"
    elif label is None:
        reason = f"emotion {emotion!r} has no class in protocol {selection.protocol}"
    elif selection.protocol == "megc2019" and annotation.dataset == "casme2":
        reason, is_expected = _casme2_reason(annotation, emotion)
    if reason:
        selection.findings.append(Finding("excluded", annotation.name, annotation.where, reason))
    if label is not None and not reason:
        selection.annotations.append((annotation, label))
    elif label is not None and not is_expected:
        selection.unusable_apex.append((annotation, label))


def _casme2_reason(annotation: Annotation, emotion: str) -> tuple[str, bool]:
    """Return why MEGC2019 leaves a CASME II clip out ("": used), and whether the distributed set does so too."""
    key = (annotation.subject, annotation.clip)
    if key in _NOT_CASME2:
        return _NOT_CASME2[key], True
    if key in _RELABELED and emotion == "surprise":
        return "MEGC2019 left it out: sadness until the workbook of 2019 called it surprise", True
    if annotation.apex is None:
        return "its apex is not a number", False
    return ("its apex is its onset", False) if annotation.apex == annotation.onset else ("", True)


def compare_with_expected_counts(selection: ClipSelection, present: Collection[ClipKey]) -> list[Finding]:
    """Compare the clips that have frames with those of the complete databases.

    Each database is compared on its own: clips per class, subjects, and the clips of those subjects for whom the number
    is known (docs/databases.md, "MEGC2019 clips"). For "three" only clips without frames are reported.

    Args:
        selection: the clips of the protocol.
        present: (dataset, subject, clip) of the clips that have frames.

    Returns:
        A "missing" or "surplus" finding for each clip that can be named, one with numbers for each class and subject
        whose difference these clips do not explain, and a note with the sums; nothing for a complete database.
    """
    return [f for dataset in selection.datasets for f in _compare(dataset, selection, set(present))]


def _compare(dataset: str, selection: ClipSelection, present: set[ClipKey]) -> list[Finding]:
    expected = _expected_counts(dataset, selection)
    findings: list[Finding] = []
    with_frames: list[tuple[str, int]] = []  # (subject, label)
    missing: list[tuple[str, int]] = []  # the same, of every clip with a "missing" finding
    for annotation, label in selection.annotations:
        if annotation.dataset != dataset:
            continue
        if expected and expected.subjects and annotation.subject not in expected.subjects:
            if annotation.key in present:
                message = "its subject has no clip in MEGC2019"
                findings.append(Finding("surplus", annotation.name, annotation.where, message, CORRECT_REMEDY))
        elif annotation.key in present:
            with_frames.append((annotation.subject, label))
        else:
            findings.append(_without_frames(annotation.name, annotation.where))
            missing.append((annotation.subject, label))
    for annotation, label in selection.unusable_apex:
        if annotation.dataset == dataset and annotation.subject in MEGC2019_COUNTS[dataset].subjects:
            message = "MEGC2019 has it, its apex cell leaves it out"
            remedy = "write the frame number of its apex into the cell, as the distributed workbook has it"
            findings.append(Finding("missing", annotation.name, annotation.where, message, remedy))
            missing.append((annotation.subject, label))
    if dataset == "smic" and selection.protocol == "megc2019":
        annotated = {annotation.clip for annotation, _ in selection.annotations if annotation.dataset == dataset}
        for clip in _NOT_SMIC_E:
            subject = clip.split("_")[0]
            if clip not in annotated:
                findings.append(_without_frames(f"smic/{subject}/{clip}", "SMIC"))
                missing.append((subject, 0 if "_ne_" in clip else 2))
    if expected:
        findings += unexplained_differences(dataset, expected, selection.classes, with_frames, missing)
        if findings:
            findings.append(totals_finding(dataset, expected, selection.classes, with_frames))
    return findings


def _expected_counts(dataset: str, selection: ClipSelection) -> ExpectedCounts | None:
    if selection.protocol == "megc2019":
        return MEGC2019_COUNTS[dataset]
    if selection.protocol == "three":
        return None
    # The counts are those of the workbook of 2014; that of 2019 has up to three more clips of surprise.
    clips = list(FIVE_CLASS_COUNTS[dataset].clips_per_class)
    surprise = selection.classes.index("surprise")
    clips[surprise] += sum((a.subject, a.clip) in _RELABELED for a, k in selection.annotations if k == surprise)
    return ExpectedCounts(tuple(clips))


def _without_frames(name: str, where: str) -> Finding:
    clip = name.split("/")[-1]
    if name.startswith("smic/") and clip in _NOT_SMIC_E:
        remedy = "SMIC-E-HS does not have it: give SMIC_all_raw or SMIC_all_cropped as well or instead"
    else:
        remedy = "restore its folder"
    return Finding("missing", name, where, "no usable frames of it", remedy)
