"""4DME: a table of micro-expressions and the folders that it names (docs/databases.md, "4DME")."""

from icegan_jax.data.ingest.annotation import (
    Annotation,
    DatabaseAnnotation,
    Source,
    annotation_of,
    clip_cell,
    is_remark,
)
from icegan_jax.data.ingest.match_folders import Key, attach_folders, check_clips
from icegan_jax.data.ingest.scan import ClipFolder, scan_folders
from icegan_jax.data.ingest.workbooks import find_workbook
from icegan_jax.errors import UserError

_TITLE = "4DME"
_COLUMNS = ("sub_ID", "fold_name", "Emotion", "Onset", "Apex", "Offset")


def read(source: Source) -> DatabaseAnnotation:
    """Reads 4DME from its table: sub_ID, fold_name, Emotion, Onset, Apex, Offset.

    A label such as "surprise+positive" is kept as it stands: the protocol leaves clips of more than
    one class out. Assumed, as docs/databases.md does not know how the frames lie: a clip's frames, of one
    kind of camera, are in a folder (or a video, counted from 0) called as fold_name, at any depth
    below the root. Give the folder of one camera as the root.

    Raises:
        UserError: no frames, no table of 4DME, a cell that cannot be used, or one fold_name for two
            subjects, whom the folders then do not tell apart.
    """
    tree = scan_folders(source.root)
    check_clips(tree, _key, _TITLE, "FOLD_NAME, as the table calls them")
    table, findings = find_workbook(source, _TITLE, _COLUMNS, usual=("the table of 4DME",), clip="foldname")
    annotations: list[Annotation] = []
    owners: dict[str, Annotation] = {}
    for row in table.rows:
        if is_remark(row, clip="foldname", onset="onset"):
            continue
        subject, clip = clip_cell(table, row, "subid"), clip_cell(table, row, "foldname")
        annotation, notes = annotation_of(
            table, row, source.name, subject, clip, emotion="emotion", onset="onset", apex="apex", offset="offset"
        )
        other = owners.setdefault(clip.casefold(), annotation)
        if other.subject != subject:
            raise UserError(
                f"{annotation.where}: fold_name {clip!r} is of subject {subject} here and of {other.subject} in "
                f"{other.where}; which folder is whose is not known: prepare these clips with --source=clips"
            )
        annotations.append(annotation)
        findings += notes
    return attach_folders(
        source,
        tree,
        annotations,
        _key,
        findings=findings,
        folder_key=lambda annotation: ("", annotation.clip),
        video_start=lambda annotation, release: 0,
    )


def _key(folder: ClipFolder) -> Key | None:
    return "", folder.name
