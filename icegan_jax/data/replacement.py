"""Writing a folder so that it is there whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from icegan_jax.data.dataset import SUMMARY_FILE
from icegan_jax.errors import UserError


@contextmanager
def replaced_folder(out: str | Path) -> Iterator[Path]:
    """Yields an empty folder beside ``out``, and puts it in the place of ``out`` on success.

    On an exception, Ctrl-C included, ``out`` stays as it was and the folder beside it is removed.
    Relative paths written inside keep their meaning, as both folders have the same parent.

    Raises:
        UserError: ``out`` cannot be written, is a file, or is a folder that holds anything but a
            dataset made by prepare.
    """
    target = Path(out).resolve()
    staging = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        _check_replaceable(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)  # left by a killed process of the same number
        staging.mkdir()
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); choose another --out") from None
    try:
        yield staging
        _swap(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check_replaceable(out: Path) -> None:
    """Raises UserError unless ``out`` is absent, empty, or a dataset made by prepare."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; choose a folder for --out")
    if out.is_dir() and any(out.iterdir()) and not (out / SUMMARY_FILE).is_file():
        raise UserError(
            f"{out}: is a folder with other files in it, which prepare will not replace; choose "
            "another --out or empty it"
        )


def _swap(staging: Path, target: Path) -> None:
    old = staging.with_suffix(".replaced")
    if target.exists():
        target.rename(old)
    try:
        staging.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
