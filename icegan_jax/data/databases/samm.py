"""SAMM: folders of frames and the FACS workbook (docs/databases.md, "SAMM")."""

from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.data.ingest.annotation import DatabaseAnnotation
from icegan_jax.data.ingest.annotation import Source
from icegan_jax.data.ingest.annotation import parse_annotation
from icegan_jax.data.ingest.annotation import parse_clip_name
from icegan_jax.data.ingest.annotation import is_remark_row
from icegan_jax.data.ingest.annotation import parse_subject
from icegan_jax.data.ingest.match_folders import SubjectClip
from icegan_jax.data.ingest.match_folders import match_folders
from icegan_jax.data.ingest.match_folders import check_clip_folders
from icegan_jax.data.ingest.scan import ClipFolder, scan_folders
from icegan_jax.data.ingest.spreadsheets import Row, Table
from icegan_jax.data.ingest.workbooks import find_workbook, has_name_pattern
from icegan_jax.errors import UserError

_TITLE = "SAMM"
_COLUMNS = ("Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Estimated Emotion")
_USUAL = ("SAMM_Micro_FACS_Codes_v2.xlsx", "SAMM_20181215_Micro_FACS_Codes_v2.xlsx")


def read(source: Source) -> DatabaseAnnotation:
    """Reads SAMM: SAMM/006/006_1_2, and SAMM_CROP with the same folders.

    The header is found by its names, below preamble rows or not. The column Duration, a formula,
    is not read. Apexes outside onset..offset (028_4_1, 032_3_1) pass as they stand.

    Raises:
        UserError: not SAMM, no workbook, or a cell of it that cannot be used.
    """
    tree = scan_folders(source.root)
    check_clip_folders(tree, _key, _TITLE, "006/006_1_2")
    table, findings = find_workbook(source, _TITLE, _COLUMNS, usual=_USUAL)
    annotations: list[Annotation] = []
    for row in table.rows:
        if is_remark_row(row):
            continue
        subject, clip = _names(table, row)
        annotation, notes = parse_annotation(table, row, source.name, subject, clip)
        annotations.append(annotation)
        findings += notes
    return match_folders(source, tree, annotations, _key, findings=findings, video_start=_video_start)


def _names(table: Table, row: Row) -> SubjectClip:
    """Subject and clip, padded to three digits; the clip's name starts with the subject's number."""
    subject, clip = parse_subject(table, row), parse_clip_name(table, row)
    if not has_name_pattern(clip, _TITLE) or int(clip.split("_")[0]) != subject:
        raise UserError(
            f"{table.place(row)}: Filename {clip!r} is no clip of subject {subject:03d}; SAMM's are named "
            f"{subject:03d}_1_2, say; correct the cell"
        )
    return _padded(clip)


def _key(folder: ClipFolder) -> SubjectClip | None:
    """(006, 006_1_2): the clip's name holds the subject."""
    return _padded(folder.name) if has_name_pattern(folder.name, _TITLE) else None


def _padded(clip: str) -> SubjectClip:
    subject, rest = clip.split("_", 1)
    return f"{int(subject):03d}", f"{int(subject):03d}_{rest}"


def _video_start(annotation: Annotation, release: str) -> int:
    """A clip's folder holds onset..offset (docs/databases.md, "SAMM")."""
    return annotation.onset or 0
