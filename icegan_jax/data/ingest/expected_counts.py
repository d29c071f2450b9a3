"""The number of clips per class and subject of a complete database, and the comparison with these numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from icegan_jax.data.ingest.annotation import Finding

RESTORE_REMEDY = "restore the rows and folders that the distributed database has"
CORRECT_REMEDY = "correct or remove what the distributed database does not have"


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


def unexplained_differences(
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
            kind, remedy = ("missing", RESTORE_REMEDY) if difference > 0 else ("surplus", CORRECT_REMEDY)
            findings.append(Finding(kind, dataset, "", f"{name}: {count} of {expected_count} clips{rest}", remedy))

    for label, expected_count in enumerate(expected.clips_per_class):
        count, named = (sum(k == label for _, k in clips) for clips in (present, missing))
        compare(classes[label], count, named, expected_count)
    present_subjects, missing_subjects = (Counter(subject for subject, _ in clips) for clips in (present, missing))
    for subject, expected_count in expected.clips_per_subject:
        compare(f"subject {subject}", present_subjects[subject], missing_subjects[subject], expected_count)
    counted = {subject for subject, _ in expected.clips_per_subject}
    for subject in sorted(expected.subjects - set(present_subjects) - set(missing_subjects) - counted):
        findings.append(Finding("missing", dataset, "", f"subject {subject}: no clip", RESTORE_REMEDY))
    return findings


def totals_finding(
    dataset: str, expected: ExpectedCounts, classes: Sequence[str], present: Sequence[tuple[str, int]]
) -> Finding:
    """Return a note with the number of present clips, of each class and of the subjects.

    The arguments are those of ``unexplained_differences``.
    """
    each = ", ".join(
        f"{sum(k == label for _, k in present)} of {n} {classes[label]}"
        for label, n in enumerate(expected.clips_per_class)
    )
    subjects = f"; {len({s for s, _ in present})} of {len(expected.subjects)} subjects" if expected.subjects else ""
    message = f"{len(present)} of {sum(expected.clips_per_class)} clips: {each}{subjects}"
    return Finding("note", dataset, "", message)
