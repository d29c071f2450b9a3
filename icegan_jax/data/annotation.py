"""What the reader of a database yields: its annotation as it stands, before protocol and repairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Annotation:
    """One annotated micro-expression, as the database says it: nothing left out, nothing repaired.

    Attributes:
        dataset: name of the database, as "casme2".
        subject: the person, padded as the MEGC2019 log does: "sub01", "006", "s01".
        clip: name of the clip, unique within (dataset, subject).
        emotion: the database's word, in lower case: an emotion, "others", or a class.
        frames: folders or videos that hold its frames, the preferred one first; empty: none found.
        onset: frame number; None: the first frame there is.
        apex: frame number; None: not annotated, or not a number.
        offset: frame number; None: the last frame there is.
        where: file and row that say so, for messages: "CASME2-coding.xlsx, row 17".
    """

    dataset: str
    subject: str
    clip: str
    emotion: str
    frames: tuple[Path, ...]
    onset: int | None
    apex: int | None
    offset: int | None
    where: str

    @property
    def name(self) -> str:
        """``dataset/subject/clip``, as messages name it."""
        return f"{self.dataset}/{self.subject}/{self.clip}"


@dataclass(frozen=True)
class Finding:
    """One thing that a user should know about the data, with where it is and what to do.

    Attributes:
        kind: "error" (stops preparation), "missing" (a clip that should be there and is not),
            "surplus" (a folder or row that no clip uses), "excluded" (left out by the protocol's
            rule), "repair" (will be changed, and how), or "note".
        clip: ``dataset/subject/clip``, or the database's name where it is about no single clip.
        where: the file, row or folder.
        message: what is found there.
        remedy: what the user can do; empty where nothing needs doing.
    """

    kind: str
    clip: str
    where: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Reading:
    """All that a reader found in a database's folder.

    Attributes:
        annotations: every annotated clip, in the order of the annotation.
        findings: what else was seen there: folders without a row, odd cells, releases used.
    """

    annotations: Sequence[Annotation]
    findings: Sequence[Finding] = ()
