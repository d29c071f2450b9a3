"""The reading of a database that comes as folders of frames and one annotation table."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path

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
from icegan_jax.data.ingest.spreadsheets import (
    Row,
    Table,
    WrongTableError,
    find_tables,
    normalize_column,
    read_headerless_table,
    read_sheets,
    read_table,
)
from icegan_jax.data.names import normalize_name
from icegan_jax.errors import UserError

# docs/databases.md, "Identifiers": EP02_01f; 006_1_2; s1_ne_01; S03-01-002.
_CLIP_NAMES = {
    "CASME II": r"ep\d+.*",
    "SAMM": r"\d{1,3}_\d{1,2}_\d{1,3}",
    "SMIC": r"s\d+_(ne|po|sur)_\d+",
    "MMEW": r"s\d+-\d+-\d+",
}


@dataclass(frozen=True)
class NamesSheet:
    """A sheet of the workbook, without a header, that gives the names of folders.

    Attributes:
        sheet: name of the sheet.
        name: index of the column with the name that the table has.
        folder: index of the column with the name that folders have.
    """

    sheet: str
    name: int
    folder: int

    def read(self, path: Path) -> Mapping[str, str]:
        """Return {name in the table: name of the folder}, both without padding; empty where there is no such sheet."""
        rows = [
            [normalize_name(cell.strip()) for cell in cells]
            for sheet in read_sheets(path)
            if normalize_column(sheet.name) == normalize_column(self.sheet)
            for _, cells in sheet.rows
        ]
        return {cells[self.name]: cells[self.folder] for cells in rows if len(cells) > max(self.name, self.folder)}


@dataclass(frozen=True)
class DatabaseFormat:
    """The description of a database: its folders, its table, and its exceptions.

    Attributes:
        title: name of the database, as "CASME II".
        folder: pattern of the last names of a clip's path, joined by "/", in any case, with the groups "clip" and,
            where a name holds it, "subject": the digits of the subject's number; "onset": the onset of the clip;
            "recording": instead of a clip, a name of the sheet ``recordings``.
        folder_example: a clip's folder, for messages: "sub01/EP02_01f".
        workbooks: file names of the table, for messages and as a preference.
        columns: names of the columns.
        subject: pattern of a subject's name, as "sub{:02d}", for the number in the subject's column.
        header: names of the columns of a table that is distributed without a header row.
        subjects: the sheet that gives the subject's folder for a number in the subject's column.
        recordings: the sheet that gives the recording's folder for a clip's name without its last number.
        onset_in_clip: whether a recording holds several micro-expressions, so that a clip is named by its recording
            and onset: "b_166".
        type_column: the column that says whether a row is a micro-expression or a macro-expression, which is not used.
        without_class: emotion words of the table that mean no class here.
        video_start: frame number, in the annotation's numbering, of the first frame of a clip's video of a release;
            None: the annotation counts from 0 as videos do.
        assumed: what is assumed about a database that the program has never read; "" for the databases whose layout is
            known.
    """

    title: str
    folder: str
    folder_example: str
    workbooks: tuple[str, ...]
    columns: Columns = Columns()  # noqa: RUF009 (frozen)
    subject: str = "{}"
    header: tuple[str, ...] = ()
    subjects: NamesSheet | None = None
    recordings: NamesSheet | None = None
    onset_in_clip: bool = False
    type_column: str = ""
    without_class: tuple[str, ...] = ()
    video_start: Callable[[Annotation, str], int] | None = None
    assumed: str = ""

    def folder_key(self, folder: ClipFolder) -> SubjectClip | None:
        """Return (sub01, EP02_01f) of a folder, ("", clip) where no name is a subject's; None for other folders."""
        match = re.search(f"(?:^|/){self.folder}$", "/".join(folder.parts), re.IGNORECASE)
        if match is None:
            return None
        found = match.groupdict()
        clip = found["clip"] or normalize_name(found["recording"])
        subject = self.subject.format(int(found["subject"])) if found.get("subject") else ""
        return subject, f"{clip}_{int(found['onset'])}" if found.get("onset") else clip

    def row_key(self, table: Table, row: Row, subjects: Mapping[str, str]) -> SubjectClip:
        """Return (sub01, EP02_01f) of a row; ``subjects`` are the names of the sheet ``self.subjects``.

        Raises:
            UserError: a cell is empty or not as expected, or the clip's name holds another subject than the row.
        """
        number, clip = parse_subject(table, row, self.columns.subject), parse_clip_name(table, row, self.columns.clip)
        if self.subjects is not None and row.integer(self.columns.subject) is not None:
            folder = re.fullmatch(r"\D*(\d+)", subjects.get(str(number), ""))
            if folder is None:
                raise UserError(
                    f"{table.location(row)}: the sheet {self.subjects.sheet!r} of the workbook names no folder of "
                    f"participant {number}; give the distributed workbook, or write the folder's name, as "
                    f"{self.folder_example.split('/')[0]}, into the cell"
                )
            number = int(folder[1])
        subject = self.subject.format(number)
        if "/" not in self.folder and "<subject>" in self.folder:
            match = re.fullmatch(self.folder, clip, re.IGNORECASE)
            if match is None or int(match["subject"]) != number:
                raise UserError(
                    f"{table.location(row)}: Filename {clip!r} is no clip of subject {subject}; the clips of "
                    f"{self.title} are named as {self.folder_example.split('/')[-1]}; correct the cell"
                )
        return subject, f"{clip}_{row.integer(self.columns.onset)}" if self.onset_in_clip else clip

    def annotation_keys(self, annotation: Annotation, recordings: Mapping[str, str]) -> list[SubjectClip]:
        """Return what ``folder_key`` may return for a folder of an annotation, in the releases of the database.

        Args:
            annotation: the clip.
            recordings: the names of the sheet ``self.recordings``.
        """
        clips = [annotation.clip]
        if self.onset_in_clip:
            clips.insert(0, annotation.clip.rpartition("_")[0])
        recording = recordings.get(normalize_name(clips[0].rpartition("_")[0]))
        return [(subject, clip) for subject in (annotation.subject, "") for clip in (*clips, recording) if clip]


