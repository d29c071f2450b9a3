"""The collection of the clips to prepare from the sources that a user names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from icegan_jax.data.clips import EXPRESSIONS, Clip, read_clip_annotations
from icegan_jax.data.databases import OTHER_NAMES, READERS
from icegan_jax.data.ingest.annotation import Annotation, ClipKey, DatabaseAnnotation, Finding, Source
from icegan_jax.data.ingest.expected_counts import compare_with_expected_counts
from icegan_jax.data.ingest.official_list import compare_with_official_list, read_official_list
from icegan_jax.data.ingest.overrides import Override, match_overrides
from icegan_jax.data.ingest.protocol import MEGC2019_DATABASES, PROTOCOLS, select_clips
from icegan_jax.data.ingest.repairs import Repair
from icegan_jax.data.ingest.resolve_frames import extent_findings, resolve_frames
from icegan_jax.data.ingest.spreadsheets import find_tables
from icegan_jax.data.names import subject_conflicts
from icegan_jax.errors import UserError, did_you_mean

# Sources that are no single database: a clips.csv, and the three databases of MEGC2019 in one folder.
CLIPS_SOURCE, MEGC2019_SOURCE = "clips", "megc2019"
SOURCE_NAMES = (CLIPS_SOURCE, MEGC2019_SOURCE, *READERS)

# Names of a database's folder, in lower-case letters and digits, and words in the names of other databases' folders.
_FOLDER_WORDS = {"casme2": ("casme2", "casmeii"), "samm": ("samm",), "smic": ("smic",)}
_OTHER_FOLDERS = ("casme^2", "cas(me)", "sammlv", "sammlong", "samm long", "samm-long", "samm_long")


@dataclass(frozen=True)
class CollectedClips:
    """The clips that can be prepared, and the findings about the sources.

    Attributes:
        clips: the clips to prepare, repaired where frames do not exist.
        repairs: each departure from the annotation, with its reason.
        findings: all findings, in the order of the stages.
        classes: names of the classes; a clip's label is an index into them.
        protocol: "megc2019", "three", "five", or "own" where the classes are the user's.
        sources: names of the sources.
        damaged: the findings that are errors about a clip's own frames: without that clip, the rest can be prepared.
        differences: the findings on differences between the clips and the protocol's set.
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
    """Read the sources, select the protocol's clips, and resolve and repair their frames.

    Args:
        sources: the sources, each with one of ``SOURCE_NAMES``.
        protocol: one of ``PROTOCOLS``; None: "megc2019" where every source is one of ``MEGC2019_DATABASES``, else
            "three".
        overrides: frame numbers by hand, which are used before every rule.
        official: the organizers' csv, as a further check.
        classes: names of the classes of a clips.csv.

    Raises:
        UserError: a source cannot be read, does not fit the protocol, or holds an unknown emotion. Errors of single
            clips are findings.
    """
    sources = expand_sources(sources)
    protocol = _check_protocol(sources, protocol, tuple(classes))
    own_clips = list(_own_clips([s for s in sources if s.name == CLIPS_SOURCE], tuple(classes)))
    databases = {s.name: READERS[s.name](s) for s in sources if s.name != CLIPS_SOURCE}
    findings: list[Finding] = [f for database in databases.values() for f in database.findings]
    annotated = {a.key: a for database in databases.values() for a in database.annotations}
    all_annotations = [a for database in databases.values() for a in database.annotations]
    all_annotations += [a for a, _ in own_clips]
    override_of, override_errors = match_overrides(overrides, all_annotations)
    selected = own_clips
    class_names: tuple[str, ...] = tuple(classes)
    if databases:
        # A protocol's rule may depend on the apex, so that overrides of the apex come first; the annotations that are
        # resolved below are those without overrides, as a repair records the number before.
        selection = select_clips(_override_apexes(databases, override_of), protocol)
        findings += selection.findings
        selected = [*((annotated[a.key], label) for a, label in selection.annotations), *own_clips]
        class_names = selection.classes
    findings += _duplicate_errors(selected)
    findings += _subject_errors([annotation for annotation, _ in selected])
    findings += override_errors
    findings += _unused_override_notes(override_of, selected)
    licensed = {id(a) for a in annotated.values()}
    resolved = [
        resolve_frames(annotation, label, override_of.get(annotation.key), allow_missing=id(annotation) in licensed)
        for annotation, label in selected
    ]
    findings += [f for one in resolved for f in one.findings] + extent_findings(resolved)
    differences = [f for one in resolved for f in one.findings if f.kind == "missing"]
    if databases:
        present = {one.annotation.key for one in resolved if one.clip is not None}
        # A clip with a finding about its own folder needs no second one.
        reported = {f.clip for one in resolved for f in one.findings if f.kind != "note"}
        comparison = [
            f
            for f in compare_with_expected_counts(selection, present)
            if not (f.kind == "missing" and f.clip in reported)
        ]
        if official is not None:
            comparison += compare_with_official_list(read_official_list(Path(official)), selection, present)
        findings += comparison
        differences += [f for f in comparison if f.kind != "note"]
    elif official is not None:
        raise UserError(f"{official}: the organizers' list is of {', '.join(MEGC2019_DATABASES)}; remove --official")
    return CollectedClips(
        clips=[one.clip for one in resolved if one.clip is not None],
        repairs=[row for one in resolved for row in one.repairs],
        findings=findings,
        classes=class_names,
        protocol=protocol,
        sources=[s.name for s in sources],
        damaged=[f for one in resolved if one.damaged for f in one.findings],
        differences=differences,
    )


