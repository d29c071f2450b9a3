"""CASME: folders of frames and its table (docs/databases.md, "CASME")."""

from collections.abc import Sequence
from functools import partial

from icegan_jax.data.ingest.annotation import Annotation, Columns, Finding
from icegan_jax.data.ingest.match_folders import SubjectClip
from icegan_jax.data.ingest.read_database import DatabaseFormat, read_database
from icegan_jax.data.ingest.scan import ClipFolder, subject_number
from icegan_jax.data.ingest.spreadsheets import Row
from icegan_jax.data.ingest.workbooks import has_name_pattern


def _folder_key(folder: ClipFolder) -> SubjectClip | None:
    """Return (sub1, EP01_5): clips are named as in CASME II."""
    number = subject_number(folder.parent)
    return (f"sub{number}", folder.name) if number is not None and has_name_pattern(folder.name, "CASME II") else None


def _note_second_apex(annotation: Annotation, row: Row) -> tuple[Sequence[Annotation], list[Finding]]:
    """Keep ApexF1 as the apex, and note an ApexF2 that differs."""
    second = row.integer("ApexF2")
    if not second or annotation.apex is None or second == annotation.apex:
        return [annotation], []
    message = f"a second apex, {second}: the first, {annotation.apex}, is used"
    remedy = "give the other one in a --repairs file if you want it"
    return [annotation], [Finding("note", annotation.name, annotation.where, message, remedy)]


# The folder tree is not known and is assumed to be that of CASME II: sub01/EP01_5 with frames EP01_5-113.jpg or
# reg_EP01_5-113.jpg. The frames of a video are assumed to be numbered from 0, which a note reports.
read = partial(
    read_database,
    database=DatabaseFormat(
        title="CASME",
        folder_example="sub01/EP01_5, as in CASME II",
        workbooks=("the table of CASME with ApexF1 and ApexF2",),
        columns=Columns(onset="OnsetF", apex="ApexF1", offset="OffsetF", emotion="Emotion"),
        folder_key=_folder_key,
        subject="sub{:02d}",
        revise=_note_second_apex,
        video_start=lambda annotation, release: 0,
    ),
)
