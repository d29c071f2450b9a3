"""The compilation cache: programs are found, damaged ones are replaced, and a bad folder stops no run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from icegan_jax import compilation_cache
from icegan_jax.compilation_cache import default_cache_dir, set_cache_dir

# Compiles a program for each argument, without the cache in memory, and prints the counts.
SCRIPT = """
import json, sys
from pathlib import Path
import jax, numpy
from icegan_jax.compilation_cache import CompilationCounter, set_cache_dir

folder, *acts = sys.argv[1:]
why, said = set_cache_dir(Path(folder)), []
compilations = CompilationCounter()
before = str(compilations)
for act in acts:
    for path in Path(folder).rglob("*-cache"):
        if act == "damaged":
            path.write_bytes(b"not a program")
        elif act == "half":
            path.write_bytes(path.read_bytes()[:100])
    jax.clear_caches()
    assert float(jax.jit(lambda x: x + 1)(numpy.float32(1))) == 2
    said.append(str(compilations))
print(json.dumps([why, before, said]))
"""


def compiled(folder: Path, *acts: str, **environment: str) -> tuple[Any, str]:
    """Run SCRIPT without the cache of the tests; return its output and stderr."""
    kept = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), *acts],
        cwd=Path(__file__).parents[1],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_a_program_is_compiled_once_and_a_damaged_one_again(tmp_path: Path) -> None:
    (why, before, message), errors = compiled(tmp_path, "first", "again", "damaged", "repaired", "half", "repaired")
    assert (why, before) == ("", "")
    hits = [0, 1, 1, 2, 2, 3]
    assert message == [f" ({hit} of {number} programs from the cache)" for number, hit in enumerate(hits, 1)]
    assert errors == ""  # nothing that a user would have to read
    (_, _, message), _ = compiled(tmp_path, "again")
    assert message == [" (1 of 1 programs from the cache)"]


def test_fast_programs_are_neither_cached_nor_counted(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "environ", kept)
        (why, _, message), _ = compiled(tmp_path, "first")
    assert (why, message) == ("", [""])
    assert not list(tmp_path.rglob("*-cache"))


def test_jax_own_setting_comes_first(tmp_path: Path) -> None:
    (why, _, message), _ = compiled(tmp_path / "ours", "first", JAX_COMPILATION_CACHE_DIR=str(tmp_path / "theirs"))
    assert (why, message) == ("", [" (0 of 1 programs from the cache)"])
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_a_folder_that_cannot_be_made_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (why, _, message), errors = compiled(tmp_path / "file" / "cache", "first")
    assert why.startswith(f"{tmp_path}/file/cache") and why.endswith("Not a directory")
    assert message == [" (0 of 1 programs from the cache)"] and errors == ""


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a patched check of permissions, since they do not restrict root."""
    monkeypatch.setattr(compilation_cache, "_jax_setting", lambda _: None)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert set_cache_dir(tmp_path).endswith("cannot be written")


def test_old_programs_are_removed(tmp_path: Path) -> None:
    old, new = tmp_path / "old-cache", tmp_path / "new-cache"
    for path in (old, new):
        path.write_bytes(b"program")
    os.utime(old, (0, 0))
    compilation_cache._remove_old_entries(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


def test_the_default_folder() -> None:
    assert default_cache_dir({"XDG_CACHE_HOME": "/scratch/cache"}) == Path("/scratch/cache/icegan-jax")
    assert (
        default_cache_dir({}) == default_cache_dir({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache/icegan-jax"
    )
