"""Which code trains: its version, a checksum of its sources, and the packages that it computes with."""

import hashlib
from importlib import metadata
from pathlib import Path

from icegan_jax import __version__

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")
# What decides on the numbers that training computes and predictions hold. The rest of data/ only prepares the faces,
# which have a fingerprint of their own; evaluation/ and reporting/ read what training left.
_SOURCES = (
    "models",
    "training",
    "data/clips.py",
    "data/dataset.py",
    "data/folds.py",
    "data/pipeline.py",
    "evaluation/predictions.py",
    "settings.py",
)
# Of those, what says who trains a fold and what people read meanwhile: never a number.
_LEFT_OUT = {f"training/{name}.py" for name in ("lock", "meeting", "pace", "parameters", "processes", "signs")} | {
    "training/roll_call.py"
}
_DIGITS = 12  # of the checksum: two versions of a program never share 48 bits by chance


def code_version() -> dict[str, str]:
    """Of this program, ``VERSION+CHECKSUM``, and of each package that it computes with."""
    checksum = source_checksum(Path(__file__).parent)[:_DIGITS]
    return {"icegan_jax": f"{__version__}+{checksum}", **{name: metadata.version(name) for name in PACKAGES}}


def source_checksum(package: Path) -> str:
    """sha256 over the sources that decide what is trained: their paths and lines, in hexadecimal.

    Line endings, which git may change on its way to another machine, make no difference.

    Args:
      package: the folder icegan_jax.
    """
    paths = [path for source in _SOURCES for path in [package / source, *(package / source).rglob("*.py")]]
    names = {path.relative_to(package).as_posix(): path for path in paths if path.is_file()}
    checksum = hashlib.sha256()
    for name in sorted(names.keys() - _LEFT_OUT):
        lines = names[name].read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # The name and its length before the lines: no line can move from one file to the next unnoticed.
        checksum.update(f"{name}\0{len(lines)}\0".encode() + lines)
    return checksum.hexdigest()
