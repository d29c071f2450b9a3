"""The emotion words of each database, and which class each has in a protocol."""

import re

from icegan_jax.data.clips import EXPRESSIONS, label_of
from icegan_jax.data.databases.smic import EMOTIONS as SMIC_WORDS
from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.errors import UserError

# Words without a class in any protocol of three classes (docs/databases.md, "Classes and emotion words").
_NO_CLASS: tuple[str, ...] = ("other", "others", "undefined", "unclear")

# MEGC2019, per database: the words that have a class, and those that are left out (docs/databases.md,
# "MEGC2019 clips"). SMIC's class is in its clip names.
_MEGC2019: dict[str, tuple[str, ...]] = {
    "casme2": ("disgust", "repression", "happiness", "surprise"),
    "samm": ("anger", "contempt", "disgust", "fear", "sadness", "happiness", "surprise"),
}
_NOT_MEGC2019 = {"casme2": ("sadness", "fear")}

# The five-class sets in label order, and what they leave out (docs/databases.md, "Five-class sets").
FIVE_CLASS_EMOTIONS: dict[str, tuple[str, ...]] = {
    "casme2": ("happiness", "disgust", "repression", "surprise", "others"),
    "samm": ("anger", "contempt", "happiness", "surprise", "other"),
}
_NOT_FIVE: dict[str, tuple[str, ...]] = {"casme2": ("sadness", "fear"), "samm": ("disgust", "fear", "sadness")}

_SMIC_NAME = re.compile(r"_(ne|po|sur)_", re.IGNORECASE)


def protocol_classes(protocol: str, dataset: str) -> tuple[str, ...]:
    """Returns the classes of a protocol in label order; ``dataset`` decides those of "five"."""
    return FIVE_CLASS_EMOTIONS[dataset] if protocol == "five" else EXPRESSIONS


def emotion_of_annotation(annotation: Annotation) -> str:
    """Returns the emotion that counts, in lower case.

    SMIC's is that of the clip's name, as its workbook calls s18_sur_03 negative (docs/databases.md, "SMIC").

    Raises:
        UserError: the name of a SMIC clip says no emotion.
    """
    if not annotation.dataset.startswith("smic"):
        return " ".join(annotation.emotion.lower().split())
    found = _SMIC_NAME.search(annotation.clip)
    if not found:
        raise UserError(
            f"{annotation.where}: clip {annotation.name} has no _ne_, _po_ or _sur_ in its name, which is its class; "
            "rename it as SMIC does"
        )
    return SMIC_WORDS[found[1].lower()]


def possible_labels(annotation: Annotation, protocol: str) -> set[int | None]:
    """Returns the classes that an annotation's emotion has in a protocol; None for a word left out.

    More than one are possible: 4DME has such as "surprise+positive" (docs/databases.md, "4DME").

    Raises:
        UserError: a word that is neither used nor left out. The message names the row.
    """
    emotion = emotion_of_annotation(annotation)
    try:
        return {_label_of(word.strip(), annotation.dataset, protocol) for word in emotion.split("+")}
    except UserError as error:
        raise UserError(
            f"{annotation.where}: emotion {annotation.emotion!r} of clip {annotation.name} is unknown ({error}); "
            "correct the cell"
        ) from None


def _label_of(word: str, dataset: str, protocol: str) -> int | None:
    if protocol == "five":
        kept, dropped = FIVE_CLASS_EMOTIONS[dataset], _NOT_FIVE[dataset]
        if word in ("other", "others"):  # both spellings are about (docs/databases.md, "SAMM")
            return len(kept) - 1
    else:
        kept, dropped = _MEGC2019.get(dataset, ()), _NO_CLASS
        if protocol == "megc2019":
            dropped += _NOT_MEGC2019.get(dataset, ())
    if word in dropped:
        return None
    if protocol == "three" or dataset not in _MEGC2019:
        return label_of(word)
    if word not in kept:
        raise UserError(f"the words of {dataset} are {', '.join((*kept, *dropped))}")
    return kept.index(word) if protocol == "five" else label_of(word)