def expand_sources(sources: Sequence[Source]) -> list[Source]:
    """Replace each ``MEGC2019_SOURCE`` by the three databases below its root.

    Raises:
        UserError: a name is unknown, a database is given twice, two show the same people, or one is not below the root.
    """
    expanded: list[Source] = []
    for source in sources:
        if source.name == MEGC2019_SOURCE:
            expanded += [
                replace(source, name=name, root=find_database(source.root, name)) for name in MEGC2019_DATABASES
            ]
        else:
            check_source_name(source.name, SOURCE_NAMES)
            expanded.append(source)
    names = [s.name for s in expanded if s.name != CLIPS_SOURCE]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"source {', '.join(twice)} is given twice; give one folder that holds all of it")
    cameras = [name for name in names if name.startswith("smic")]
    if len(cameras) > 1:
        raise UserError(
            f"sources {', '.join(cameras)} show the same people, who would be both trained on and tested; prepare each "
            "into a folder of its own"
        )
    return expanded


def check_source_name(name: str, names: Sequence[str]) -> None:
    """Check that a source has one of the ``names``.

    Raises:
        UserError: the message has the most similar name, also of the names that databases have elsewhere.
    """
    if name not in names:
        hint = did_you_mean(name, {**OTHER_NAMES, **{known: known for known in names}})
        raise UserError(f"source {name!r} is unknown{hint}; use one of {', '.join(names)}")


def find_database(root: Path, name: str) -> Path:
    """Return the folder of one of ``MEGC2019_DATABASES``, which is one or two levels below ``root``, by its name.

    Where several folders side by side match, as SMIC_all_raw and SMIC_all_cropped, or where the workbook lies beside
    the matching folder, the parent folder is returned: the readers ignore folders of other databases.

    Raises:
        UserError: no folder matches, or several that are not side by side.
    """
    words, remedy = _FOLDER_WORDS[name], f"give --source={name} --raw=FOLDER for each database"
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the one that holds CASME II, SAMM and SMIC")
    for pattern in ("*", "*/*"):
        folders = sorted(path for path in root.glob(pattern) if path.is_dir() and not path.name.startswith("."))
        matching = [path for path in folders if not any(word in path.name.lower() for word in _OTHER_FOLDERS)]
        matching = [path for path in matching if any(word in _letters_and_digits(path.name) for word in words)]
        exact = [path for path in matching if _letters_and_digits(path.name) in words]
        matching = exact if len(exact) == 1 else matching
        if len({path.parent for path in matching}) > 1:
            names = ", ".join(str(path.relative_to(root)) for path in matching)
            raise UserError(f"{root}: {len(matching)} folders could be {name}: {names}; {remedy}")
        if matching:
            # SMIC_all needs no workbook; the workbook of another database lies in the folder or beside the folder.
            is_complete = len(matching) == 1 and (name == "smic" or find_tables(matching[0]))
            return matching[0] if is_complete else matching[0].parent
    raise UserError(f"{root}: no folder here is called like {' or '.join(words)}; {remedy}")


