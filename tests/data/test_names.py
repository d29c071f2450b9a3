"""Names that may be part of a folder's name or a cell of a table, and subjects whose folders would be one."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from icegan_jax.data import dataset, folds, names
from icegan_jax.data.clips import Clip, read_clips, write_clips
from icegan_jax.data.ingest.annotation import Finding, Source
from icegan_jax.data.ingest.build import prepare_clips
from icegan_jax.data.ingest.collect_clips import collect_clips
from icegan_jax.data.ingest.summary import write_table
from icegan_jax.errors import UserError
from tests.data.conftest import HEADER, pairs_of, record

BAD = {
    "": "is empty",
    "../../etc": "cannot be a folder name",
    "a/b": "cannot be a folder name",
    "a\\b": "cannot be a folder name",
    "C:": "cannot be a folder name",
    "\0": "control characters",
    "a\0": "control characters",
    "a\nb": "control characters",
    "a\u202eb": "control characters and invisible ones",
    "a\ud800": "control characters",
    "a.": "dots at its end",
    " a": "spaces around it",
    "a ": "spaces around it",
    "=1+1": "takes for a formula",
    "@SUM(A1)": "takes for a formula",
    "x" * 101: "is too long for a folder name: 101 bytes",
    "é" * 51: "is too long for a folder name: 102 bytes",
}
GOOD = ["con", "s01", "p.1", "été", "名前", "a b", "$HOME", "*", "<script>", "'", "x" * 100]


@pytest.mark.parametrize(("name", "words"), BAD.items())
def test_invalid_names_raise(name: str, words: str) -> None:
    with pytest.raises(UserError, match="^subject ") as caught:
        names.check_name(name, "subject")
    line = str(caught.value)
    assert words in line and line.isprintable() and len(line) < 300
    if name == "a\0":
        return  # an array of numpy's drops NULs at the end of a text: the folder is called after "a"
    for pairs in ([record("d", name, "c", 0, 0)], [record(name, "s", "c", 0, 0)]):
        with pytest.raises(UserError, match="subject |dataset "):
            folds.leave_one_subject_out(pairs_of([*pairs, record("d", "t", "c", 0, 0)]))


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("\0", "a\0")])
def test_prepared_pairs_with_invalid_names_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    good = record("d", "t", "c", 0, 0)
    for bad in (replace(good, subject=name), replace(good, dataset=name), replace(good, clip=name)):
        with pytest.raises(UserError):
            dataset.write_pairs(tmp_path / "a", [good, bad])
        with pytest.raises(UserError) as caught:
            prepare_clips([Clip(bad.dataset, bad.subject, bad.clip, 0, tmp_path, 0, 1, 2)], tmp_path / "out")
        assert str(caught.value).isprintable()
    assert list(tmp_path.iterdir()) == []


def test_a_prepared_folder_with_invalid_names_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, evil = record("d", "t", "c", 0, 0), record("d", "../../evil", "c", 0, 0)
    twice, two_labels = [good, good], [good, replace(good, shift=1, label=1)]
    for number, (records, words) in enumerate(
        [([good, evil], "subject '../../evil' cannot"), (twice, "d/t/c is there twice"), (two_labels, "has two labels")]
    ):
        with monkeypatch.context() as patched:
            patched.setattr(dataset, "_check_rows", lambda rows: None)
            dataset.write_pairs(tmp_path / str(number), records)
        with pytest.raises(UserError, match=f"^{tmp_path / str(number)}: .*{words}"):
            dataset.load_pairs(tmp_path / str(number))


@pytest.mark.parametrize("name", GOOD)
def test_valid_names(tmp_path: Path, name: str) -> None:
    assert names.check_name(name, "subject") == name
    held, _ = folds.leave_one_subject_out(pairs_of([record("d", name, "c", 0, 0), record("e", "t", "c", 0, 0)]))
    folder = tmp_path / "folds" / held.name
    folder.mkdir(parents=True)
    assert [path.name for path in (tmp_path / "folds").iterdir()] == [f"d_{name}"]


@pytest.mark.parametrize(
    "people",
    [
        (("d", "Anna"), ("d", "anna")),
        (("CASME2", "01"), ("casme2", "01")),
        (("d", "\u00e9"), ("d", "e\u0301")),
        (("d", "STRASSE"), ("d", "straße")),
        (("a_b", "c"), ("a", "b_c")),
        (("d", "1"), ("d", "001")),
        (("d", "S1"), ("d", "s01")),
    ],
)
def test_indistinguishable_subjects_raise(tmp_path: Path, people: tuple[tuple[str, str], ...]) -> None:
    clips = [Clip(*person, f"c{n}", n, tmp_path / f"{n}", 0, 1, 2) for n, person in enumerate(people)]
    line = "two subjects would share the folder .*, on some disks at least; rename one"
    if people[0][1].lower() in ("1", "s1"):
        line = "differ in leading zeros only; give one person one name"
    write_clips(tmp_path / "clips.csv", clips)
    findings = collect_clips([Source("clips", tmp_path / "clips.csv")]).findings
    assert re.search(line, f"{findings[0].message}; {findings[0].remedy}") and findings[0].kind == "error"
    with pytest.raises(UserError, match=line):
        prepare_clips(clips, tmp_path / "out")
    records = [record(*person, "c", 0, 0) for person in people]
    with pytest.raises(UserError, match=line):
        folds.leave_one_subject_out(pairs_of(records))
    with pytest.raises(UserError, match=line):
        dataset.write_pairs(tmp_path / "out", records)


def test_similar_letters_are_different_subjects() -> None:
    people = [("d", "a"), ("d", "\u0430"), ("d", "ａ")]  # Latin, Cyrillic, wide: no disk takes one for another
    names.check_subjects(people)


def test_a_clips_csv_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_text(f"{HEADER}\nd,=1+1,c,anger,f,1,2,3\n")
    with pytest.raises(UserError, match=r"clips.csv, line 2: subject '=1\+1' begins with '=', which a spreadsheet"):
        read_clips(path)


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    texts = ["=1+1", "+SUM(A1)", "-cmd|' /C calc'!A0", "@x", "\t=1", "\r=1", "-3", "-3.5e2", "plain", "a=b", ""]
    kept = ["'=1+1", "'+SUM(A1)", "'-cmd|' /C calc'!A0", "'@x", "'\t=1", "' =1", *texts[6:]]
    assert [names.spreadsheet_cell(text) for text in texts] == kept
    assert names.spreadsheet_cell(-3) == "-3" and names.spreadsheet_cell("\ud800") == "\\ud800"
    write_table(tmp_path / "findings.csv", Finding, [Finding("note", text, text, text) for text in texts])
    rows = list(csv.reader(io.StringIO((tmp_path / "findings.csv").read_bytes().decode(), newline="")))
    assert [row[1] for row in rows[1:]] == kept
