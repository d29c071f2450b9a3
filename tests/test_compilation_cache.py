"""The compilation cache: programs are found, damaged ones are compiled anew, and a bad folder stops no run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from icegan_jax.compilation_cache import default_cache_dir

# Compiles a program after each act; a subprocess inherits the settings.
SCRIPT = """
import os, sys
from pathlib import Path
import jax, numpy
from icegan_jax.compilation_cache import enable_compilation_cache

folder, *acts = sys.argv[1:]
enable_compilation_cache(folder)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
for act in acts:
    if act == "damage":
        for path in Path(folder).glob("*-cache"):
            path.write_bytes(path.read_bytes()[:100])
    jax.clear_caches()
    assert float(jax.jit(lambda x: x + 1)(numpy.float32(1))) == 2
print(os.environ.get("JAX_COMPILATION_CACHE_DIR"), os.environ.get("JAX_ENABLE_COMPILATION_CACHE"))
"""


def compile_program(folder: Path | str, *acts: str, **environment: str) -> tuple[str, str]:
    """Run SCRIPT without the cache of the tests; return its output and stderr."""
    kept = {name: value for name, value in os.environ.items() if "COMPILATION_CACHE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), *acts],
        cwd=Path(__file__).parents[1],
        env=kept | {"JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


@pytest.mark.slow
def test_a_program_is_kept_and_a_damaged_one_is_compiled_anew(tmp_path: Path) -> None:
    output, errors = compile_program(tmp_path, "compile", "find")
    assert (output, errors) == (f"{tmp_path} None", "")
    assert len(list(tmp_path.glob("*-cache"))) == 1
    assert "Error reading persistent compilation cache entry" in compile_program(tmp_path, "damage")[1]


@pytest.mark.slow
def test_where_nothing_is_kept(tmp_path: Path) -> None:
    assert compile_program("none", "compile") == ("None False", "")
    theirs = str(tmp_path / "theirs")  # JAX's own setting comes first
    assert compile_program(tmp_path / "ours", "compile", JAX_COMPILATION_CACHE_DIR=theirs)[0] == f"{theirs} None"
    assert not (tmp_path / "ours").exists()
    (tmp_path / "file").write_text("")
    assert "file/cache: Not a directory); give --compilation_cache" in compile_program(tmp_path / "file/cache")[1]


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch/cache")
    assert default_cache_dir() == Path("/scratch/cache/icegan-jax")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_cache_dir() == Path.home() / ".cache/icegan-jax"