def read_database(source: Source, database: DatabaseFormat) -> DatabaseAnnotation:
    """Read the table of a database and find the folder of each row: stages 1 to 4 of ``ingest``.

    Raises:
        WrongTableError: there are tables, but none is of the database.
        UserError: no clip of the database, no table, or a cell that cannot be used.
    """
    columns = database.columns
    tree = scan_folders(source.root)
    check_clip_folders(tree, database.folder_key, database.title, database.folder_example)
    required = [*astuple(columns), *filter(None, [database.type_column])]
    table, findings = find_workbook(
        source,
        database.title,
        required,
        file_names=database.workbooks,
        header=database.header,
        reject=lambda found: _wrong_types(found, database.type_column),
    )
    subjects, recordings = (
        sheet.read(table.path) if sheet else {} for sheet in (database.subjects, database.recordings)
    )
    if database.assumed:
        message = (
            f"the layout of {database.title} is assumed from its publication and was never read: {database.assumed}"
        )
        remedy = "compare the counts with those published, and report a difference with the lines of --check"
        findings.append(Finding("assumed", source.name, str(source.root), message, remedy))
    macro = 0
    annotations: list[Annotation] = []
    for row in table.rows:
        if is_remark_row(row, columns):
            continue
        if database.type_column and _is_macro(table, row, database.type_column):
            macro += 1
            continue
        annotation, notes = parse_annotation(table, row, source.name, *database.row_key(table, row, subjects), columns)
        if annotation.emotion in database.without_class:
            annotation = replace(annotation, emotion="others")
        if annotation.offset == 0 and annotation.apex:  # none was seen (docs/databases.md, "CAS(ME)^2")
            annotation = replace(annotation, offset=annotation.apex)
            message = f"offset 0: the apex, frame {annotation.apex}, is taken as the offset"
            notes.append(
                Finding("repair", annotation.name, annotation.where, message, "give the offset with --repairs")
            )
        annotations.append(annotation)
        findings += notes
    if macro:
        findings.append(Finding("note", source.name, str(table.path), f"macro-expressions, not used: {macro}"))
    return match_folders(
        source,
        tree,
        annotations,
        database.folder_key,
        findings=findings,
        annotation_keys=partial(database.annotation_keys, recordings=recordings),
        video_start=database.video_start,
    )


def _wrong_types(table: Table, column: str) -> str:
    """Return why a table without a row of a micro-expression or macro-expression is another one; else ""."""
    if not column or any(row.text(column).lower().startswith(("micro", "macro")) for row in table.rows):
        return ""
    return f"no row is a micro-expression or a macro-expression by its column {column}"


