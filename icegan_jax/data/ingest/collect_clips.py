"""From the sources that a user names to the clips that can be prepared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from icegan_jax.data.clips import EXPRESSIONS, Clip, read_clips
from icegan_jax.data.databases import READERS, Source
from icegan_jax.data.ingest.annotation import Annotation, DatabaseAnnotation, Finding
from icegan_jax.data.ingest.discover import CLIPS_SOURCE
from icegan_jax.data.ingest.discover import MEGC2019_DATABASES
from icegan_jax.data.ingest.discover import expand_sources
from icegan_jax.data.ingest.official_list import compare_with_official_list
from icegan_jax.data.ingest.official_list import read_official_list
from icegan_jax.data.ingest.overrides import Override, match_overrides
from icegan_jax.data.ingest.protocol import PROTOCOLS
from icegan_jax.data.ingest.protocol import ClipKey
from icegan_jax.data.ingest.protocol import compare_with_expected_counts
from icegan_jax.data.ingest.protocol import key_of
from icegan_jax.data.ingest.protocol import select_clips
from icegan_jax.data.ingest.repairs import Repair
from icegan_jax.data.ingest.resolve_frames import extent_findings
from icegan_jax.data.ingest.resolve_frames import resolve_frames
from icegan_jax.errors import UserError


@dataclass(frozen=True)
class CollectedClips:
    """What the sources hold and what of it can be prepared.

    Attributes:
        clips: the clips to prepare, settled against the frames that exist.
        repairs: each departure from the annotation, with its reason.
        findings: all that a user should know, in the order in which it was found.
        classes: names of the classes; a clip's label is an index into them.
        protocol: "megc2019", "three", "five", or "own" where the classes are the user's.
        sources: names of the sources.
        damaged: those of the findings that are errors about a clip's own frames: without that clip,
            the rest can be prepared.
        differences: those of the findings that tell the set apart from the protocol's.
    """

    clips: list[Clip]
    repairs: list[Repair]
    findings: list[Finding]
    classes: tuple[str, ...]
    protocol: str
    sources: list[str]
    damaged: list[Finding]
    differences: list[Finding]

    @property
    def errors(self) -> list[Finding]:
        """The findings that stop preparation."""
        return [f for f in self.findings if f.kind == "error"]


def collect_clips(
    sources: Sequence[Source],
    protocol: str | None = None,
    overrides: Iterable[Override] = (),
    official: str | Path | None = None,
    classes: Sequence[str] = EXPRESSIONS,
) -> CollectedClips:
    """Reads the sources, selects the protocol's clips, and settles them against their frames.

    Args:
        sources: where the clips are, by one of ``NAMES`` each.
        protocol: one of ``PROTOCOLS``; None: "megc2019" where every source is one of ``COMPOSITE``,
            else "three".
        overrides: frames by hand, which beat every rule.
        official: the organisers' csv, as a further check.
        classes: names of the classes of a clips.csv.

    Raises:
        UserError: a source cannot be read, does not fit the protocol, or holds an unknown emotion.
            What is wrong with single clips is a finding instead.
    """
    sources = expand_sources(sources)
    protocol = _protocol(sources, protocol, tuple(classes))
    own = list(_own_clips([s for s in sources if s.name == CLIPS_SOURCE], tuple(classes)))
    readings = {s.name: READERS[s.name](s) for s in sources if s.name != CLIPS_SOURCE}
    findings: list[Finding] = [f for reading in readings.values() for f in reading.findings]
    annotated = list(_all(readings.values()))
    assigned, unclear = match_overrides(overrides, [*annotated, *(a for a, _ in own)])
    selected = own
    names: tuple[str, ...] = tuple(classes)
    if readings:
        selection = select_clips(_with_apexes(readings, assigned), protocol)
        findings += selection.findings
        as_read = {key_of(a): a for a in annotated}
        selected = [*((as_read[key_of(a)], label) for a, label in selection.annotations), *own]
        names = selection.classes
    findings += _doubles(selected)
    findings += unclear
    findings += _idle_overrides(assigned, selected)
    licensed = {id(a) for a in annotated}
    placed = [
        resolve_frames(annotation, label, assigned.get(key_of(annotation)), may_miss=id(annotation) in licensed)
        for annotation, label in selected
    ]
    findings += [f for one in placed for f in one.findings] + extent_findings(placed)
    differences = [f for one in placed for f in one.findings if f.kind == "missing"]
    if readings:
        present = [key_of(one.annotation) for one in placed if one.clip is not None]
        # What was said about a clip's own folder needs no second word.
        told = {f.clip for one in placed for f in one.findings if f.kind != "note"}
        more = [f for f in compare_with_expected_counts(selection, present) if not (f.kind == "missing" and f.clip in told)]
        if official is not None:
            more += compare_with_official_list(read_official_list(Path(official)), selection, present)
        findings += more
        differences += [f for f in more if f.kind != "note"]
    elif official is not None:
        raise UserError(f"{official}: the organisers' list is of {', '.join(MEGC2019_DATABASES)}; remove --official")
    return CollectedClips(
        clips=[one.clip for one in placed if one.clip is not None],
        repairs=[row for one in placed for row in one.repairs],
        findings=findings,
        classes=names,
        protocol=protocol,
        sources=[s.name for s in sources],
        damaged=[f for one in placed if one.damaged for f in one.findings],
        differences=differences,
    )


def _protocol(sources: Sequence[Source], protocol: str | None, classes: tuple[str, ...]) -> str:
    names = [s.name for s in sources]
    if protocol is not None and protocol not in PROTOCOLS:
        raise UserError(f"protocol {protocol!r} is unknown; use one of {', '.join(PROTOCOLS)}")
    if classes != EXPRESSIONS:
        others = [name for name in names if name != CLIPS_SOURCE]
        if others or protocol is not None:
            what = f"--source={others[0]}" if others else f"--protocol={protocol}"
            raise UserError(f"--classes names the classes of --source=clips; remove it or {what}")
        return "own"
    if protocol is None:
        return "megc2019" if all(name in MEGC2019_DATABASES for name in names) else "three"
    strange = [name for name in names if name == CLIPS_SOURCE]
    if strange and protocol != "three":
        raise UserError(f"--source=clips is no part of protocol {protocol}; use --protocol=three")
    return protocol


def _own_clips(sources: Sequence[Source], classes: tuple[str, ...]) -> Iterable[tuple[Annotation, int]]:
    for source in sources:
        for c in read_clips(source.root, classes=classes):
            where = str(source.root)
            yield (
                Annotation(
                    c.dataset, c.subject, c.clip, classes[c.label], (c.frames,), c.onset, c.apex, c.offset, where
                ),
                c.label,
            )


def _all(readings: Iterable[DatabaseAnnotation]) -> Iterable[Annotation]:
    return (annotation for reading in readings for annotation in reading.annotations)


def _with_apexes(
    readings: Mapping[str, DatabaseAnnotation], assigned: Mapping[ClipKey, Override]
) -> dict[str, DatabaseAnnotation]:
    """Returns the readings with the apexes given by hand, as a protocol's rule may look at the apex."""

    def corrected(annotation: Annotation) -> Annotation:
        override = assigned.get(key_of(annotation))
        return annotation if override is None or override.apex is None else replace(annotation, apex=override.apex)

    return {
        name: replace(reading, annotations=[corrected(a) for a in reading.annotations])
        for name, reading in readings.items()
    }


def _doubles(selected: Sequence[tuple[Annotation, int]]) -> list[Finding]:
    """An "error" for each clip that two sources have; equal subjects of two databases are two persons."""
    first: dict[ClipKey, Annotation] = {}
    errors = []
    for annotation, _ in selected:
        earlier = first.setdefault(key_of(annotation), annotation)
        if earlier is not annotation:
            message = f"is in {earlier.where} too"
            errors.append(Finding("error", annotation.name, annotation.where, message, "remove or rename one of them"))
    return errors


def _idle_overrides(assigned: Mapping[ClipKey, Override], selected: Sequence[tuple[Annotation, int]]) -> list[Finding]:
    used = {key_of(annotation) for annotation, _ in selected}
    message, remedy = "the protocol leaves this clip out, so the override changes nothing", "remove the row, or keep it"
    return [
        Finding("note", "/".join(key), override.where, message, remedy)
        for key, override in assigned.items()
        if key not in used
    ]
