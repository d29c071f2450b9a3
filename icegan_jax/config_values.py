"""The values of a config: checked, read from the words of a command line, and shown in messages."""

import ast
import difflib
from collections.abc import Mapping
from typing import Any

from icegan_jax.config_fields import FIELDS, SWITCH, is_a
from icegan_jax.errors import UserError

_LONGEST_SHOWN = 80  # characters of a value that a message shows
_WORDS = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}


def check_values(flat: Mapping[str, Any]) -> None:
    """Refuses a field that is unknown, missing, of another type or out of its range.

    Args:
        flat: a config's values by dotted name: {"training.steps": 70, ...}.

    Raises:
        UserError: names the field, its value, and what it may be or the nearest field.
    """
    for name, value in flat.items():
        if name not in FIELDS:
            raise UserError(unknown(name, value))
    for name, field in FIELDS.items():
        if name not in flat:
            raise UserError(
                f"config.{name} is missing: it must be {wanted(name)}; begin the config as configs/demo.py does, "
                "with the fields of configs/loso.py"
            )
        value = flat[name]
        if not is_a(field.kind, value):
            raise UserError(f"config.{name} is {shown(value)}: it must be {field.kind}")
        for holds, wish in field.rules:
            if not holds(value):
                raise UserError(f"config.{name} is {shown(value)}: it must be {wish}{_guess(value, wish)}")


def wanted(name: str) -> str:
    """What a field must be, in words: "a whole number, above 0"."""
    return ", ".join(dict.fromkeys([FIELDS[name].kind, *(wish for _, wish in FIELDS[name].rules)]))


def unknown(name: str, value: object = None) -> str:
    """The message about a name that is no field; ``value``: what it was given, None where that is not known."""
    given = "" if value is None else f" is {shown(value)}"
    parts = [field for field in FIELDS if field.startswith(f"{name}.")]
    if parts:
        return f"config.{name}{given}: it is a group of fields; change one of them, such as config.{parts[0]}"
    near = _near(name)
    guess = f"did you mean {' or '.join(near)}?" if near else "configs/loso.py has the fields"
    return f"config.{shown(name)[1:-1]}{given}: there is no such field; {guess}"


def read(name: str, text: str) -> object:
    """A field's value out of its words on a command line.

    Raises:
        UserError: there is no such field, or the words are no value of its type.
    """
    if name not in FIELDS:
        raise UserError(unknown(name, text))
    try:
        return _read(FIELDS[name].kind, text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise UserError(f"config.{name} is {shown(text)}: it must be {wanted(name)}") from None


def shown(value: object, most: int = _LONGEST_SHOWN) -> str:
    """A value as a message shows it: on one line, of so many characters at most."""
    try:
        text = repr(value)
    except Exception:  # an object of somebody's config file
        text = type(value).__name__
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def _read(kind: str, text: str) -> object:
    if kind == "a whole number":
        return int(text)
    if kind == "a number":
        return float(text)
    if kind == SWITCH:
        if text.casefold() not in _WORDS:
            raise ValueError(text)
        return _WORDS[text.casefold()]
    if kind == "a tuple":
        value = ast.literal_eval(text)
        return tuple(value) if isinstance(value, tuple | list) else (value,)
    return text


def _near(name: str) -> list[str]:
    """The fields that may have been meant, at most three: of the same last name, or spelt nearly so."""
    last = name.rpartition(".")[2]
    same = [field for field in FIELDS if field.rpartition(".")[2] == last]
    if same:
        return same[:3]
    groups = {field.rpartition(".")[0] for field in FIELDS} - {""}
    close = difflib.get_close_matches(name, [*FIELDS, *sorted(groups)], n=1, cutoff=0.75)
    if close:
        return close
    lasts = {field.rpartition(".")[2]: field for field in FIELDS}
    return [lasts[found] for found in difflib.get_close_matches(last, lasts, n=1, cutoff=0.75)]


def _guess(value: object, wish: str) -> str:
    """The question "did you mean loso?" where a choice is spelt nearly so."""
    if not isinstance(value, str) or not wish.startswith("one of "):
        return ""
    near = difflib.get_close_matches(value.casefold(), wish.removeprefix("one of ").split(", "), n=1)
    return f"; did you mean {near[0]}?" if near else ""
