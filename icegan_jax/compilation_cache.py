"""JAX's persistent compilation cache (docs.jax.dev, "Persistent compilation cache")."""

import os
import sys
from pathlib import Path

import jax

_MIN_COMPILE_S = 2.0  # programs that compile faster are not cached: single operations
_MAX_BYTES = 4 * 2**30  # JAX removes the programs that were not used for the longest time


def enable_compilation_cache(folder: str | None) -> None:
    """Use the cache as the option --compilation_cache says; print a note if the folder cannot be used.

    JAX's own variables, such as ``JAX_COMPILATION_CACHE_DIR``, come first. Processes that this one starts inherit the
    settings as such variables.

    Args:
      folder: The folder; ``none`` disables the cache, None is ``default_cache_dir``.
    """
    if folder == "none":
        _set(jax_enable_compilation_cache=False)
        return
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    path = Path(folder) if folder else default_cache_dir()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"compiled programs are not cached ({path}: {error.strerror}); give --compilation_cache=DIR"
        print(message, file=sys.stderr)
        return
    _set(
        jax_compilation_cache_dir=str(path.absolute()),
        jax_compilation_cache_max_size=_MAX_BYTES,
        jax_persistent_cache_min_compile_time_secs=_MIN_COMPILE_S,
    )


def _set(**settings: object) -> None:
    """Set fields of ``jax.config`` in this process and, as environment variables, in those that this one starts."""
    for name, value in settings.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)


def default_cache_dir() -> Path:
    """Return the folder ``icegan-jax`` in the user's cache folder (XDG base directory specification)."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "icegan-jax"
