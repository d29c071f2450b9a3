"""SAMM: folders of frames and the FACS workbook (docs/databases.md, "SAMM")."""

from functools import partial

from icegan_jax.data.ingest.annotation import Columns
from icegan_jax.data.ingest.read_database import DatabaseFormat, read_database

FORMAT = DatabaseFormat(
    title="SAMM",
    folder=r"(?P<clip>(?P<subject>\d{1,3})_\d{1,2}_\d{1,3})",
    folder_example="006/006_1_2",
    workbooks=("SAMM_Micro_FACS_Codes_v2.xlsx", "SAMM_20181215_Micro_FACS_Codes_v2.xlsx"),
    columns=Columns(onset="Onset Frame", apex="Apex Frame", offset="Offset Frame"),
    subject="{:03d}",
    video_start=lambda annotation, release: annotation.onset or 0,  # a clip's folder holds onset to offset
)

read = partial(read_database, database=FORMAT)
