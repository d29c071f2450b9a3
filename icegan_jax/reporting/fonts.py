"""Fonts of the text in pictures: DejaVu Sans, or an installed font for names with letters that DejaVu Sans lacks.

DejaVu Sans, which Matplotlib contains, has Latin, Greek and Cyrillic letters, but no Chinese, Japanese or Korean ones.
"""

import functools
import importlib.util
import sys
from pathlib import Path

from PIL import ImageFont

_NO_CHARACTER = "\U0010ffff"  # has no glyph in any font: what is drawn for it stands for every missing letter
_VARIANTS = ("bold", "black", "heavy", "light", "thin", "italic", "oblique", "serif", "mono")  # of a family's fonts

_warned = False


def legible(text: str) -> str:
    r"""Return a text with an escape such as \u738b for each letter that no font has; stderr names the first text."""
    file = font_file(text)
    missing = {letter for letter in text if not _has_glyph(file, letter)}
    if missing:
        _warn_once(text)
    return "".join(letter.encode("unicode_escape").decode() if letter in missing else letter for letter in text)


@functools.cache
def font_file(text: str) -> Path:
    """Return DejaVu Sans, or the installed font with more of the letters of a text."""
    letters = frozenset(text)
    if all(_has_glyph(_dejavu(), letter) for letter in letters):
        return _dejavu()
    best = max(installed_fonts(), key=lambda file: _num_glyphs(file, letters), default=_dejavu())
    return max(_dejavu(), best, key=lambda file: _num_glyphs(file, letters))


@functools.cache
def font(file: Path, size: int) -> ImageFont.FreeTypeFont:
    """Return a font for Pillow.

    Args:
        file: of ``font_file``.
        size: in pixels.
    """
    return ImageFont.truetype(file, size)


@functools.cache
def family(file: Path) -> str:
    """Return the name by which Matplotlib finds a font."""
    from matplotlib import font_manager

    font_manager.fontManager.addfont(file)
    return str(font_manager.get_font(file).family_name)


@functools.cache
def installed_fonts() -> list[Path]:
    """Return the font files of the system, upright sans serif fonts of regular weight first."""
    from matplotlib import font_manager  # takes a second, which few names need

    files = map(Path, font_manager.findSystemFonts())
    return sorted(files, key=lambda file: (any(word in file.stem.lower() for word in _VARIANTS), file))


@functools.cache
def _dejavu() -> Path:
    matplotlib = importlib.util.find_spec("matplotlib")
    assert matplotlib is not None and matplotlib.origin is not None
    return Path(matplotlib.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"


def _num_glyphs(file: Path, letters: frozenset[str]) -> int:
    return sum(_has_glyph(file, letter) for letter in letters)


@functools.cache
def _has_glyph(file: Path, letter: str) -> bool:
    if letter.isspace():
        return True
    try:
        glyph, none = (font(file, 16).getmask(text) for text in (letter, _NO_CHARACTER))
    except OSError:  # a font of pictures, which has other sizes
        return False
    return glyph.size != none.size or bytes(glyph) != bytes(none)


def _warn_once(text: str) -> None:
    global _warned
    if not _warned:
        print(
            f"warning: no installed font has all letters of {text!r}: pictures show their codes, such as \\u738b; "
            "install a font that has them, such as Noto Sans CJK",
            file=sys.stderr,
        )
    _warned = True