def _is_macro(table: Table, row: Row, column: str) -> bool:
    word = row.text(column).lower()
    if not word.startswith(("micro", "macro")):
        raise UserError(
            f"{table.location(row)}: {column} {row.text(column)!r} is neither micro nor macro; correct the cell"
        )
    return word.startswith("macro")


def find_workbook(
    source: Source,
    title: str,
    columns: Sequence[str],
    *,
    file_names: Sequence[str],
    header: Sequence[str] = (),
    sheet: str | None = None,
    reject: Callable[[Table], str] = lambda table: "",
) -> tuple[Table, list[Finding]]:
    """Read ``source.annotation``, or the best table below ``source.root`` that has the columns.

    Of several tables the best is the one with the first of the file names, then the one with the latest date in its
    name, then the one with the most rows.

    Args:
        source: the database, and the table if the user names it.
        title: name of the database, as "CASME II".
        columns: names of the required columns, as ``read_table`` takes them; the second is the clip's.
        file_names: the file names of the distributed table, for messages and as a preference.
        header: names of the columns of a table without a header row; empty: the table has such a row.
        sheet: the sheet to prefer.
        reject: why a table is of another database; "" where the table fits.

    Returns:
        The table, and findings: which of several tables is used, and which could not be read.

    Raises:
        WrongTableError: there are tables, but none has the columns, or they are of another database.
        UserError: there is no table, or none that can be read.
    """
    give = f"put {' or '.join(file_names)} there, or name it with --annotation"

    def read(path: Path) -> Table:
        try:
            table = read_table(path, columns, sheet=sheet)
        except WrongTableError:
            if not header:
                raise
            table = read_headerless_table(path, header)
        other = _other_database((row.text(columns[1]) for row in table.rows), title)
        reason = f"looks like the annotation of {other}, not of {title}" if other else reject(table)
        if reason:
            raise WrongTableError(f"{path}: {reason}; give {' or '.join(file_names)}")
        return table

    if source.annotation is not None:
        return read(source.annotation), []
    tables: list[Table] = []
    wrong: list[UserError] = []
    unreadable: list[UserError] = []
    for path in find_tables(source.root):
        try:
            tables.append(read(path))
        except WrongTableError as error:
            wrong.append(error)
        except UserError as error:
            unreadable.append(error)
    errors = [*unreadable, *wrong]
    if not tables and not errors:
        raise UserError(f"{source.root}: no workbook of {title} (.xlsx, .xls, .ods, .csv); {give}")
    if not tables:
        kind = UserError if unreadable else WrongTableError
        raise kind(f"{errors[0]} (the first of {len(errors)} tables here); {give}")
    best = max(tables, key=partial(_rank, file_names=file_names))
    findings = [Finding("note", source.name, str(source.root), f"not used: {error}") for error in unreadable]
    if len(tables) > 1:
        others = ", ".join(table.path.name for table in tables if table is not best)
        message = f"used for the annotation, not {others}"
        findings.append(Finding("note", source.name, str(best.path), message, "name another with --annotation"))
    return best, findings


def _other_database(names: Iterable[str], title: str) -> str | None:
    """Return which other database most clip names belong to; None where they may be those of ``title``.

    CASME and CASME II name their clips alike: both are "CASME II" here.
    """
    if title not in _CLIP_NAMES:
        return None
    counts: Counter[str | None] = Counter()
    for name in filter(None, names):
        fits = (other for other, pattern in _CLIP_NAMES.items() if re.fullmatch(pattern, name, re.IGNORECASE))
        counts[next(fits, None)] += 1
    most = counts.most_common(1)[0][0] if counts else None
    return None if most == title else most


def _rank(table: Table, file_names: Sequence[str]) -> tuple[int, str, int]:
    """Return the key by which tables are compared, the greatest being the best: place in the names, date, rows."""
    date = re.search(r"(?<!\d)20\d{6}(?!\d)", table.path.stem)
    stems = [re.split(r"[-_]?\d{4,}", Path(name).stem)[0].lower() for name in file_names]
    place = next((i for i, stem in enumerate(stems) if table.path.stem.lower().startswith(stem)), len(stems))
    return -place, date[0] if date else "", len(table.rows)
