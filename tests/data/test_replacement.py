from pathlib import Path

import pytest

from icegan_jax.data.dataset import SUMMARY_FILE
from icegan_jax.data.replacement import replaced_folder
from icegan_jax.errors import UserError


def _write(out: Path, text: str) -> None:
    with replaced_folder(out) as staging:
        (staging / SUMMARY_FILE).write_text(text)


def test_appears_whole_and_replaces_the_earlier_one(tmp_path: Path) -> None:
    out = tmp_path / "new" / "data"
    _write(out, "1")
    (out / "extra.txt").touch()
    _write(out, "2")
    assert [p.name for p in out.iterdir()] == [SUMMARY_FILE]
    assert (out / SUMMARY_FILE).read_text() == "2"
    assert [p.name for p in out.parent.iterdir()] == ["data"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_run_leaves_the_earlier_one(tmp_path: Path, error: type[BaseException]) -> None:
    out = tmp_path / "data"
    _write(out, "1")
    with pytest.raises(error), replaced_folder(out) as staging:
        (staging / "half").touch()
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["data"]
    assert (out / SUMMARY_FILE).read_text() == "1"


def test_refuses_other_folders_and_files(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(UserError, match="other files in it, which prepare will not replace"):
        _write(tmp_path, "1")
    with pytest.raises(UserError, match=r"photo\.jpg: is a file"):
        _write(tmp_path / "photo.jpg", "1")
    with pytest.raises(UserError, match="cannot be written"):
        _write(tmp_path / "photo.jpg" / "deeper" / "data", "1")
    assert (tmp_path / "photo.jpg").is_file()
