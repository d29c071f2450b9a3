"""The checksum of the sources that decide what is trained."""

import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

import icegan_jax
from icegan_jax import provenance as versions
from icegan_jax.provenance import code_version, source_checksum

PACKAGE = Path(icegan_jax.__file__).parent


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "icegan_jax"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert source_checksum(folder) == source_checksum(PACKAGE)
    return folder


def test_the_versions_are_those_in_use() -> None:
    found = code_version()
    assert found["icegan_jax"] == f"{icegan_jax.__version__}+{source_checksum(PACKAGE)[:12]}"
    packages = ["jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy"]
    assert list(found) == ["icegan_jax", *packages]
    assert all(found[name] == metadata.version(name) for name in packages)


def test_all_the_sources_are_there() -> None:
    """One that gets another name must not drop out unnoticed."""
    assert all((PACKAGE / name).exists() for name in [*versions._SOURCES, *versions._LEFT_OUT])


def edit(package: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    path = package / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    "name",
    [
        "models/capsules.py",
        "training/losses.py",
        "training/step.py",
        "data/pipeline.py",
        "data/folds.py",
        "data/dataset.py",
        "settings.py",
    ],
)
def test_a_change_shows(package: Path, name: str) -> None:
    edit(package, name, lambda lines: lines + b"# another line\n")
    assert source_checksum(package) != source_checksum(PACKAGE)


@pytest.mark.parametrize("name", ["data/apex.py", "reporting/page/document.py", "training/meeting.py", "main.py"])
def test_what_trains_nothing_does_not_count(package: Path, name: str) -> None:
    edit(package, name, lambda lines: lines + b"# another line\n")
    (package / "models" / "__pycache__").mkdir()
    (package / "models" / "__pycache__" / "capsules.pyc").write_bytes(b"1")
    (package / "models" / "notes.txt").write_text("2")
    assert source_checksum(package) == source_checksum(PACKAGE)


@pytest.mark.parametrize("ending", [b"\r\n", b"\r"])
def test_line_endings_do_not_count(package: Path, ending: bytes) -> None:
    for path in package.rglob("*.py"):
        edit(package, path.relative_to(package).as_posix(), lambda lines: lines.replace(b"\n", ending))
    assert source_checksum(package) == source_checksum(PACKAGE)


def test_names_count(package: Path) -> None:
    (package / "models/capsules.py").rename(package / "models/capsule.py")
    renamed = source_checksum(package)
    (package / "models/capsule.py").rename(package / "training/capsule.py")
    assert len({source_checksum(PACKAGE), renamed, source_checksum(package)}) == 3


def test_a_line_cannot_move_to_the_next_file(package: Path) -> None:
    for name in ("models/a.py", "models/b.py"):
        (package / name).write_text("")
    sums = set()
    for first, second in (("x\n", "y\n"), ("x\ny\n", ""), ("", "x\ny\n")):
        edit(package, "models/a.py", lambda _, text=first: text.encode())  # type: ignore[misc]
        edit(package, "models/b.py", lambda _, text=second: text.encode())  # type: ignore[misc]
        sums.add(source_checksum(package))
    assert len(sums) == 3
