"""CASME, CAS(ME)^2, CAS(ME)^3, MMEW and 4DME, whose layouts are assumed from publications and public loaders.

None of these databases was available when the tables below were written. ``read_database`` reports what is assumed of
each (docs/databases.md has the sources).
"""

from icegan_jax.data.ingest.annotation import Columns
from icegan_jax.data.ingest.read_database import DatabaseFormat, NamesSheet

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
        folder=r"\D*(?P<subject>\d+)/(?:\d+_(?P<recording>\d{4})[^/]*|(?P<clip>[^/]+))",
        folder_example="s15/15_0401girlcrashing",
        workbooks=("CAS(ME)^2code_final.xlsx",),
        header=("Subject", "Filename", "Onset", "Apex", "Offset", "AUs", "Emotion", "Type"),
        columns=Columns(onset="Onset", apex="Apex", offset="Offset", emotion="Emotion"),
        subject="s{:02d}",
        subjects=NamesSheet("naming rule1", name=2, folder=1),
        recordings=NamesSheet("naming rule2", name=1, folder=0),
        onset_in_clip=True,
        type_column="Type",
        video_start=lambda annotation, release: 1,
        assumed="the order of the columns, rawpic and selectedpic, and the folders that the sheets naming rule1 and 2 "
        "give to participants and films",
    ),
    # Depth images are not used. Part C has no apex and no basic emotions, and is not read.
    "casme_cubed": DatabaseFormat(
        title="CAS(ME)^3",
        folder=r"(?<!depth/)spno\.?(?P<subject>\d+)[/_](?P<clip>[^/_]+)(?:/color|_(?P<onset>\d+))",
        folder_example="spNO.1/b/color or Part_A_ME_clip/frame/spNO.1_b_166",
        workbooks=("cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", "cas(me)3_part_A_ME_label_JpgIndex_v1.xls"),
        columns=Columns(
            onset="Onset|OnsetFrame",
            apex="Apex|ApexFrame",
            offset="Offset|OffsetFrame",
            emotion="Emotion|Estimated Emotion",
        ),
        subject="spNO.{}",
        onset_in_clip=True,
        video_start=lambda annotation, release: annotation.onset or 0,
        assumed="the names of the columns, and that a clip's video begins with the onset",
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
        folder=r"(?:[^/\d]*(?P<subject>\d{1,3})/)?(?P<clip>[^/]+)",
        folder_example="gray_micro/SUBJECT/FOLD_NAME, as the table calls them",
        workbooks=("the table of 4DME",),
        columns=Columns("sub_ID", "fold_name", onset="Onset", apex="Apex", offset="Offset", emotion="Emotion"),
        assumed="one folder named as fold_name for each clip, with the frames of one camera, in a folder of its "
        "subject or not",
    ),
}
