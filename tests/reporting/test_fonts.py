"""Names with letters that DejaVu Sans lacks: an installed font that has them, or codes and one warning."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from icegan_jax.reporting import fonts, plots, style
from icegan_jax.reporting.face_grid import FaceGrid

NAME = "王小明"


def write_font(path: Path, letters: str) -> Path:
    """Write a font whose letters are black squares of half the height, and whose missing letters are empty."""
    pen = TTGlyphPen(None)
    for at in ((0, 0), (0, 500), (500, 500), (500, 0)):
        (pen.lineTo if at != (0, 0) else pen.moveTo)(at)
    pen.closePath()
    square = pen.glyph()
    names = [".notdef", *(f"u{ord(letter):04X}" for letter in letters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names[1:], strict=True)})
    builder.setupGlyf({names[0]: TTGlyphPen(None).glyph(), **{name: square for name in names[1:]}})
    builder.setupHorizontalMetrics({name: (600, 0) for name in names})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(path)
    return path


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):
    """Return a function that takes a list of font files for the installed ones."""

    def replace(*files: Path) -> None:
        monkeypatch.setattr(fonts, "installed_fonts", lambda: list(files))
        fonts.font_file.cache_clear()

    monkeypatch.setattr(fonts, "_warned", False)
    yield replace
    fonts.font_file.cache_clear()


def draw_all() -> list[str]:
    """Draw the name in a grid and in a figure of Matplotlib; return Matplotlib's warnings."""
    cell = np.full((40, 40), 9, np.uint8)
    FaceGrid([NAME], [NAME], (400, 40), NAME, [[NAME]]).draw([[cell]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        style.figure_to_picture(plots.draw_confusion_matrix(np.eye(2, dtype=np.int64), NAME, (NAME, "calm")))
    return [str(warning.message) for warning in caught]


def test_a_font_that_has_the_letters_is_used(install, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    latin = "".join(map(chr, range(32, 127))) + "…"
    half, whole = (write_font(tmp_path / f"{n}.ttf", latin + NAME[:n]) for n in (1, 3))
    install(half, whole)
    assert fonts.font_file(NAME) == whole and style.legible(NAME) == NAME
    assert fonts.font_file("München, Ψ, Ж") == fonts.font_file("anna")  # DejaVu Sans
    grid = FaceGrid([""], [NAME], (80, 40))
    assert (grid.draw([[np.full((40, 40), 255, np.uint8)]]) == style_color()).all(axis=2).any()
    assert draw_all() == [] and capsys.readouterr().err == ""


def style_color() -> tuple[int, ...]:
    return tuple(bytes.fromhex(style.TEXT_COLOR[1:]))


def test_without_such_a_font_the_codes_are_shown_and_one_line_says_so(
    install, capsys: pytest.CaptureFixture[str]
) -> None:
    install()
    assert style.legible(f"{NAME} é") == r"\u738b\u5c0f\u660e é"
    assert draw_all() == []
    long = plots.draw_confusion_matrix(np.eye(2, dtype=np.int64), "", (20 * NAME, "calm"))
    assert len(long.axes[0].get_xticklabels()[0].get_text()) == 14  # letters of the codes, not of the name
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: no installed font has all letters of '{NAME} é'") and "Noto Sans CJK" in line
