"""CASME, CAS(ME)^2, CAS(ME)^3, MMEW and 4DME, whose layouts are assumed from publications and public loaders.

None of these databases was available when the tables below were written. ``read_database`` reports what is assumed of
each (docs/databases.md has the sources).
"""

from icegan_jax.data.ingest.annotation import Columns
from icegan_jax.data.ingest.read_database import DatabaseFormat

FORMATS = {
    "casme": DatabaseFormat(
        title="CASME",
        folder=r"\D*(?P<subject>\d+)/(?P<clip>ep\d+[^/]*)",
        folder_example="sub01/EP01_5",
        workbooks=("the table of CASME with ApexF1 and ApexF2",),
        columns=Columns(onset="OnsetF", apex="ApexF1", offset="OffsetF", emotion="Emotion"),
        subject="sub{:02d}",
        assumed="folders as in CASME II, and ApexF1 as the apex",
    ),
    "casme_squared": DatabaseFormat(
        title="CAS(ME)^2",
        folder=r"\D*(?P<subject>\d+)/(?P<clip>[^/]+)",
        folder_example="s15/FILENAME",
        workbooks=(
            "CAS(ME)^2code_final.xlsx with a first row Subject, Filename, Onset, Apex, Offset, Emotion, Type (micro or "
            "macro) above its columns",
        ),
        columns=Columns(onset="Onset", apex="Apex", offset="Offset", emotion="Emotion"),
        subject="s{:02d}",
        onset_in_clip=True,
        type_column="Type",
        assumed="a folder for each subject and in it one for each recording, as Filename calls it",
    ),
    # Depth images are not used. Part C has no apex and no basic emotions, and is not read.
    "casme_cubed": DatabaseFormat(
        title="CAS(ME)^3",
        folder=r"spno\.?(?P<subject>\d+)/(?P<clip>[^/]+)/color",
        folder_example="spNO.1/b/color",
        workbooks=("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",),
        columns=Columns(
            onset="Onset|OnsetFrame",
            apex="Apex|ApexFrame",
            offset="Offset|OffsetFrame",
            emotion="Emotion|Estimated Emotion",
        ),
        subject="spNO.{}",
        onset_in_clip=True,
        assumed="the names of the columns",
    ),
    "mmew": DatabaseFormat(
        title="MMEW",
        folder=r"(?P<clip>s(?P<subject>\d+)-\d+-\d+)",
        folder_example="Micro_Expression/disgust/S03-01-002",
        workbooks=("MMEW_Micro_Exp.xlsx",),
        columns=Columns(
            onset="OnsetFrame|Onset",
            apex="ApexFrame|Apex",
            offset="OffsetFrame|Offset",
            emotion="Estimated Emotion|Emotion",
        ),
        subject="S{:02d}",
        without_class=("repression",),
        assumed="the columns of CASME II, and that repression means others",
    ),
    "fourdme": DatabaseFormat(
        title="4DME",
        folder=r"(?P<clip>[^/]+)",
        folder_example="FOLD_NAME, as the table calls them",
        workbooks=("the table of 4DME",),
        columns=Columns("sub_ID", "fold_name", onset="Onset", apex="Apex", offset="Offset", emotion="Emotion"),
        assumed="one folder named as fold_name for each clip, with the frames of one camera",
    ),
}
