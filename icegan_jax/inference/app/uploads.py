"""The files that were put in: which session holds which, so that each goes with the last session that holds it."""

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Uploads:
    """Notes files and removes them; several threads may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, set[Path]] = {}

    def note(self, session: str | None, value: Mapping[str, Any] | None) -> None:
        """Notes that a session holds the file of a component's value, see ``path_of``."""
        path = path_of(value)
        if session is not None and path is not None:
            with self._lock:
                self._held.setdefault(session, set()).add(path)

    def forget(self, session: str | None) -> None:
        """A session is over: removes the files that no other one holds."""
        with self._lock:
            gone = self._held.pop(session or "", set())
            for path in gone.difference(*self._held.values()):
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # another file may lie there
                    path.parent.rmdir()


def path_of(value: Mapping[str, Any] | None) -> Path | None:
    """The file of a component's value as the browser sends it; gradio has checked that it was put in."""
    return Path(value["path"]) if value and value.get("path") else None
