from pathlib import Path

import cv2
import numpy as np

from icegan_jax.data.contact_sheet import write_contact_sheet
from icegan_jax.data.dataset import Record


def test_a_cell_shows_onset_apex_and_difference(tmp_path: Path) -> None:
    onset = np.full((128, 128), 100, np.uint8)
    apex = np.full((128, 128), 110, np.uint8)
    write_contact_sheet(tmp_path / "sheet.png", [Record("d", "é", "c", 2, 0, onset, apex)])
    sheet = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None and sheet.shape == (16 + 96 + 6, 3 * 96 + 6)
    middle = sheet[64]
    assert [int(middle[48 + 96 * i]) for i in range(3)] == [100, 110, 128 + 6 * 10]
    assert sheet[:16].min() < 100  # the caption


def test_many_clips_fit_on_one_sheet(tmp_path: Path) -> None:
    face = np.zeros((16, 16), np.uint8)
    records = [Record("d", "s", str(i), 0, 0, face, face) for i in range(700)]
    write_contact_sheet(tmp_path / "sheet.png", records)
    sheet = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    h, w = sheet.shape
    assert h * w / (118 * 294) < 600 + 30
    assert 0.5 < h / w < 1.2
