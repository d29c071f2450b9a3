"""CASME, the first one: folders of frames and its table (docs/databases.md, "CASME")."""

from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.data.ingest.annotation import DatabaseAnnotation
from icegan_jax.data.ingest.annotation import Finding
from icegan_jax.data.ingest.annotation import Source
from icegan_jax.data.ingest.annotation import parse_annotation
from icegan_jax.data.ingest.annotation import parse_clip_name
from icegan_jax.data.ingest.annotation import is_remark_row
from icegan_jax.data.ingest.annotation import parse_subject
from icegan_jax.data.ingest.match_folders import SubjectClip
from icegan_jax.data.ingest.match_folders import match_folders
from icegan_jax.data.ingest.match_folders import check_clip_folders
from icegan_jax.data.ingest.scan import ClipFolder, scan_folders, subject_number
from icegan_jax.data.ingest.spreadsheets import Row
from icegan_jax.data.ingest.workbooks import find_workbook, has_name_pattern

_TITLE = "CASME"
_COLUMNS = ("Subject", "Filename", "OnsetF", "ApexF1", "OffsetF", "Emotion")
_USUAL = ("the table of CASME with ApexF1 and ApexF2",)


def read(source: Source) -> DatabaseAnnotation:
    """Reads CASME: sub01/EP01_5 with frames EP01_5-113.jpg or reg_EP01_5-113.jpg.

    A clip has up to two apexes: ApexF1 is taken, ApexF2 is noted. Assumed, as docs/databases.md names the
    frames but not their folders: they lie as in CASME II, a folder per subject, in it one per clip.
    Videos are taken to count from 0, with a note.

    Raises:
        UserError: not CASME, no table of it, or a cell that cannot be used.
    """
    tree = scan_folders(source.root)
    check_clip_folders(tree, _key, _TITLE, "sub01/EP01_5, as in CASME II")
    table, findings = find_workbook(source, _TITLE, _COLUMNS, usual=_USUAL)
    annotations: list[Annotation] = []
    for row in table.rows:
        if is_remark_row(row, onset="onsetf"):
            continue
        subject, clip = f"sub{parse_subject(table, row):02d}", parse_clip_name(table, row)
        annotation, notes = parse_annotation(
            table, row, source.name, subject, clip, emotion="emotion", onset="onsetf", apex="apexf1", offset="offsetf"
        )
        annotations.append(annotation)
        findings += [*notes, *_second_apex(annotation, row)]
    return match_folders(source, tree, annotations, _key, findings=findings, video_start=lambda annotation, release: 0)


def _key(folder: ClipFolder) -> SubjectClip | None:
    """(sub1, EP01_5): clips are named as in CASME II."""
    number = subject_number(folder.parent)
    return (f"sub{number}", folder.name) if number is not None and has_name_pattern(folder.name, "CASME II") else None


def _second_apex(annotation: Annotation, row: Row) -> list[Finding]:
    second = row.integer("apexf2")
    if not second or annotation.apex is None or second == annotation.apex:
        return []
    message = f"a second apex, {second}: the first, {annotation.apex}, is used"
    remedy = "give the other one in a --repairs file if you want it"
    return [Finding("note", annotation.name, annotation.where, message, remedy)]
