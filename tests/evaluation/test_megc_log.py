"""The log that MEGC2019 asked for."""

from pathlib import Path

import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.published_predictions import read_published_predictions

LOG = """casme2 sub01
EP02_01f 1 1
EP03_02 0 0

smic s01
s01_ne_01 0 0
samm 006
006_1_2 0 2
"""


def test_every_line_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text(LOG)
    result = read_published_predictions(path)
    assert result.subject_keys == [("casme2", "sub01"), ("casme2", "sub01"), ("smic", "s01"), ("samm", "006")]
    assert result.clip == ["EP02_01f", "EP03_02", "s01_ne_01", "006_1_2"]
    assert (result.label, result.prediction) == (["1", "0", "0", "0"], ["1", "0", "0", "2"])
    assert result.classes is None


@pytest.mark.parametrize(
    ("wrong", "number"),
    [("EP03_02 0", 5), ("EP03_02 0 positive", 3), ("EP03_02 0 1 2", 3), ("casme2", 3), ("smic s09\nsmic s08", 4)],
)
def test_a_line_of_neither_form_is_named(tmp_path: Path, wrong: str, number: int) -> None:
    """Two words are read as another subject, which then has no clip before the next subject."""
    path = tmp_path / "log.txt"
    path.write_text(LOG.replace("EP03_02 0 0", wrong))
    with pytest.raises(UserError, match=rf"log\.txt:{number}: expected 'DATABASE SUBJECT' and below it"):
        read_published_predictions(path)


def test_a_subject_without_clips_at_the_end_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text(LOG + "samm 007\n")
    with pytest.raises(UserError, match=r"log\.txt:9: expected"):
        read_published_predictions(path)
