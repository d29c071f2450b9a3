"""The selection of a protocol's clips and their labels from the emotion words, by rule, never by a list of clips."""

from collections.abc import Mapping
from dataclasses import dataclass

from icegan_jax.data.clips import EXPRESSIONS, label_of
from icegan_jax.data.ingest.annotation import Annotation, DatabaseAnnotation, Finding
from icegan_jax.errors import UserError

# The databases of MEGC2019, in the organizers' order but for SMIC (docs/databases.md, "MEGC2019 official list").
MEGC2019_DATABASES = ("casme2", "samm", "smic")
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
RELABELED = (("sub24", "EP07_01"), ("sub24", "EP07_04f"), ("sub24", "EP10_03"))

# Words without a class in any protocol of three classes (docs/databases.md, "Classes and emotion words").
_NO_CLASS: tuple[str, ...] = ("other", "others", "undefined", "unclear")

# MEGC2019, per database: the words that have a class, and those that are left out (docs/databases.md,
# "MEGC2019 clips"). SMIC's words are the classes.
_MEGC2019: dict[str, tuple[str, ...]] = {
    "casme2": ("disgust", "repression", "happiness", "surprise"),
    "samm": ("anger", "contempt", "disgust", "fear", "sadness", "happiness", "surprise"),
}
_NOT_MEGC2019 = {"casme2": ("sadness", "fear")}

# The five-class sets in label order, and the words that they leave out (docs/databases.md, "Five-class sets").
FIVE_CLASS_EMOTIONS: dict[str, tuple[str, ...]] = {
    "casme2": ("happiness", "disgust", "repression", "surprise", "others"),
    "samm": ("anger", "contempt", "happiness", "surprise", "other"),
}
_NOT_FIVE_CLASSES: dict[str, tuple[str, ...]] = {"casme2": ("sadness", "fear"), "samm": ("disgust", "fear", "sadness")}


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
        UserError: the protocol does not have a database, or an emotion word is unknown (the message names the row).
    """
    _check_databases(tuple(databases), protocol)
    classes = protocol_classes(protocol, next(iter(databases)))
    selection = ClipSelection([], classes, [], protocol, tuple(databases), [])
    for database in databases.values():
        for annotation in database.annotations:
            _select(annotation, selection)
    return selection


def _check_databases(names: tuple[str, ...], protocol: str) -> None:
    others = [name for name in names if name not in MEGC2019_DATABASES]
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
    if key in RELABELED and emotion == "surprise":
        return "MEGC2019 left it out: sadness until the workbook of 2019 called it surprise", True
    if annotation.apex is None:
        return "its apex is not a number", False
    return ("its apex is its onset", False) if annotation.apex == annotation.onset else ("", True)


def protocol_classes(protocol: str, dataset: str) -> tuple[str, ...]:
    """Return the classes of a protocol in label order; only those of "five" depend on ``dataset``."""
    return FIVE_CLASS_EMOTIONS[dataset] if protocol == "five" else EXPRESSIONS


def normalize_emotion(emotion: str) -> str:
    """Return an emotion in lower case with single spaces."""
    return " ".join(emotion.lower().split())


def possible_labels(annotation: Annotation, protocol: str) -> set[int | None]:
    """Return the labels that an annotation's emotion has in a protocol; None for a word that is left out.

    Several labels are possible: 4DME has emotions such as "surprise+positive" (docs/databases.md, "4DME").

    Raises:
        UserError: a word is neither used nor left out. The message names the row.
    """
    emotion = normalize_emotion(annotation.emotion)
    try:
        return {_label(word.strip(), annotation.dataset, protocol) for word in emotion.split("+")}
    except UserError as error:
        raise UserError(
            f"{annotation.where}: emotion {annotation.emotion!r} of clip {annotation.name} is unknown ({error}); "
            "correct the cell"
        ) from None


def _label(word: str, dataset: str, protocol: str) -> int | None:
    if protocol == "five":
        used, left_out = FIVE_CLASS_EMOTIONS[dataset], _NOT_FIVE_CLASSES[dataset]
        if word in ("other", "others"):  # both spellings are in use (docs/databases.md, "SAMM")
            return len(used) - 1
    else:
        used, left_out = _MEGC2019.get(dataset, ()), _NO_CLASS
        if protocol == "megc2019":
            left_out += _NOT_MEGC2019.get(dataset, ())
    if word in left_out:
        return None
    if protocol == "three" or dataset not in _MEGC2019:
        return label_of(word)
    if word not in used:
        raise UserError(f"the words of {dataset} are {', '.join((*used, *left_out))}")
    return used.index(word) if protocol == "five" else label_of(word)
