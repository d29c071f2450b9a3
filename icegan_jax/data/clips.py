"""The annotation of micro-expression clips: the ``Clip`` and ``clips.csv``.

Every source of data (a user's own clips, the licensed databases, the procedural faces) becomes a
list of ``Clip``; no later stage depends on the source.
"""

import csv
import difflib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.data.ingest.spreadsheets import Row, WrongTableError, read_table
from icegan_jax.data.names import check_name
from icegan_jax.errors import UserError

# MEGC2019 three-class composite protocol, in label order (docs/databases.md, "Classes and emotion words").
EXPRESSIONS = ("negative", "positive", "surprise")

# The class of each emotion word of the databases (docs/databases.md, "Classes and emotion words"). The word "others"
# has no class.
_EMOTIONS = {
    "negative": 0,
    "repression": 0,
    "tense": 0,  # CASME, by convention (docs/databases.md, "Classes and emotion words")
    "anger": 0,
    "angry": 0,
    "contempt": 0,
    "disgust": 0,
    "fear": 0,
    "sadness": 0,
    "sad": 0,
    "positive": 1,
    "happiness": 1,
    "happy": 1,
    "amusement": 1,
    "surprise": 2,
    "surprised": 2,
}

# A frame number of more digits is a damaged cell: SMIC's longest have 8 (docs/databases.md, "Identifiers").
MAX_DIGITS = 9

COLUMNS = ("dataset", "subject", "clip", "label", "frames", "onset", "apex", "offset")


@dataclass(frozen=True)
class Clip:
    """One annotated clip: the subject, the class, and the frames at which the movement starts, peaks and ends.

    Attributes:
        dataset: name of the database; with ``subject`` it keys the leave-one-subject-out folds.
        subject: identifier of the person, unique within the dataset only.
        clip: name of the clip, unique within (dataset, subject) only (docs/databases.md, "Identifiers").
        label: an index into the classes, which are ``EXPRESSIONS`` unless other classes were given.
        frames: a folder of frames, or a video file.
        onset: frame number of the neutral face before the movement. In a folder, frame numbers are
            those in the file names; in a video, 0-based positions.
        apex: frame number of the strongest movement; None where the apex has to be spotted.
        offset: frame number of the movement's end.
    """

    dataset: str
    subject: str
    clip: str
    label: int
    frames: Path
    onset: int
    apex: int | None
    offset: int

    @property
    def name(self) -> str:
        """The name ``dataset/subject/clip`` of the clip in messages."""
        return f"{self.dataset}/{self.subject}/{self.clip}"


def label_of(word: str, classes: Sequence[str] = EXPRESSIONS) -> int:
    """Return the index of the class that a label names, in upper or lower case.

    With ``EXPRESSIONS`` the label may also be an emotion word (docs/databases.md, "Classes and emotion words"); with
    other classes the label is the name of a class.

    Raises:
        UserError: no class has that label.
    """
    labels = _EMOTIONS
    if tuple(classes) != EXPRESSIONS:
        labels = {name.casefold(): label for label, name in enumerate(classes)}
    label = labels.get(word.strip().casefold())
    if label is None:
        close = difflib.get_close_matches(word.strip().casefold(), labels, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise UserError(f"label {word!r} has no class{hint}; use one of {', '.join(labels)}, or remove the row")
    return label


def read_clips(path: str | Path, classes: Sequence[str] = EXPRESSIONS) -> list[Clip]:
    """Read a clips.csv with the columns ``COLUMNS`` and labels of ``label_of``.

    ``frames`` is relative to the folder of the csv, and ``apex`` may be empty. Blank lines and further columns are
    ignored. ``read_table`` defines the accepted separators and encodings. The frames are not read.

    Raises:
        UserError: the file, a column or a value is missing or invalid, or a clip occurs twice. The message names the
            file and the line.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the path of the clips.csv in it")
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the path of a clips.csv")
    try:
        table = read_table(path, COLUMNS)
    except WrongTableError as error:
        raise UserError(f"{error}; the first line must be {','.join(COLUMNS)}") from None
    clips: list[Clip] = []
    lines: dict[tuple[str, str, str], int] = {}
    for row in table.rows:
        place = f"{path}, line {row.number}"
        try:
            clip = _clip_of(row, path.parent, classes)
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
        key = (clip.dataset, clip.subject, clip.clip)
        if key in lines:
            raise UserError(f"{place}: clip {clip.name} is already in line {lines[key]}; rename or remove one of them")
        lines[key] = row.number
        clips.append(clip)
    if not clips:
        raise UserError(f"{path}: holds no clips; add a row per clip below the header")
    return clips


def _clip_of(row: Row, folder: Path, classes: Sequence[str]) -> Clip:
    cell = {name: row.text(name) for name in COLUMNS}
    if not cell["frames"]:
        raise UserError("frames is empty; give a folder of frames or a video file")
    clip = Clip(
        dataset=check_name(cell["dataset"], "dataset"),
        subject=check_name(cell["subject"], "subject"),
        clip=check_name(cell["clip"], "clip"),
        label=label_of(cell["label"], classes),
        frames=folder / cell["frames"],
        onset=_frame_number(cell["onset"], "onset"),
        apex=_frame_number(cell["apex"], "apex") if cell["apex"] else None,
        offset=_frame_number(cell["offset"], "offset"),
    )
    if clip.offset <= clip.onset:
        raise UserError(
            f"offset {clip.offset} of clip {clip.name} is not after onset {clip.onset}; correct the frame numbers"
        )
    return clip


def _frame_number(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise UserError(f"{field} {text!r} is not a frame number; give a whole number of 0 or more")
    return int(text)


def write_clips(path: str | Path, clips: Iterable[Clip], classes: Sequence[str] = EXPRESSIONS) -> None:
    """Write a clips.csv whose labels are names of ``classes`` and whose frames are relative to the file's folder."""
    path = Path(path)
    folder = path.parent.resolve()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for c in clips:
            frames = Path(os.path.relpath(c.frames.resolve(), folder)).as_posix()
            apex = "" if c.apex is None else c.apex
            writer.writerow((c.dataset, c.subject, c.clip, classes[c.label], frames, c.onset, apex, c.offset))


def frames_after_onset(clip: Clip, numbers: Sequence[int]) -> list[int]:
    """Return the frame numbers after the onset, up to the offset: those of the frames that may show the expression."""
    return [n for n in numbers if clip.onset < n <= clip.offset]
