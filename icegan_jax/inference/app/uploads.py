"""The uploaded files: each file is removed when the last session that uses the file ends."""

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Uploads:
    """Registry of the uploaded files of each session; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, set[Path]] = {}

    def add(self, session: str | None, value: Mapping[str, Any] | None) -> None:
        """Register the file of a component's value, see ``path_of``, for a session."""
        path = path_of(value)
        if session is not None and path is not None:
            with self._lock:
                self._files.setdefault(session, set()).add(path)

    def end_session(self, session: str | None) -> None:
        """Remove the files of a session that no other session uses."""
        with self._lock:
            files = self._files.pop(session or "", set())
            for path in files.difference(*self._files.values()):
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # The folder may hold another file.
                    path.parent.rmdir()


def path_of(value: Mapping[str, Any] | None) -> Path | None:
    """Return the file of a component's value which gradio has checked to be an upload."""
    return Path(value["path"]) if value and value.get("path") else None
