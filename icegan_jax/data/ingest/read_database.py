"""The reading of a database that comes as folders of frames and one annotation table."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import partial

from icegan_jax.data.ingest.annotation import (
    Annotation,
    Columns,
    DatabaseAnnotation,
    Finding,
    Source,
    is_remark_row,
    parse_annotation,
    parse_clip_name,
    parse_subject,
)
from icegan_jax.data.ingest.match_folders import SubjectClip, check_clip_folders, match_folders
from icegan_jax.data.ingest.scan import ClipFolder, scan_folders
from icegan_jax.data.ingest.spreadsheets import Row, Table
from icegan_jax.data.ingest.workbooks import find_workbook


@dataclass(frozen=True)
class DatabaseFormat:
    """The description of a database: its folders, its table, and its exceptions.

    Attributes:
        title: name of the database, as "CASME II".
        folder_example: a clip's folder, for messages: "sub01/EP02_01f".
        workbooks: file names of the table, for messages and as a preference.
        columns: names of the columns.
        folder_key: (subject, clip) of a folder; None where the folder is no clip of this database.
        subject: pattern of a subject's name, as "sub{:02d}", for the number in the subject's column.
        onset_in_clip: whether a recording holds several micro-expressions, so that a clip is named by its recording
            and onset: "b_166".
        row_key: (subject, clip) of a row; None: as ``subject`` and ``onset_in_clip`` say.
        annotation_folder_key: (subject, clip) that ``folder_key`` returns for an annotation's folder; None: the
            annotation's own, without the onset.
        extra_columns: further columns that the table must have.
        reject_table: why a table is of another database; "" where the table fits.
        is_newer: whether a table is a newer coding than others.
        skip_row: the kind of a row that is not used, as "macro-expressions"; "" for a row that is used.
        revise: the annotations to use instead of the one of a row, none or one, and findings about the change.
        check: raises ``UserError`` where the annotations contradict each other.
        video_start: frame number, in the annotation's numbering, of the first frame of a clip's video of a release;
            None: the annotation counts from 0 as videos do.
    """

    title: str
    folder_example: str
    workbooks: tuple[str, ...]
    columns: Columns
    folder_key: Callable[[ClipFolder], SubjectClip | None]
    subject: str = "{}"
    onset_in_clip: bool = False
    row_key: Callable[[Table, Row], SubjectClip] | None = None
    annotation_folder_key: Callable[[Annotation], SubjectClip] | None = None
    extra_columns: tuple[str, ...] = ()
    reject_table: Callable[[Table], str] = lambda table: ""
    is_newer: Callable[[Table], bool] = lambda table: False
    skip_row: Callable[[Table, Row], str] = lambda table, row: ""
    revise: Callable[[Annotation, Row], tuple[Sequence[Annotation], list[Finding]]] = lambda annotation, row: (
        [annotation],
        [],
    )
    check: Callable[[Sequence[Annotation]], None] = lambda annotations: None
    video_start: Callable[[Annotation, str], int] | None = None


def read_database(source: Source, database: DatabaseFormat) -> DatabaseAnnotation:
    """Read the table of a database and find the folder of each row: stages 1 to 5 of ``ingest``.

    Raises:
        WrongTableError: there are tables, but none is of the database.
        UserError: no clip of the database, no table, or a cell that cannot be used.
    """
    columns = database.columns
    tree = scan_folders(source.root)
    check_clip_folders(tree, database.folder_key, database.title, database.folder_example)
    table, findings = find_workbook(
        source,
        database.title,
        (*astuple(columns), *database.extra_columns),
        file_names=database.workbooks,
        clip_column=columns.clip,
        reject=database.reject_table,
        is_newer=database.is_newer,
    )
    skipped: Counter[str] = Counter()
    annotations: list[Annotation] = []
    for row in table.rows:
        if is_remark_row(row, columns):
            continue
        if kind := database.skip_row(table, row):
            skipped[kind] += 1
            continue
        subject, clip = database.row_key(table, row) if database.row_key else _row_key(table, row, database)
        annotation, notes = parse_annotation(table, row, source.name, subject, clip, columns)
        revised, more = database.revise(annotation, row)
        annotations += revised
        findings += [*notes, *more]
    database.check(annotations)
    findings += [
        Finding("note", source.name, str(table.path), f"{kind}, not used: {count}") for kind, count in skipped.items()
    ]
    return match_folders(
        source,
        tree,
        annotations,
        database.folder_key,
        findings=findings,
        annotation_key=database.annotation_folder_key or partial(_annotation_folder_key, database=database),
        video_start=database.video_start,
    )


def _row_key(table: Table, row: Row, database: DatabaseFormat) -> SubjectClip:
    subject = database.subject.format(parse_subject(table, row, database.columns.subject))
    clip = parse_clip_name(table, row, database.columns.clip)
    return subject, f"{clip}_{row.integer(database.columns.onset)}" if database.onset_in_clip else clip


def _annotation_folder_key(annotation: Annotation, database: DatabaseFormat) -> SubjectClip:
    clip = annotation.clip.rpartition("_")[0] if database.onset_in_clip else annotation.clip
    return annotation.subject, clip
