"""CASME II: folders of frames and the coding sheet (docs/databases.md, "CASME II")."""

import re

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
from icegan_jax.data.ingest.scan import ClipFolder, scan_folders, subject_number
from icegan_jax.data.ingest.spreadsheets import Table
from icegan_jax.data.ingest.workbooks import find_workbook, has_name_pattern

_TITLE = "CASME II"
_COLUMNS = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
_USUAL = ("CASME2-coding-20190701.xlsx", "CASME2-coding-20140508.xlsx", "CASME2_label_Ver_2.xls")
_SUBJECT = re.compile(r"(sub(ject)?|s)?[ _-]?\d+", re.IGNORECASE)


def read(source: Source) -> DatabaseAnnotation:
    """Reads CASME II: CASME2-RAW, CASME2_RAW_selected and Cropped, nested as they unpack.

    Of several coding sheets the newest is used (2019: it has a column Objective Classes), with a
    note. Emotions are the sheet's words, in lower case.

    Raises:
        UserError: not CASME II, no coding sheet, or a cell of it that cannot be used.
    """
    tree = scan_folders(source.root)
    check_clip_folders(tree, _key, _TITLE, "sub01/EP02_01f")
    table, findings = find_workbook(source, _TITLE, _COLUMNS, usual=_USUAL, refuse=_refusal, newer=_is_newer)
    annotations: list[Annotation] = []
    for row in table.rows:
        if is_remark_row(row):
            continue
        subject, clip = f"sub{parse_subject(table, row):02d}", parse_clip_name(table, row)
        annotation, notes = parse_annotation(table, row, source.name, subject, clip)
        annotations.append(annotation)
        findings += notes
    return match_folders(source, tree, annotations, _key, findings=findings, video_start=_video_start)


def _key(folder: ClipFolder) -> SubjectClip | None:
    """(sub01, EP02_01f): clip names are not unique across subjects (docs/databases.md, "Identifiers")."""
    number = subject_number(folder.parent) if _SUBJECT.fullmatch(folder.parent) else None
    return (f"sub{number:02d}", folder.name) if number is not None and has_name_pattern(folder.name, _TITLE) else None


def _refusal(table: Table) -> str:
    """SAMM's columns are CASME II's and more: it has an inducement code."""
    return "looks like the annotation of SAMM: it has an Inducement Code" if "inducementcode" in table.columns else ""


def _is_newer(table: Table) -> bool:
    return "objectiveclasses" in table.columns


def _video_start(annotation: Annotation, release: str) -> int:
    """Recordings count from img1; selected and cropped frames start at the onset (docs/databases.md, "CASME II")."""
    return 1 if release == "raw" or annotation.onset is None else annotation.onset
