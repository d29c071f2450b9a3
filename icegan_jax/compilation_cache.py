"""JAX's persistent compilation cache, and a counter of the programs that came from the cache.

See docs.jax.dev, "Persistent compilation cache". JAX writes an entry in place and without a lock: a process that reads
a half-written entry, or one that a killed run left, compiles the program anew. The damaged file is removed here, since
JAX never replaces an entry.
"""

import contextlib
import os
import platform
import re
import sys
import time
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

_MIN_COMPILE_S = 2.0  # programs that compile faster are not cached: single operations
_MAX_AGE_DAYS = 60  # older entries are removed
_CACHE_HIT_EVENT = "/jax/compilation_cache/cache_hits"
_COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"  # of programs from the cache, too


class CompilationCounter:
    """Counter of the programs that are compiled after its creation, and of those that came from the cache.

    ``str`` returns a text like `` (2 of 4 programs from the cache)``; empty where nothing was compiled.
    """

    def __init__(self) -> None:
        self._hits, self._compiled, self._hit = 0, 0, False
        jax.monitoring.register_event_listener(self._on_event)
        jax.monitoring.register_event_duration_secs_listener(self._on_duration)

    def _on_event(self, event: str, **_: Any) -> None:
        self._hit = self._hit or event == _CACHE_HIT_EVENT

    def _on_duration(self, event: str, duration_secs: float, **_: Any) -> None:
        if event == _COMPILE_EVENT:
            self._hits += self._hit
            self._compiled += self._hit or duration_secs >= _jax_setting("jax_persistent_cache_min_compile_time_secs")
            self._hit = False

    def __str__(self) -> str:
        return f" ({self._hits} of {self._compiled} programs from the cache)" if self._compiled else ""


def enable_compilation_cache(folder: str | None) -> None:
    """Use the cache as the option --compilation_cache says; print a note if the folder cannot be used.

    Args:
      folder: The folder; ``none`` disables the cache, None is the default folder.
    """
    if folder == "none":
        return
    reason = set_cache_dir(Path(folder) if folder else default_cache_dir(os.environ))
    if reason:
        print(f"compiled programs are not cached ({reason}); give --compilation_cache=DIR", file=sys.stderr)


def default_cache_dir(environment: Mapping[str, str]) -> Path:
    """Return the folder ``icegan-jax`` in the user's cache folder (XDG base directory specification)."""
    home = environment.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "icegan-jax"


def set_cache_dir(folder: Path) -> str:
    """Set JAX's cache folder, unless JAX's own settings name another one.

    Each kind of processor has a subfolder: XLA refuses a program that was compiled for another set of CPU features.

    Returns:
      The reason why nothing is cached; empty if the folder can be used.
    """
    if _jax_setting("jax_compilation_cache_dir") is None:
        folder = folder / f"{platform.machine()}-{zlib.crc32(_cpu_features().encode()):08x}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                return f"{folder}: cannot be written"
            _remove_old_entries(folder)
        except OSError as error:
            return f"{folder}: {error.strerror}"
        jax.config.update("jax_compilation_cache_dir", str(folder))
        if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", _MIN_COMPILE_S)
        warnings.showwarning = _remove_damaged_entries(folder, warnings.showwarning)
    return ""


def _jax_setting(name: str) -> Any:
    return getattr(jax.config, name)  # the type checker does not find these attributes


def _cpu_features() -> str:
    """Return the CPU features that Linux lists, else the name of the processor."""
    with contextlib.suppress(OSError):
        features = re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if features:
            return " ".join(sorted(features[1].split()))
    return platform.processor()


def _remove_old_entries(folder: Path) -> None:
    for path in folder.glob("*-cache"):
        with contextlib.suppress(OSError):  # another process may have removed it
            if time.time() - path.stat().st_mtime > _MAX_AGE_DAYS * 86400:
                path.unlink()


def _remove_damaged_entries(folder: Path, show: Any) -> Any:
    """Wrap ``warnings.showwarning``: remove the file of an entry that JAX cannot read, in place of the warning.

    JAX warns before compiling the program anew, and would leave the damaged file.
    """

    def showwarning(message: Warning | str, *args: Any, **kwargs: Any) -> None:
        name = re.match(r"Error reading persistent compilation cache entry for '([^']+)'", str(message))
        if name:
            for path in folder.glob(f"{name[1]}-*-cache"):
                with contextlib.suppress(OSError):
                    path.unlink()
        else:
            show(message, *args, **kwargs)

    return showwarning
