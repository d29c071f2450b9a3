from pathlib import Path

import pytest

from icegan_jax.inference.app.uploads import Uploads, path_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hash" / "face.png"
    path.parent.mkdir()
    path.write_bytes(b"face")
    return path


def test_a_file_goes_with_the_last_session_that_holds_it(file: Path) -> None:
    uploads = Uploads()
    uploads.note("a", {"path": str(file)})
    uploads.note("b", {"path": str(file)})
    uploads.forget("a")
    assert file.exists()
    uploads.forget("b")
    assert not file.exists() and not file.parent.exists()


def test_another_session_holds_its_own(file: Path) -> None:
    other = file.with_name("other.png")
    other.write_bytes(b"other")
    uploads = Uploads()
    uploads.note("a", {"path": str(file)})
    uploads.note("a", {"path": str(file)})
    uploads.note("b", {"path": str(other)})
    uploads.forget("a")
    assert not file.exists() and other.exists()


def test_nothing_to_forget(file: Path) -> None:
    uploads = Uploads()
    uploads.forget("nobody")
    uploads.forget(None)
    uploads.note("a", None)
    uploads.note(None, {"path": str(file)})
    uploads.note("a", {"path": str(file)})
    file.unlink()
    uploads.forget("a")  # whose file somebody was quicker to remove


@pytest.mark.parametrize("value,path", [(None, None), ({}, None), ({"path": None}, None), ({"path": "a"}, Path("a"))])
def test_the_file_of_a_value(value: dict[str, str | None] | None, path: Path | None) -> None:
    assert path_of(value) == path
