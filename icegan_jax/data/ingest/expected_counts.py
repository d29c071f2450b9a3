"""The number of clips per class and subject of a complete database, and the comparison with these numbers."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from icegan_jax.data.ingest.annotation import ClipKey, Finding
from icegan_jax.data.ingest.protocol import RELABELED, ClipSelection

_RESTORE = "restore the rows and folders that the distributed database has"
_CORRECT = "correct or remove what the distributed database does not have"


@dataclass(frozen=True)
class ExpectedCounts:
    """The clips of a protocol in a complete database.

    Attributes:
        clips_per_class: number of clips of each class, in label order.
        subjects: every subject with a clip; empty: not known.
        clips_per_subject: (subject, number of clips) of the subjects for whom the number is known.
    """

    clips_per_class: tuple[int, ...]
    subjects: frozenset[str] = frozenset()
    clips_per_subject: tuple[tuple[str, int], ...] = ()


def _subjects(pattern: str, *numbers: int | range) -> frozenset[str]:
    return frozenset(pattern.format(n) for entry in numbers for n in ((entry,) if isinstance(entry, int) else entry))


# docs/databases.md, "MEGC2019 clips".
MEGC2019_COUNTS = {
    "casme2": ExpectedCounts(
        (88, 32, 25), _subjects("sub{:02d}", range(1, 10), range(11, 18), range(19, 27)), (("sub17", 31),)
    ),
    "samm": ExpectedCounts(
        (92, 26, 15), _subjects("{:03d}", 6, 7, range(9, 25), 26, 28, range(30, 38)), (("011", 20),)
    ),
    "smic": ExpectedCounts(
        (70, 51, 43),
        _subjects("s{:02d}", range(1, 7), 8, 9, range(11, 16), range(18, 21)),
        (("s03", 39), ("s04", 19), ("s20", 22)),
    ),
}
# docs/databases.md, "Five-class sets".
FIVE_CLASS_COUNTS = {"casme2": ExpectedCounts((32, 63, 27, 25, 99)), "samm": ExpectedCounts((57, 12, 26, 15, 26))}


# Clips of which SMIC-E-HS has no frames (docs/databases.md, "SMIC").
_NOT_SMIC_E = ("s01_ne_02", "s02_sur_05", "s03_ne_03", "s03_ne_20", "s04_ne_05", "s04_ne_06", "s09_sur_02")


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
                findings.append(Finding("surplus", annotation.name, annotation.where, message, _CORRECT))
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
        findings += _unexplained_differences(dataset, expected, selection.classes, with_frames, missing)
        if findings:
            findings.append(_totals_finding(dataset, expected, selection.classes, with_frames))
    return findings


def _expected_counts(dataset: str, selection: ClipSelection) -> ExpectedCounts | None:
    if selection.protocol == "megc2019":
        return MEGC2019_COUNTS[dataset]
    if selection.protocol == "three":
        return None
    # The counts are those of the workbook of 2014; that of 2019 has up to three more clips of surprise.
    clips = list(FIVE_CLASS_COUNTS[dataset].clips_per_class)
    surprise = selection.classes.index("surprise")
    clips[surprise] += sum((a.subject, a.clip) in RELABELED for a, k in selection.annotations if k == surprise)
    return ExpectedCounts(tuple(clips))


def _without_frames(name: str, where: str) -> Finding:
    clip = name.split("/")[-1]
    if name.startswith("smic/") and clip in _NOT_SMIC_E:
        remedy = "SMIC-E-HS does not have it: give SMIC_all_raw or SMIC_all_cropped as well or instead"
    else:
        remedy = "restore its folder"
    return Finding("missing", name, where, "no usable frames of it", remedy)


def _unexplained_differences(
    dataset: str,
    expected: ExpectedCounts,
    classes: Sequence[str],
    present: Sequence[tuple[str, int]],
    missing: Sequence[tuple[str, int]],
) -> list[Finding]:
    """Return the differences in the numbers of classes and subjects that no finding on a single clip explains.

    Args:
        dataset: name of the database.
        expected: the clips of the complete database.
        classes: names of the classes.
        present: (subject, label) of the clips with frames.
        missing: (subject, label) of the clips for which there is a "missing" finding.
    """
    findings = []

    def compare(name: str, count: int, named: int, expected_count: int) -> None:
        difference = expected_count - count - named
        if difference:
            rest = f", and {named} of the missing named" if named else ""
            kind, remedy = ("missing", _RESTORE) if difference > 0 else ("surplus", _CORRECT)
            findings.append(Finding(kind, dataset, "", f"{name}: {count} of {expected_count} clips{rest}", remedy))

    for label, expected_count in enumerate(expected.clips_per_class):
        count, named = (sum(k == label for _, k in clips) for clips in (present, missing))
        compare(classes[label], count, named, expected_count)
    present_subjects, missing_subjects = (Counter(subject for subject, _ in clips) for clips in (present, missing))
    for subject, expected_count in expected.clips_per_subject:
        compare(f"subject {subject}", present_subjects[subject], missing_subjects[subject], expected_count)
    counted = {subject for subject, _ in expected.clips_per_subject}
    for subject in sorted(expected.subjects - set(present_subjects) - set(missing_subjects) - counted):
        findings.append(Finding("missing", dataset, "", f"subject {subject}: no clip", _RESTORE))
    return findings


def _totals_finding(
    dataset: str, expected: ExpectedCounts, classes: Sequence[str], present: Sequence[tuple[str, int]]
) -> Finding:
    """Return a note with the number of present clips, of each class and of the subjects.

    The arguments are those of ``_unexplained_differences``.
    """
    each = ", ".join(
        f"{sum(k == label for _, k in present)} of {n} {classes[label]}"
        for label, n in enumerate(expected.clips_per_class)
    )
    subjects = f"; {len({s for s, _ in present})} of {len(expected.subjects)} subjects" if expected.subjects else ""
    message = f"{len(present)} of {sum(expected.clips_per_class)} clips: {each}{subjects}"
    return Finding("note", dataset, "", message)
