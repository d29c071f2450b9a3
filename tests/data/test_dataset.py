import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.dataset import load_pairs, select_database, write_pairs
from icegan_jax.errors import UserError
from tests.data.conftest import record

RECORDS = [
    record("d", f"s{i // 3}", f"clip é{i}", i % 3, shift, seed=10 * i + shift + 2)
    for i in range(6)
    for shift in (-1, 0, 2)
]


def test_reads_what_it_writes_in_order(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fingerprint = write_pairs(tmp_path, RECORDS)
    pairs = load_pairs(tmp_path)
    assert pairs.fingerprint == fingerprint
    np.testing.assert_array_equal(pairs.onset, [r.onset for r in RECORDS])
    np.testing.assert_array_equal(pairs.apex, [r.apex for r in RECORDS])
    assert pairs.label.tolist() == [r.label for r in RECORDS] and pairs.label.dtype == np.int32
    assert pairs.shift.tolist() == [r.shift for r in RECORDS] and pairs.shift.dtype == np.int32
    assert pairs.clip.tolist() == [r.clip for r in RECORDS]
    assert pairs.subject.tolist() == [r.subject for r in RECORDS]
    assert set(pairs.dataset) == {"d"}
    assert pairs.onset.dtype == np.uint8 and pairs.onset.shape == (18, 16, 16)
    assert [path.name for path in tmp_path.iterdir()] == ["icegan_pairs"]
    assert capfd.readouterr() == ("", "")


FIVE = ("happiness", "disgust", "repression", "surprise", "tense / été")


def test_classes_come_back_and_need_no_record_each(tmp_path: Path) -> None:
    fingerprint = write_pairs(tmp_path, RECORDS, FIVE)
    pairs = load_pairs(tmp_path)
    assert (pairs.classes, pairs.fingerprint) == (FIVE, fingerprint)
    assert pairs.label.tolist() == [r.label for r in RECORDS]
    write_pairs(tmp_path / "three", RECORDS)
    assert load_pairs(tmp_path / "three").classes == EXPRESSIONS
    one = [replace(r, label=0) for r in RECORDS]
    write_pairs(tmp_path / "one", one, ("face",))
    assert load_pairs(tmp_path / "one").classes == ("face",)


def test_fingerprint_depends_on_the_classes_and_the_resting_faces(tmp_path: Path) -> None:
    others = [replace(r, rest=255 - r.rest) for r in RECORDS]
    written = [(RECORDS, EXPRESSIONS), (RECORDS, EXPRESSIONS[::-1]), (RECORDS, FIVE), (others, EXPRESSIONS)]
    actual = [write_pairs(tmp_path / str(number), *content) for number, content in enumerate(written)]
    assert len(set(actual)) == 4
    np.testing.assert_array_equal(load_pairs(tmp_path / "3").rest, [r.rest for r in others])


def test_folder_of_an_older_version_is_to_be_prepared_again(tmp_path: Path) -> None:
    write_pairs(tmp_path, RECORDS)
    (tmp_path / "icegan_pairs" / "2.0.0").rename(tmp_path / "icegan_pairs" / "1.0.0")
    with pytest.raises(UserError, match="an older version, without resting faces; prepare it again"):
        load_pairs(tmp_path)


def test_names_changed_after_prepare_raise(tmp_path: Path) -> None:
    fingerprint = write_pairs(tmp_path, RECORDS, ("a", "b", "c"))
    (tmp_path / "prepared.json").write_text(json.dumps({"fingerprint": fingerprint}))
    load_pairs(tmp_path)
    (names,) = tmp_path.rglob("label.labels.txt")
    names.write_text("b\na\nc\n")
    with pytest.raises(UserError, match="changed after prepare"):
        load_pairs(tmp_path)
    names.unlink()
    with pytest.raises(UserError, match="changed after prepare"):
        load_pairs(tmp_path)


def test_bytes_are_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_pairs(tmp_path / name, RECORDS)
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert any("array_record" in file.name for file in files)
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("change", ["pixel", "label", "shift", "name"])
def test_the_fingerprint_depends_on_every_part(tmp_path: Path, change: str) -> None:
    first = RECORDS[0]
    apex = first.apex.copy()
    apex[3, 4] ^= 1
    other = {
        "pixel": replace(first, apex=apex),
        "label": replace(first, label=2),
        "shift": replace(first, shift=1),
        "name": replace(first, subject="t"),
    }[change]
    assert write_pairs(tmp_path / "a", [first]) != write_pairs(tmp_path / "b", [other])


def test_missing_changed_and_damaged_datasets(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no prepared dataset; make it with: python -m icegan_jax\.prepare"):
        load_pairs(tmp_path / "nothing")
    write_pairs(tmp_path, RECORDS)
    summary = tmp_path / "prepared.json"
    summary.write_text(json.dumps({"fingerprint": "0" * 64}))
    with pytest.raises(UserError, match="changed after prepare.*recorded 000000000000"):
        load_pairs(tmp_path)
    summary.write_text("{")
    with pytest.raises(UserError, match=r"prepared\.json: damaged"):
        load_pairs(tmp_path)
    summary.unlink()
    (shard,) = tmp_path.rglob("*array_record*")
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(UserError, match="the prepared dataset is damaged"):
        load_pairs(tmp_path)


def test_invalid_datasets_raise(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no pairs to write"):
        write_pairs(tmp_path, [])
    with pytest.raises(ValueError, match="beside uint8"):
        write_pairs(tmp_path, [RECORDS[0], record("d", "s", "c", 0, 0, size=8)])
    with pytest.raises(ValueError, match="label 2 of 2 classes"):
        write_pairs(tmp_path, RECORDS, ("a", "b"))
    with pytest.raises(UserError, match="class 'A' is there twice"):
        write_pairs(tmp_path, RECORDS, ("a", "A", "b"))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_import_is_silent_and_needs_no_tensorflow() -> None:
    code = "import sys, icegan_jax.data.dataset; sys.exit('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_one_database_alone(tmp_path: Path) -> None:
    rows = [record(("a", "b")[i % 2], "s", f"c{i}", i % 3, 0, seed=i) for i in range(6)]
    write_pairs(tmp_path, rows)
    pairs = load_pairs(tmp_path)
    alone = select_database(pairs, "b")
    assert alone.dataset.tolist() == ["b"] * 3
    assert np.array_equal(alone.apex, pairs.apex[1::2]) and np.array_equal(alone.label, pairs.label[1::2])
    assert alone.classes == pairs.classes
    assert alone.fingerprint != pairs.fingerprint
    with pytest.raises(UserError, match=r"config\.data\.database is 'c': the prepared faces are of a, b"):
        select_database(pairs, "c")
