from pathlib import Path

import pytest

from icegan_jax.inference.app.uploads import Uploads, path_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hash" / "face.png"
    path.parent.mkdir()
    path.write_bytes(b"face")
    return path


def test_a_file_is_removed_with_its_last_session(file: Path) -> None:
    uploads = Uploads()
    uploads.add("a", {"path": str(file)})
    uploads.add("b", {"path": str(file)})
    uploads.end_session("a")
    assert file.exists()
    uploads.end_session("b")
    assert not file.exists() and not file.parent.exists()


def test_files_of_other_sessions_stay(file: Path) -> None:
    other = file.with_name("other.png")
    other.write_bytes(b"other")
    uploads = Uploads()
    uploads.add("a", {"path": str(file)})
    uploads.add("a", {"path": str(file)})
    uploads.add("b", {"path": str(other)})
    uploads.end_session("a")
    assert not file.exists() and other.exists()


@pytest.mark.parametrize("value,path", [(None, None), ({}, None), ({"path": None}, None), ({"path": "a"}, Path("a"))])
def test_the_file_of_a_value(value: dict[str, str | None] | None, path: Path | None) -> None:
    assert path_of(value) == path
