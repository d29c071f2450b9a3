"""The emotion words of the databases, and their classes in each protocol."""

from icegan_jax.data.clips import EXPRESSIONS, label_of
from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.errors import UserError

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
