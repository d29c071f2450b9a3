"""CAS(ME)^3, part A: colour frames and the table of micro-expressions (docs/databases.md, "CAS(ME)^3")."""

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
from icegan_jax.data.ingest.scan import ClipFolder, scan_folders
from icegan_jax.data.ingest.workbooks import find_workbook

_TITLE = "CAS(ME)^3"
_COLUMNS = (
    "Subject",
    "Filename",
    "Onset|OnsetFrame",
    "Apex|ApexFrame",
    "Offset|OffsetFrame",
    "Emotion|Estimated Emotion",
)
_USUAL = ("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",)
_SUBJECT = re.compile(r"spno\.?\d+", re.IGNORECASE)


def read(source: Source) -> DatabaseAnnotation:
    """Reads part A of CAS(ME)^3: spNO.1/b/color/166.jpg; depth images are left alone.

    One recording (Filename) holds several micro-expressions, so a clip is called by its file and
    onset: b_166. The database's own list of exceptions (missing frames, occluded faces) is not
    applied: what lacks frames is found when the clips are settled. Part C has no apex and no basic
    emotions: it is not read. Assumed, as docs/databases.md does not know the header: the columns are
    called Subject, Filename, Onset, Apex, Offset, Emotion, or as in CASME II.

    Raises:
        UserError: not CAS(ME)^3, no table of it, or a cell that cannot be used.
    """
    tree = scan_folders(source.root)
    check_clip_folders(tree, _key, _TITLE, "spNO.1/b/color")
    table, findings = find_workbook(source, _TITLE, _COLUMNS, usual=_USUAL)
    annotations: list[Annotation] = []
    for row in table.rows:
        if is_remark_row(row, onset="onset"):
            continue
        subject, clip = f"spNO.{parse_subject(table, row)}", f"{parse_clip_name(table, row)}_{row.integer('onset')}"
        annotation, notes = parse_annotation(
            table, row, source.name, subject, clip, emotion="emotion", onset="onset", apex="apex", offset="offset"
        )
        annotations.append(annotation)
        findings += notes
    return match_folders(source, tree, annotations, _key, findings=findings, folder_key=_folder_key)


def _key(folder: ClipFolder) -> SubjectClip | None:
    """(spNO.1, b) of spNO.1/b/color; videos are not part A's."""
    if len(folder.parts) < 3 or folder.name.lower() != "color" or folder.path.is_file():
        return None
    subject, recording = folder.parts[-3:-1]
    return (subject, recording) if _SUBJECT.fullmatch(subject) else None


def _folder_key(annotation: Annotation) -> SubjectClip:
    return annotation.subject, annotation.clip.rpartition("_")[0]
