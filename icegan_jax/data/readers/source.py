"""Where a database lies, as the command line says it."""

from dataclasses import dataclass
from pathlib import Path

from icegan_jax.errors import UserError

# What a folder of frames is, in order of preference: the whole recording, the frames onset..offset
# uncropped, the distributors' face crops, SMIC-E's longer clips. Whole faces come before the
# distributors' crops, so that every database gets the same crop (docs/databases.md, "Rules for reading", rule 5).
RELEASES = ("raw", "selected", "cropped", "long")


@dataclass(frozen=True)
class Source:
    """One database to read.

    Attributes:
        name: key of ``READERS``, and the ``dataset`` of its annotations: "casme2".
        root: folder of the unpacked database: frames at any depth, usually the workbook too.
        annotation: the workbook to use, instead of the one found below ``root``.
        release: one of ``RELEASES``: use these folders only; None: the best there is of each clip.

    Raises:
        UserError: an unknown release.
    """

    name: str
    root: Path
    annotation: Path | None = None
    release: str | None = None

    def __post_init__(self) -> None:
        if self.release is not None and self.release not in RELEASES:
            raise UserError(f"release {self.release!r} of {self.name}: give one of {', '.join(RELEASES)}")
