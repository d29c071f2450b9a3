"""Compiled programs kept on disk from run to run, and how many a run found there.

JAX's persistent compilation cache (docs.jax.dev, "Persistent compilation cache"). A program is written in place by
whoever compiled it first, without a lock: a process that reads a half-written one, or finds one that a killed run
left, compiles anew. Here the damaged file is removed too, since JAX never replaces one.
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

_LEAST_S = 2.0  # compilation time from which a program is kept: those of training, not single operations
_KEPT_DAYS = 60  # a program last written longer ago is removed
_HITS = "/jax/compilation_cache/cache_hits"
_COMPILED = "/jax/core/compile/backend_compile_duration"  # counts what came from the cache, too


def default_cache_dir(environment: Mapping[str, str]) -> Path:
    """``icegan-jax`` in the user's cache folder (XDG base directory specification)."""
    home = environment.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "icegan-jax"


class CompilationCounter:
    """Counts the programs compiled since, and those of them that came from the cache."""

    def __init__(self) -> None:
        self._hits, self._compiled, self._hit = 0, 0, False
        jax.monitoring.register_event_listener(self._on_event)
        jax.monitoring.register_event_duration_secs_listener(self._on_duration)

    def _on_event(self, event: str, **_: Any) -> None:
        self._hit = self._hit or event == _HITS

    def _on_duration(self, event: str, duration_secs: float, **_: Any) -> None:
        if event == _COMPILED:
            self._hits += self._hit
            self._compiled += self._hit or duration_secs >= _setting("jax_persistent_cache_min_compile_time_secs")
            self._hit = False

    def __str__(self) -> str:
        """Such as `` (2 of 4 programs from the cache)``; empty where nothing was compiled."""
        return f" ({self._hits} of {self._compiled} programs from the cache)" if self._compiled else ""


def enable_compilation_cache(folder: str | None) -> None:
    """Keeps programs as --compilation_cache says; where the folder does not serve, a note on stderr, and on without.

    Args:
      folder: ``none`` keeps nothing; None is the default folder.
    """
    if folder == "none":
        return
    why = set_cache_dir(Path(folder) if folder else default_cache_dir(os.environ))
    if why:
        print(f"compiled programs are not kept ({why}); give --compilation_cache=DIR", file=sys.stderr)


def set_cache_dir(folder: Path) -> str:
    """Lets JAX keep compiled programs in ``folder``, unless its own settings name another one.

    Machines that share the folder have parts of their own: on a processor with other features XLA refuses a program.

    Returns:
      Why nothing is kept; empty where all is well.
    """
    if _setting("jax_compilation_cache_dir") is None:
        folder = folder / f"{platform.machine()}-{zlib.crc32(_processor().encode()):08x}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                return f"{folder}: cannot be written"
            _remove_old(folder)
        except OSError as error:
            return f"{folder}: {error.strerror}"
        jax.config.update("jax_compilation_cache_dir", str(folder))
        if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_S)
        warnings.showwarning = _warn_of_unreadable_entries(folder, warnings.showwarning)
    return ""


def _setting(name: str) -> Any:
    return getattr(jax.config, name)  # known to jax, not to the type checker


def _processor() -> str:
    """The processor's features; where Linux does not tell them, its name."""
    with contextlib.suppress(OSError):
        features = re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if features:
            return " ".join(sorted(features[1].split()))
    return platform.processor()


def _remove_old(folder: Path) -> None:
    for path in folder.glob("*-cache"):
        with contextlib.suppress(OSError):  # another process may have been quicker
            if time.time() - path.stat().st_mtime > _KEPT_DAYS * 86400:
                path.unlink()


def _warn_of_unreadable_entries(folder: Path, show: Any) -> Any:
    """JAX warns of a program that cannot be read, then compiles it: in between its damaged file is removed."""

    def showwarning(message: Warning | str, *rest: Any, **named: Any) -> None:
        name = re.match(r"Error reading persistent compilation cache entry for '([^']+)'", str(message))
        if name:
            for path in folder.glob(f"{name[1]}-*-cache"):
                with contextlib.suppress(OSError):
                    path.unlink()
        else:
            show(message, *rest, **named)

    return showwarning
