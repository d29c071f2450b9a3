"""Strategies of the property tests: names that data may have, unexpected texts, and JSON values."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from icegan_jax.data.names import check_name
from icegan_jax.errors import UserError


def scratch() -> Path:
    """Create a folder that is removed when the tests end."""
    folder = Path(tempfile.mkdtemp(prefix="icegan-properties-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def is_name(text: str) -> bool:
    try:
        return bool(check_name(text, "name"))
    except UserError:
        return False


_LETTERS = st.characters(codec="utf-8")
_IN_NAMES = st.characters(codec="utf-8", categories=("L", "M", "N", "P", "S"), exclude_characters='/\\:"')
_FIRST = st.characters(codec="utf-8", categories=("L", "N"))
names = st.tuples(_FIRST, st.text(st.one_of(st.sampled_from("ab01_-<&'$, "), _IN_NAMES), max_size=10)).map("".join)
names = names.map(lambda name: name.replace("..", "").rstrip(" .")).filter(is_name)
words = st.sampled_from(
    [
        "",
        " ",
        "0",
        "1",
        "2",
        "-1",
        "1.0",
        "1e400",
        "nan",
        "inf",
        "9" * 30,
        "٤",
        "²",
        "a",
        "negative",
        "happiness",
        "=1+1",
    ]
    + [
        "sub01",
        "casme2",
        "[0, 1]",
        "[",
        "]",
        "Subject: a",
        "predicted",
        "\ufeff",
        "\0",
        "\r",
        "\n",
        "\x85",
        "\u2028",
        '"',
    ]
)
odd_text = st.one_of(st.text(_LETTERS, max_size=40), words)
numbers = st.one_of(st.integers(), st.floats(), st.booleans(), st.none())
json_values = st.recursive(
    st.one_of(numbers, odd_text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(odd_text, inner, max_size=4)),
    max_leaves=12,
)


def edited(draw: Callable[..., Any], text: str) -> str:
    """Return a text with one to three parts cut out, doubled or replaced."""
    for _ in range(draw(st.integers(1, 3))):
        a, b = sorted(draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
        b = min(b, a + draw(st.integers(0, 12)))
        text = text[:a] + draw(odd_text) * draw(st.integers(0, 2)) + text[b:]
    return text


def outcome(read: Callable[[], Any], *named: str) -> Any:
    """Return what a reader returns; None where the reader raises UserError with one line that names one of `named`."""
    try:
        return read()
    except UserError as error:
        line = str(error)
        assert line.isprintable() and len(line) < 4000, line
        assert not named or any(name in line for name in named), line
        return None
