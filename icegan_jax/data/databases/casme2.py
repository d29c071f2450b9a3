"""CASME II: folders of frames and the coding sheet (docs/databases.md, "CASME II")."""

from functools import partial

from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.data.ingest.read_database import DatabaseFormat, read_database


def _video_start(annotation: Annotation, release: str) -> int:
    """Return 1 for a recording, which counts from img1, and the onset for other releases, which start there."""
    return 1 if release == "raw" or annotation.onset is None else annotation.onset


# Clip names are not unique across subjects (docs/databases.md, "Identifiers").
FORMAT = DatabaseFormat(
    title="CASME II",
    folder=r"(?:sub(?:ject)?|s)?[ _-]?(?P<subject>\d+)/(?P<clip>ep\d+[^/]*)",
    folder_example="sub01/EP02_01f",
    workbooks=("CASME2-coding-20190701.xlsx", "CASME2-coding-20140508.xlsx", "CASME2_label_Ver_2.xls"),
    subject="sub{:02d}",
    video_start=_video_start,
)

read = partial(read_database, database=FORMAT)
