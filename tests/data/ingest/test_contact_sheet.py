from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.dataset import Record
from icegan_jax.data.ingest.contact_sheet import draw_strip, sort_key, write_contact_sheet


def level(clip: str, onset: int, apex: int = 0, subject: str = "s", label: int = 0) -> Record:
    """A clip of flat gray faces."""
    size = (16, 16)
    return Record("d", subject, clip, label, 0, np.full(size, onset, np.uint8), np.full(size, apex, np.uint8))


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        assert image.mode == "L"
        return np.asarray(image)


def faces(sheet: NDArray[np.uint8]) -> list[tuple[int, int, int]]:
    """(row, column, gray level) of every flat onset of 96 pixels, column by column from the top."""
    strips = []
    for x in range(8, sheet.shape[1], 3 * 96 + 8):
        line = sheet[:, x].astype(int)
        y = 0
        while y + 96 <= len(line):
            if line[y] < 250 and (sheet[y : y + 96, x : x + 96] == line[y]).all():
                strips.append((y, x, int(line[y])))
                y += 96
            y += 1
    return strips


def test_a_cell_shows_onset_apex_and_four_times_the_difference(tmp_path: Path) -> None:
    write_contact_sheet(tmp_path / "sheet.png", [level("é", 100, 110, label=2)], EXPRESSIONS)
    sheet = read(tmp_path / "sheet.png")
    ((y, x, gray),) = faces(sheet)
    assert gray == 100
    assert [int(sheet[y + 48, x + 48 + 96 * i]) for i in range(3)] == [100, 110, 128 + 4 * 10]
    assert sheet[y - 14 : y].min() < 100  # the caption
    assert sheet[y - 40 : y - 20].min() < 100  # the subject's heading
    assert (tmp_path / "sheet.png").exists() and not (tmp_path / "sheet_2.png").exists()


def test_the_difference_is_clipped_not_wrapped() -> None:
    strip = draw_strip(level("c", 200, 10), 8)
    assert strip.shape == (8, 24) and strip.dtype == np.uint8
    assert strip[4, 4] == 200 and strip[4, 12] == 10 and strip[4, 20] == 0


def test_clips_are_sorted_by_dataset_subject_and_clip_number(tmp_path: Path) -> None:
    apart = [
        level("1_10", 60, subject="s2"),
        level("1_2", 50, subject="s2"),
        level("1_1", 40, subject="s1"),
        Record("a", "s9", "x", 0, 0, np.full((16, 16), 30, np.uint8), np.zeros((16, 16), np.uint8)),
    ]
    write_contact_sheet(tmp_path / "sheet.png", apart, EXPRESSIONS)
    assert [gray for _, _, gray in faces(read(tmp_path / "sheet.png"))] == [30, 40, 50, 60]
    assert [r.clip for r in sorted(apart, key=sort_key)] == ["x", "1_1", "1_2", "1_10"]


def test_the_class_words_are_the_given_ones(tmp_path: Path) -> None:
    for word in ("happiness", "disgust"):
        write_contact_sheet(tmp_path / f"{word}.png", [level("c", 90, 95, label=4)], ["", "", "", "", word])
    assert not np.array_equal(read(tmp_path / "happiness.png"), read(tmp_path / "disgust.png"))


def test_442_clips_of_68_subjects_are_one_sheet(tmp_path: Path) -> None:
    records = [level(str(i), 20 + i % 200, subject=f"s{min(i, abs(i * 37 % 68)):02d}") for i in range(442)]
    assert len({r.subject for r in records}) == 68
    write_contact_sheet(tmp_path / "sheet.png", records, EXPRESSIONS)
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]
    sheet = read(tmp_path / "sheet.png")
    height, width = sheet.shape
    assert len(faces(sheet)) == 442
    assert height < 4900 and width < 4300 and 0.8 < height / width < 1.6


def test_further_clips_go_onto_a_second_sheet(tmp_path: Path) -> None:
    records = [level(f"{i:03d}", i % 200, subject=f"s{i // 4:03d}") for i in range(700)]
    write_contact_sheet(tmp_path / "contact_sheet.png", records, EXPRESSIONS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["contact_sheet.png", "contact_sheet_2.png"]
    first, second = (read(tmp_path / name) for name in ("contact_sheet.png", "contact_sheet_2.png"))
    grays = [gray for sheet in (first, second) for _, _, gray in faces(sheet)]
    assert grays == [i % 200 for i in range(700)]
    assert max(*first.shape, *second.shape) < 4900
