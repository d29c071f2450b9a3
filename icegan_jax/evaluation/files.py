"""Text and JSON files: written whole or not at all, and read with messages that name the file."""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icegan_jax.errors import UserError

# What numpy raises for a .npz file that is cut, foreign, or lacks an array.
ARRAY_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically, indented, keys in the given order.

    Raises:
      ValueError: a number is NaN or infinite, which JSON does not have.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
      UserError: the file is missing, or is not a JSON object; the message names the line.
    """
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not JSON ({error.msg}): write it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file so that a reader sees the old content or the new, never a part.

    The text goes to a temporary file beside it, which then takes its place (os.replace).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """Read a UTF-8 file, its line breaks as they are.

    Raises:
      UserError: the file is missing, cannot be read or is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file: is this a finished run directory?") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason}): write it again") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
