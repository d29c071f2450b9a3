"""CAS(ME)^3, part A: color frames and the table of micro-expressions (docs/databases.md, "CAS(ME)^3").

Depth images are not used. Part C has no apex and no basic emotions, and is not read. The database's own list of
exceptions (missing frames, occluded faces) is not applied: ``resolve_frames`` reports clips without frames.
"""

import re
from functools import partial

from icegan_jax.data.ingest.annotation import Columns
from icegan_jax.data.ingest.match_folders import SubjectClip
from icegan_jax.data.ingest.read_database import DatabaseFormat, read_database
from icegan_jax.data.ingest.scan import ClipFolder

_SUBJECT = re.compile(r"spno\.?\d+", re.IGNORECASE)


def _folder_key(folder: ClipFolder) -> SubjectClip | None:
    """Return (spNO.1, b) of spNO.1/b/color; part A has no videos."""
    if len(folder.parts) < 3 or folder.name.lower() != "color" or folder.path.is_file():
        return None
    subject, recording = folder.parts[-3:-1]
    return (subject, recording) if _SUBJECT.fullmatch(subject) else None


read = partial(
    read_database,
    database=DatabaseFormat(
        title="CAS(ME)^3",
        folder_example="spNO.1/b/color",
        workbooks=("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",),
        # The exact header is not known: these names are assumed.
        columns=Columns(
            onset="Onset|OnsetFrame",
            apex="Apex|ApexFrame",
            offset="Offset|OffsetFrame",
            emotion="Emotion|Estimated Emotion",
        ),
        folder_key=_folder_key,
        subject="spNO.{}",
        onset_in_clip=True,
    ),
)
