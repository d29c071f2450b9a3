"""SAMM: folders of frames and the FACS workbook (docs/databases.md, "SAMM")."""

from functools import partial

from icegan_jax.data.ingest.annotation import Columns, parse_clip_name, parse_subject
from icegan_jax.data.ingest.match_folders import SubjectClip
from icegan_jax.data.ingest.read_database import DatabaseFormat, read_database
from icegan_jax.data.ingest.scan import ClipFolder
from icegan_jax.data.ingest.spreadsheets import Row, Table
from icegan_jax.data.ingest.workbooks import has_name_pattern
from icegan_jax.errors import UserError


def _folder_key(folder: ClipFolder) -> SubjectClip | None:
    """Return (006, 006_1_2): the clip's name holds the subject."""
    return _padded(folder.name) if has_name_pattern(folder.name, "SAMM") else None


def _row_key(table: Table, row: Row) -> SubjectClip:
    """Return subject and clip, padded to three digits; the clip's name starts with the subject's number."""
    subject, clip = parse_subject(table, row), parse_clip_name(table, row)
    if not has_name_pattern(clip, "SAMM") or int(clip.split("_")[0]) != subject:
        raise UserError(
            f"{table.location(row)}: Filename {clip!r} is no clip of subject {subject:03d}; SAMM's are named "
            f"{subject:03d}_1_2, say; correct the cell"
        )
    return _padded(clip)


def _padded(clip: str) -> SubjectClip:
    subject, rest = clip.split("_", 1)
    return f"{int(subject):03d}", f"{int(subject):03d}_{rest}"


read = partial(
    read_database,
    database=DatabaseFormat(
        title="SAMM",
        folder_example="006/006_1_2",
        workbooks=("SAMM_Micro_FACS_Codes_v2.xlsx", "SAMM_20181215_Micro_FACS_Codes_v2.xlsx"),
        columns=Columns(onset="Onset Frame", apex="Apex Frame", offset="Offset Frame"),
        folder_key=_folder_key,
        row_key=_row_key,
        video_start=lambda annotation, release: annotation.onset or 0,  # a clip's folder holds onset to offset
    ),
)
