"""How many clips of which class and subject a complete database holds, and how a set differs from it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from icegan_jax.data.ingest.annotation import Finding

RESTORE_REMEDY = "restore the rows and folders that the distributed database has"
CORRECT_REMEDY = "correct or remove what the distributed database does not have"


@dataclass(frozen=True)
class ExpectedCounts:
    """What a complete database holds of a protocol.

    Attributes:
        clips: number of clips per class, in label order.
        subjects: everyone who has a clip; empty: not known.
        clips_of: number of clips of those subjects for whom it is known.
    """

    clips: tuple[int, ...]
    subjects: frozenset[str] = frozenset()
    clips_of: tuple[tuple[str, int], ...] = ()


def _people(pattern: str, *numbers: int | range) -> frozenset[str]:
    return frozenset(pattern.format(n) for part in numbers for n in (part if isinstance(part, range) else (part,)))


# docs/databases.md, "MEGC2019 clips".
MEGC2019_COUNTS = {
    "casme2": ExpectedCounts(
        (88, 32, 25), _people("sub{:02d}", range(1, 10), range(11, 18), range(19, 27)), (("sub17", 31),)
    ),
    "samm": ExpectedCounts((92, 26, 15), _people("{:03d}", 6, 7, range(9, 25), 26, 28, range(30, 38)), (("011", 20),)),
    "smic": ExpectedCounts(
        (70, 51, 43),
        _people("s{:02d}", range(1, 7), 8, 9, range(11, 16), range(18, 21)),
        (("s03", 39), ("s04", 19), ("s20", 22)),
    ),
}
# docs/databases.md, "Five-class sets".
FIVE_CLASS_COUNTS = {"casme2": ExpectedCounts((32, 63, 27, 25, 99)), "samm": ExpectedCounts((57, 12, 26, 15, 26))}


def unexplained_differences(
    dataset: str,
    part: ExpectedCounts,
    classes: Sequence[str],
    here: Sequence[tuple[str, int]],
    lacking: Sequence[tuple[str, int]],
) -> list[Finding]:
    """Returns the differences in the numbers of classes and subjects that no named clip explains.

    Args:
        dataset: name of the database.
        part: what the complete database holds.
        classes: names of the classes.
        here: (subject, label) of the clips that there are.
        lacking: (subject, label) of the clips that were named missing.
    """
    findings = []

    def compare(what: str, have: int, named: int, want: int) -> None:
        short = want - have - named
        if short:
            rest = f", and {named} of the missing named" if named else ""
            kind, remedy = ("missing", RESTORE_REMEDY) if short > 0 else ("surplus", CORRECT_REMEDY)
            findings.append(Finding(kind, dataset, "", f"{what}: {have} of {want} clips{rest}", remedy))

    for label, want in enumerate(part.clips):
        have, named = (sum(k == label for _, k in clips) for clips in (here, lacking))
        compare(classes[label], have, named, want)
    people, absent = (Counter(subject for subject, _ in clips) for clips in (here, lacking))
    for subject, want in part.clips_of:
        compare(f"subject {subject}", people[subject], absent[subject], want)
    for subject in sorted(part.subjects - set(people) - set(absent) - {subject for subject, _ in part.clips_of}):
        findings.append(Finding("missing", dataset, "", f"subject {subject}: no clip", RESTORE_REMEDY))
    return findings


def totals_finding(dataset: str, part: ExpectedCounts, classes: Sequence[str], here: Sequence[tuple[str, int]]) -> Finding:
    """Returns a note with how many of the clips, of each class and of the subjects there are."""
    each = ", ".join(f"{sum(k == i for _, k in here)} of {n} {classes[i]}" for i, n in enumerate(part.clips))
    people = f"; {len({s for s, _ in here})} of {len(part.subjects)} subjects" if part.subjects else ""
    return Finding("note", dataset, "", f"{len(here)} of {sum(part.clips)} clips: {each}{people}")
