"""clips.csv, tables of workbooks, frame names and folders: written files are read back, others raise one line."""

import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from icegan_jax.data.clips import COLUMNS, EXPRESSIONS, Clip, read_clips, write_clips
from icegan_jax.data.dataset import load_pairs, write_pairs
from icegan_jax.data.ingest.spreadsheets import read_headerless_table, read_table
from tests.data.conftest import record
from tests.properties.strategies import edited, names, outcome, scratch

FOLDER = scratch()


@st.composite
def clips(draw: st.DrawFn) -> list[Clip]:
    keys = draw(st.lists(st.tuples(names, names, names), min_size=1, max_size=5, unique=True))
    result = []
    for number, key in enumerate(keys):
        onset = draw(st.integers(0, 999_999_990))
        offset = draw(st.integers(onset + 1, 999_999_999))
        apex = draw(st.one_of(st.none(), st.integers(0, 999_999_999)))
        result.append(Clip(*key, draw(st.integers(0, 2)), FOLDER / "frames" / str(number), onset, apex, offset))
    return result


@given(clips())
def test_clips_are_read_as_they_were_written(drawn: list[Clip]) -> None:
    write_clips(FOLDER / "clips.csv", drawn)
    result = read_clips(FOLDER / "clips.csv")
    assert [(c, c.frames.resolve()) for c in result] == [(c, c.frames.resolve()) for c in drawn]


@given(clips(), st.data())
def test_an_edited_clips_csv_has_no_other_labels(drawn: list[Clip], data: st.DataObject) -> None:
    path = FOLDER / "edited.csv"
    write_clips(path, drawn)
    text = edited(data.draw, path.read_text(encoding="utf-8"))
    path.write_bytes(text.encode("utf-8"))
    result = outcome(lambda: read_clips(path), "edited.csv")
    for clip in result or ():  # each label stands in the file as a word of its own, in a line that names the clip
        assert 0 <= clip.label < len(EXPRESSIONS) and 0 <= clip.onset < clip.offset
        assert clip.clip.split('"')[0] in text.replace('""', '"')


@given(st.binary(max_size=300), st.sampled_from((".csv", ".xlsx", ".xls")), st.sampled_from((b"", b"PK", b"\xd0\xcf")))
def test_any_bytes_are_a_table_or_one_line(content: bytes, suffix: str, start: bytes) -> None:
    path = FOLDER / f"any{suffix}"
    path.write_bytes(start + content)
    outcome(lambda: read_table(path, COLUMNS), path.name)
    outcome(lambda: read_headerless_table(path, ("a", "b")), path.name)
    outcome(lambda: read_clips(path), path.name)


@settings(max_examples=8)
@given(st.lists(st.tuples(names, names, names), min_size=1, max_size=4, unique=True))
def test_prepared_pairs_are_read_as_they_were_written(keys: list[tuple[str, str, str]]) -> None:
    records = [record(*key, number % 3, 0, seed=number) for number, key in enumerate(keys)]
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        fingerprint = outcome(
            lambda: write_pairs(folder, records), "two subjects would share the folder", "leading zeros"
        )
        if fingerprint is None:
            return
        pairs = load_pairs(folder)
    assert list(zip(pairs.dataset.tolist(), pairs.subject.tolist(), pairs.clip.tolist(), strict=True)) == keys
    assert pairs.label.tolist() == [r.label for r in records] and pairs.fingerprint == fingerprint