def _letters_and_digits(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _check_protocol(sources: Sequence[Source], protocol: str | None, classes: tuple[str, ...]) -> str:
    """Return the protocol to use.

    Raises:
        UserError: the protocol is unknown, or does not fit the sources or the classes.
    """
    names = [s.name for s in sources]
    if protocol is not None and protocol not in PROTOCOLS:
        hint = did_you_mean(protocol, PROTOCOLS)
        raise UserError(f"protocol {protocol!r} is unknown{hint}; use one of {', '.join(PROTOCOLS)}")
    if classes != EXPRESSIONS:
        others = [name for name in names if name != CLIPS_SOURCE]
        if others or protocol is not None:
            option = f"--source={others[0]}" if others else f"--protocol={protocol}"
            raise UserError(f"--classes names the classes of --source=clips; remove it or {option}")
        return "own"
    if protocol is None:
        return "megc2019" if all(name in MEGC2019_DATABASES for name in names) else "three"
    if CLIPS_SOURCE in names and protocol != "three":
        raise UserError(f"--source=clips is no part of protocol {protocol}; use --protocol=three")
    return protocol


def _own_clips(sources: Sequence[Source], classes: tuple[str, ...]) -> Iterable[tuple[Annotation, int]]:
    for source in sources:
        for annotation in read_clip_annotations(source.root, classes):
            yield annotation, classes.index(annotation.emotion)


def _override_apexes(
    databases: Mapping[str, DatabaseAnnotation], override_of: Mapping[ClipKey, Override]
) -> dict[str, DatabaseAnnotation]:
    def corrected(annotation: Annotation) -> Annotation:
        override = override_of.get(annotation.key)
        return annotation if override is None or override.apex is None else replace(annotation, apex=override.apex)

    return {
        name: replace(database, annotations=[corrected(a) for a in database.annotations])
        for name, database in databases.items()
    }


def _duplicate_errors(selected: Sequence[tuple[Annotation, int]]) -> list[Finding]:
    """Return an "error" for each clip that two sources have; equal subjects of two databases are two persons."""
    first: dict[ClipKey, Annotation] = {}
    errors = []
    for annotation, _ in selected:
        earlier = first.setdefault(annotation.key, annotation)
        if earlier is not annotation:
            message = f"is in {earlier.where} too"
            errors.append(Finding("error", annotation.name, annotation.where, message, "remove or rename one of them"))
    return errors


def _subject_errors(annotations: Sequence[Annotation]) -> list[Finding]:
    """Return an "error" for each clip of a subject whose name cannot be told from that of another, see ``names``."""
    errors = []
    for position, message, remedy in subject_conflicts((a.dataset, a.subject) for a in annotations):
        errors.append(Finding("error", annotations[position].name, annotations[position].where, message, remedy))
    return errors


def _unused_override_notes(
    override_of: Mapping[ClipKey, Override], selected: Sequence[tuple[Annotation, int]]
) -> list[Finding]:
    used = {annotation.key for annotation, _ in selected}
    message, remedy = "the protocol leaves this clip out, so the override changes nothing", "remove the row, or keep it"
    return [
        Finding("note", "/".join(key), override.where, message, remedy)
        for key, override in override_of.items()
        if key not in used
    ]
