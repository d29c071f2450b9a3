"""4DME: a table of micro-expressions and the folders that it names (docs/databases.md, "4DME")."""

from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.data.ingest.annotation import DatabaseAnnotation
from icegan_jax.data.ingest.annotation import Source
from icegan_jax.data.ingest.annotation import parse_annotation
from icegan_jax.data.ingest.annotation import parse_clip_name
from icegan_jax.data.ingest.annotation import is_remark_row
from icegan_jax.data.ingest.match_folders import SubjectClip
from icegan_jax.data.ingest.match_folders import match_folders
from icegan_jax.data.ingest.match_folders import check_clip_folders
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
    check_clip_folders(tree, _key, _TITLE, "FOLD_NAME, as the table calls them")
    table, findings = find_workbook(source, _TITLE, _COLUMNS, usual=("the table of 4DME",), clip="foldname")
    annotations: list[Annotation] = []
    owners: dict[str, Annotation] = {}
    for row in table.rows:
        if is_remark_row(row, clip="foldname", onset="onset"):
            continue
        subject, clip = parse_clip_name(table, row, "subid"), parse_clip_name(table, row, "foldname")
        annotation, notes = parse_annotation(
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
    return match_folders(
        source,
        tree,
        annotations,
        _key,
        findings=findings,
        folder_key=lambda annotation: ("", annotation.clip),
        video_start=lambda annotation, release: 0,
    )


def _key(folder: ClipFolder) -> SubjectClip | None:
    return "", folder.name
