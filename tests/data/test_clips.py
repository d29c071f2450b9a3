import datetime
import re
from pathlib import Path

import pytest

from icegan_jax.data.clips import (
    EXPRESSIONS,
    Clip,
    label_of,
    read_clips,
    write_clips,
)
from icegan_jax.data.names import check_classes
from icegan_jax.errors import UserError
from tests.data.conftest import HEADER
from tests.data.databases.write_files import write_frames, write_xlsx

ROW = "d,s,c,anger,f,1,2,3"


def _csv(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "clips.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_label_of_the_emotion_words() -> None:
    words = {
        "negative": "Repression anger angry contempt DISGUST disgusted fear fearful sadness sad tense negative",
        "positive": "happiness happy amusement positive",
        "surprise": "Surprise surprised",
    }
    for expression, names in words.items():
        assert {EXPRESSIONS[label_of(f" {name} ")] for name in names.split()} == {expression}


FIVE = ("Happiness", "disgust", "repression", "surprise", "others")


def test_other_classes_have_their_names_and_no_emotion_words() -> None:
    assert [label_of(word, FIVE) for word in ("happiness", " DISGUST ", "others")] == [0, 1, 4]
    for word in ("anger", "negative", "happy", "", "0"):
        with pytest.raises(UserError, match="has no class.*; use one of happiness, disgust, repression, surprise, oth"):
            label_of(word, FIVE)


def test_reads_what_it_writes_with_other_classes(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    clips = [Clip("d", f"s{label}", "c", label, tmp_path / "f", 1, 2, 3) for label in range(5)]
    write_clips(path, clips, FIVE)
    assert [row.split(",")[3] for row in path.read_text().splitlines()[1:]] == list(FIVE)
    assert [clip.label for clip in read_clips(path, FIVE)] == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match=r"line 6: label 'others' has no class.*; use one of negative, .*happiness"):
        read_clips(path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no classes; name at least one"),
        (["a", ""], "class '' cannot be a name"),
        (["a", " b"], "class ' b' cannot be a name"),
        (["a\nb"], r"class 'a\\nb' cannot be a name"),
        (["anger", "Anger"], "class 'Anger' is there twice; name each class once"),
    ],
)
def test_invalid_classes_raise(names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_classes(names)


def test_unknown_label_names_the_line_and_the_words(tmp_path: Path) -> None:
    path = _csv(tmp_path, ROW, "", "d,s,c2,others,f,1,2,3")
    with pytest.raises(UserError, match=r"clips\.csv, line 4: label 'others'.*negative.*happiness"):
        read_clips(path)


def test_reads_what_it_writes(tmp_path: Path) -> None:
    clips = [
        Clip("d", "s 1", "é", 0, tmp_path / "raw" / "a", 3, None, 9),
        Clip("d", "s2", "c", 2, tmp_path.parent / "video.mp4", 0, 4, 5),
    ]
    (tmp_path / "raw" / "a").mkdir(parents=True)
    path = tmp_path / "clips.csv"
    write_clips(path, clips)
    read = read_clips(path)
    assert [(c.dataset, c.subject, c.clip, c.label, c.onset, c.apex, c.offset) for c in read] == [
        ("d", "s 1", "é", 0, 3, None, 9),
        ("d", "s2", "c", 2, 0, 4, 5),
    ]
    assert [c.frames.resolve() for c in read] == [c.frames.resolve() for c in clips]


def test_spreadsheet_variants_are_read(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    text = f"\ufeff{HEADER},notes\r\n d , s ,c,Anger,f, 1 ,, 3,x\r\n,,,,,,,,\r\n"
    path.write_bytes(text.encode("utf-8"))
    (clip,) = read_clips(path)
    assert clip == Clip("d", "s", "c", 0, tmp_path / "f", 1, None, 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("d,s,c,anger,f,one,2,3", "onset 'one' is not a frame number"),
        ("d,s,c,anger,f,1,-2,3", "apex '-2' is not a frame number"),
        ("d,s,c,anger,f,1,nan,3", "leave the cell empty: the apex is then spotted"),
        ("d,s,c,anger,f,-1,2,3", "leave the cell empty: the first frame is then used"),
        ("d,s,c,anger,f,1,2,2026-01-02 00:00:00", "made it of something else; format the column as text"),
        ("d,s,2026/1/2,anger,f,1,2,3", "clip '2026/1/2' is a date: .*format the column as text"),
        ("d,s,2-Jan,anger,f,1,2,3", "clip '2-Jan' is a date: .*format the column as text"),
        ("d,Jan-02,c,anger,f,1,2,3", "subject 'Jan-02' is a date: .*format the column as text"),
        ("d,s,c,anger,f,3,3,3", "offset 3 of clip d/s/c is not after onset 3"),
        ("d,s,c,anger,,1,2,3", "frames is empty"),
        ("d,,c,anger,f,1,2,3", "subject is empty"),
        ("d,a/b,c,anger,f,1,2,3", "subject 'a/b' cannot be a folder name"),
        ("d,s,..,anger,f,1,2,3", "clip '..' cannot be a folder name"),
        ("d,s", "label '' has no class|frames is empty"),
    ],
)
def test_bad_row_names_the_line(tmp_path: Path, row: str, message: str) -> None:
    path = _csv(tmp_path, row)
    with pytest.raises(UserError, match="line 2") as caught:
        read_clips(path)
    assert any(re.search(part, str(caught.value)) for part in message.split("|"))


def test_duplicate_clip_names_both_lines(tmp_path: Path) -> None:
    path = _csv(tmp_path, ROW, "d,s2,c,anger,f,1,2,3", ROW)
    with pytest.raises(UserError, match="line 4: clip d/s/c is already in line 2"):
        read_clips(path)


def test_missing_file_column_and_rows(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.csv: no such file"):
        read_clips(tmp_path / "nothing.csv")
    with pytest.raises(
        UserError, match="no header row with the column subject; .*; the first line must hold subject,label,frames, and"
    ):
        read_clips(_csv(tmp_path, header="dataset,person,clip,label,frames,offset"))
    with pytest.raises(UserError, match="holds no clips"):
        read_clips(_csv(tmp_path))
    (tmp_path / "clips.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="line 1: not UTF-16 text; save it as csv in UTF-8"):
        read_clips(tmp_path / "clips.csv")


def test_a_misspelt_label_and_a_folder_get_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"label 'postive' has no class \(did you mean positive\?\)"):
        read_clips(_csv(tmp_path, "d,s,c,postive,f,1,2,3"))
    with pytest.raises(UserError, match="is a folder; give the path of the clips.csv in it"):
        read_clips(tmp_path)


def test_subject_label_and_frames_suffice(tmp_path: Path) -> None:
    write_frames(tmp_path, "anna/smile", ["img7.png", "img8.png", "img12.png"])
    write_frames(tmp_path, "bob.v2", ["img1.png", "img2.png"])
    table = write_xlsx(
        tmp_path / "mine.xlsx", [("Frames", "Subject", "Label"), ("anna/smile", 1, "happy"), ("bob.v2", 2, "sad")]
    )
    assert read_clips(table) == [
        Clip("mine", "1", "smile", 1, tmp_path / "anna/smile", 7, None, 12),
        Clip("mine", "2", "bob.v2", 0, tmp_path / "bob.v2", 1, None, 2),
    ]
    with pytest.raises(UserError, match="line 2: .*gone: no such folder of frames"):
        read_clips(_csv(tmp_path, "1,happy,gone", header="subject,label,frames"))
    with pytest.raises(UserError, match="line 3: clip clips/1/bob.v2 is already in line 2; name each in a column clip"):
        read_clips(_csv(tmp_path, "1,happy,bob.v2", "1,sad,bob.v2", header="subject,label,frames"))


def test_a_column_that_looks_like_a_frame_number_is_not_left_out_silently(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="clips.csv: the column onsetframe is not read; call it onset if it holds"):
        read_clips(_csv(tmp_path, "s,anger,f,5", header="subject,label,frames,OnsetFrame"))
    header = "subject,label,frames,onset,offset,Clip length,Dataset year"
    assert [clip.clip for clip in read_clips(_csv(tmp_path, "s,anger,f,5,9,1.5,2019", header=header))] == ["f"]


def test_numbers_dates_and_paths_as_programs_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write_frames(tmp_path, "a/b")
    read = read_clips(_csv(tmp_path, "d,s,c,anger,a\\b,1.0,,3.0", "d,s,c2,anger,~/f,1,2.0,3"))
    assert [(c.frames, c.onset, c.apex, c.offset) for c in read] == [
        (tmp_path / "a/b", 1, None, 3),
        (tmp_path / "home/f", 1, 2, 3),
    ]
    table = write_xlsx(
        tmp_path / "t.xlsx", [HEADER.split(","), ("d", "s", datetime.date(2026, 1, 2), "anger", "f", 1, 2, 3)]
    )
    with pytest.raises(UserError, match="t.xlsx, line 2: clip '2026-01-02.*' is a date: .*format the column as text"):
        read_clips(table)


def test_labels_of_their_own_are_offered_as_classes(tmp_path: Path) -> None:
    rows = ("d,s,c1,Happiness,f,1,2,3", "d,s,c2,neutral,f,1,2,3", "d,s,c3,neutral,f,1,2,3")
    with pytest.raises(UserError, match="line 3: label 'neutral' .*prepare with --classes=happiness,neutral$"):
        read_clips(_csv(tmp_path, *rows))
