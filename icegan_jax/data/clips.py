"""The annotation of micro-expression clips: the ``Clip`` and ``clips.csv``.

Every source of data (a user's own clips, the licensed databases, the procedural faces) becomes a
list of ``Clip``; no later stage depends on the source.
"""

import csv
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.data.ingest.annotation import Annotation, parse_action_units
from icegan_jax.data.ingest.spreadsheets import Row, Table, WrongTableError, read_table
from icegan_jax.data.names import check_classes, check_name, date_hint
from icegan_jax.data.video import list_frames
from icegan_jax.errors import UserError, did_you_mean

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
    "disgusted": 0,
    "fear": 0,
    "fearful": 0,
    "sadness": 0,
    "sad": 0,
    "positive": 1,
    "happiness": 1,
    "happy": 1,
    "amusement": 1,
    "surprise": 2,
    "surprised": 2,
}

COLUMNS = ("dataset", "subject", "clip", "label", "frames", "onset", "apex", "offset")
ACTION_UNITS_COLUMN = "action_units"  # a further column, of the systems that learn the units
REQUIRED_COLUMNS = ("subject", "label", "frames")
# What is used where a cell of a frame number is empty, or the table has no such column.
_WHERE_EMPTY = {
    "onset": "the first frame is then used",
    "apex": "the apex is then spotted",
    "offset": "the last frame is then used",
}


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
        action_units: numbers of the action units, ascending; empty where none are annotated.
    """

    dataset: str
    subject: str
    clip: str
    label: int
    frames: Path
    onset: int
    apex: int | None
    offset: int
    action_units: tuple[int, ...] = ()

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
        hint = date_hint(word) or did_you_mean(word, list(labels))
        raise UserError(f"label {word!r} has no class{hint}; use one of {', '.join(labels)}, or remove the row")
    return label


def read_clips(path: str | Path, classes: Sequence[str] = EXPRESSIONS) -> list[Clip]:
    """Read a table of clips as ``read_clip_annotations`` does, and look up the first and last frame where needed.

    Raises:
        UserError: as ``read_clip_annotations``; or the frames of a row without an onset or an offset cannot be listed.
    """
    return [_clip_of(annotation, classes) for annotation in read_clip_annotations(path, classes)]


def _clip_of(annotation: Annotation, classes: Sequence[str]) -> Clip:
    onset, offset, frames = annotation.onset, annotation.offset, annotation.frames[0]
    if onset is None or offset is None:
        try:
            numbers = list_frames(frames)
        except UserError as error:
            raise UserError(f"{annotation.where}: {error}") from None
        onset = numbers[0] if onset is None else onset
        offset = numbers[-1] if offset is None else offset
    label = classes.index(annotation.emotion)
    return Clip(*annotation.key, label, frames, onset, annotation.apex, offset, annotation.action_units)


def read_clip_annotations(path: str | Path, classes: Sequence[str] = EXPRESSIONS) -> list[Annotation]:
    """Read a table of clips, a csv or a workbook, with the columns ``COLUMNS`` and labels of ``label_of``.

    Only ``REQUIRED_COLUMNS`` are required. Without a dataset the name of the table is the dataset, without a clip the
    name of the frames' folder or video is the clip. An empty onset or offset means the first or last frame; an empty
    apex is spotted. ``frames`` is relative to the folder of the table; "~" and backslashes are understood. Blank lines
    and further columns but ``ACTION_UNITS_COLUMN`` are ignored, but a column such as OnsetFrame without a column onset
    is an error. ``read_table`` defines the accepted files. The frames are not read.

    Returns:
        The rows; ``emotion`` is the name of the class.

    Raises:
        UserError: the file, a column or a value is missing or invalid, or a clip occurs twice. The message names the
            file and the line.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the path of the clips.csv in it")
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the path of a clips.csv")
    optional = [name for name in COLUMNS if name not in REQUIRED_COLUMNS]
    try:
        table = read_table(path, REQUIRED_COLUMNS, optional=optional)
    except WrongTableError as error:
        columns = f"{','.join(REQUIRED_COLUMNS)}, and where known {','.join(optional)}"
        raise UserError(f"{error}; the first line must hold {columns}") from None
    _check_frame_columns(table)
    annotations: list[Annotation] = []
    lines: dict[tuple[str, str, str], int] = {}
    for row in table.rows:
        place = f"{path}, line {row.number}"
        try:
            annotation = _annotation_of(row, table, place, classes)
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
        earlier = lines.setdefault(annotation.key, row.number)
        if earlier != row.number:
            remedy = "rename or remove one of them" if row.text("clip") else "name each in a column clip"
            raise UserError(f"{place}: clip {annotation.name} is already in line {earlier}; {remedy}")
        annotations.append(annotation)
    if not annotations:
        raise UserError(f"{path}: holds no clips; add a row per clip below the header")
    return annotations


