"""What the names of SMIC's folders and clips say (docs/databases.md, "SMIC")."""

import re
from collections.abc import Sequence

from icegan_jax.data.readers.matching import Key, words
from icegan_jax.data.trees import ClipFolder

TITLE = "SMIC"
CAMERAS = {"smic": "HS", "smic_vis": "VIS", "smic_nir": "NIR"}
# The label comes from the clip's name, not from the workbook (docs/databases.md, "SMIC").
EMOTIONS = {"ne": "negative", "po": "positive", "sur": "surprise"}
_NAME = re.compile(r"s(\d{1,3})_(ne|po|sur)_(\d{1,3})", re.IGNORECASE)


def clip_key(name: str) -> Key | None:
    """Returns (s01, s01_ne_01) of a clip's name in any padding; None where it is none of SMIC's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    subject = f"s{int(match[1]):02d}"
    return subject, f"{subject}_{match[2].lower()}_{int(match[3]):02d}"


def emotion_of(clip: str) -> str:
    """Returns negative, positive or surprise of a clip's name, as ``clip_key`` gives it."""
    return EMOTIONS[clip.split("_")[1]]


def camera_of(names: Sequence[str]) -> str | None:
    """Returns HS, VIS or NIR of the innermost name that has it as a word: HS of "SMIC-HS-E", "HS_long"."""
    for name in reversed(names):
        found = [word.upper() for word in words(name) if word.upper() in CAMERAS.values()]
        if found:
            return found[0]
    return None


def is_exact(folder: ClipFolder) -> bool:
    """Returns whether a folder is of SMIC_all: it holds onset..offset, no more; others are SMIC-E's.

    SMIC_all sorts its clips into micro/negative, micro/positive, micro/surprise; SMIC-E into subjects.
    """
    return folder.parent.lower() in ("micro", *EMOTIONS.values())
