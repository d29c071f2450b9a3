"""CASME II: folders of frames and the coding sheet (docs/databases.md, "CASME II")."""

import re
from functools import partial

from icegan_jax.data.ingest.annotation import Annotation, Columns
from icegan_jax.data.ingest.match_folders import SubjectClip
from icegan_jax.data.ingest.read_database import DatabaseFormat, read_database
from icegan_jax.data.ingest.scan import ClipFolder, subject_number
from icegan_jax.data.ingest.spreadsheets import Table
from icegan_jax.data.ingest.workbooks import has_name_pattern

_SUBJECT = re.compile(r"(sub(ject)?|s)?[ _-]?\d+", re.IGNORECASE)


def _folder_key(folder: ClipFolder) -> SubjectClip | None:
    """Return (sub01, EP02_01f): clip names are not unique across subjects (docs/databases.md, "Identifiers")."""
    number = subject_number(folder.parent) if _SUBJECT.fullmatch(folder.parent) else None
    return (
        (f"sub{number:02d}", folder.name) if number is not None and has_name_pattern(folder.name, "CASME II") else None
    )


def _reject_samm(table: Table) -> str:
    """Reject SAMM's table, which has the columns of CASME II and an inducement code."""
    return "looks like the annotation of SAMM: it has an Inducement Code" if "inducementcode" in table.columns else ""


def _video_start(annotation: Annotation, release: str) -> int:
    """Return 1 for a recording, which counts from img1, and the onset for other releases, which start there."""
    return 1 if release == "raw" or annotation.onset is None else annotation.onset


read = partial(
    read_database,
    database=DatabaseFormat(
        title="CASME II",
        folder_example="sub01/EP02_01f",
        workbooks=("CASME2-coding-20190701.xlsx", "CASME2-coding-20140508.xlsx", "CASME2_label_Ver_2.xls"),
        columns=Columns(),
        folder_key=_folder_key,
        subject="sub{:02d}",
        reject_table=_reject_samm,
        is_newer=lambda table: "objectiveclasses" in table.columns,  # the sheet of 2019
        video_start=_video_start,
    ),
)