def _check_frame_columns(table: Table) -> None:
    """Refuse a column such as OnsetFrame, in whose place the first frame would be used without a word."""
    for name in _WHERE_EMPTY:
        similar = [column for column in table.columns if name in column and column not in COLUMNS]
        if similar and name not in table.columns:
            raise UserError(
                f"{table.path}: the column {similar[0]} is not read; call it {name} if it holds frame numbers, else "
                f"remove it: {_WHERE_EMPTY[name]}"
            )


def _annotation_of(row: Row, table: Table, place: str, classes: Sequence[str]) -> Annotation:
    if not row.text("frames"):
        raise UserError("frames is empty; give a folder of frames or a video file")
    try:
        label = label_of(row.text("label"), classes)
    except UserError as error:
        raise UserError(f"{error}{_own_classes_hint(table)}") from None
    frames = _frames_path(table.path.parent, row.text("frames"))
    annotation = Annotation(
        check_name(row.text("dataset") or table.path.stem, "dataset"),
        check_name(row.text("subject"), "subject"),
        check_name(row.text("clip") or (frames.stem if frames.suffix and not frames.is_dir() else frames.name), "clip"),
        classes[label],
        (frames,),
        _frame_number(row, "onset"),
        _frame_number(row, "apex"),
        _frame_number(row, "offset"),
        place,
        parse_action_units(row.text(ACTION_UNITS_COLUMN)),
    )
    onset, offset = annotation.onset, annotation.offset
    if onset is not None and offset is not None and offset <= onset:
        raise UserError(
            f"offset {offset} of clip {annotation.name} is not after onset {onset}; correct the frame numbers"
        )
    return annotation


def _own_classes_hint(table: Table) -> str:
    words = list(dict.fromkeys(row.text("label").casefold() for row in table.rows))
    try:
        check_classes(words)
    except UserError:  # an empty cell, for example
        return ""
    return f"; or train on classes of your own: prepare with --classes={shlex.quote(','.join(words))}"


def _frames_path(folder: Path, text: str) -> Path:
    """Return the path in a cell; a table that was written on Windows has backslashes."""
    path = folder / os.path.expanduser(text)
    return path if path.exists() or "\\" not in text else folder / os.path.expanduser(text.replace("\\", "/"))


def _frame_number(row: Row, field: str) -> int | None:
    text, number = row.text(field), row.integer(field)
    if text and (number is None or number < 0):
        raise UserError(
            f"{field} {text!r} is not a frame number{date_hint(text)}; give a whole number of 0 or more, or leave the "
            f"cell empty: {_WHERE_EMPTY[field]}"
        )
    return number


def write_clips(path: str | Path, clips: Iterable[Clip], classes: Sequence[str] = EXPRESSIONS) -> None:
    """Write a clips.csv whose labels are names of ``classes`` and whose frames are relative to the file's folder.

    There is a column of action units where a clip has some.
    """
    path, clips = Path(path), list(clips)
    with_units = any(clip.action_units for clip in clips)
    folder = path.parent.resolve()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, ACTION_UNITS_COLUMN] if with_units else COLUMNS)
        for c in clips:
            frames = Path(os.path.relpath(c.frames.resolve(), folder)).as_posix()
            apex = "" if c.apex is None else c.apex
            units = ["+".join(map(str, c.action_units))] if with_units else []
            writer.writerow((c.dataset, c.subject, c.clip, classes[c.label], frames, c.onset, apex, c.offset, *units))


def frames_after_onset(clip: Clip, numbers: Sequence[int]) -> list[int]:
    """Return the frame numbers after the onset, up to the offset: those of the frames that may show the expression."""
    return [n for n in numbers if clip.onset < n <= clip.offset]
