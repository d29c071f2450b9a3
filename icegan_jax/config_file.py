"""A config out of its file and the changes on a command line, with one line for whatever is wrong in them."""

import importlib.util
import re
import types
from collections.abc import Iterable, Sequence
from pathlib import Path

from ml_collections import ConfigDict, FrozenConfigDict

from icegan_jax.config_fields import FIELDS, SWITCH
from icegan_jax.config_values import read, shown, unknown
from icegan_jax.errors import UserError

_CHANGE = re.compile(r"--?(no)?config\.([^=]*)(?:=(.*))?", re.DOTALL)
_LONGEST_REASON = 200  # characters of what a config file raises
_REMEDY = "as configs/demo.py does"


def split_changes(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Parts a command line's other arguments from its changes of the config.

    A change is ``--config.FIELD=VALUE`` or ``--config.FIELD VALUE``; of a field that is True or False also
    ``--config.FIELD`` and ``--noconfig.FIELD``. All come back in the first form.

    Raises:
        UserError: there is no such field, or a value is missing.
    """
    others: list[str] = []
    changes: list[str] = []
    left = iter(arguments)
    for argument in left:
        found = _CHANGE.fullmatch(argument)
        if not found:
            others.append(argument)
            continue
        negated, name, text = found.groups()
        if name not in FIELDS:
            raise UserError(unknown(name, text))
        switch = FIELDS[name].kind == SWITCH
        if negated and not (switch and text is None):
            raise UserError(f"{shown(argument)[1:-1]}: give --config.{name}=VALUE")
        if text is None:
            text = str(not negated) if switch else next(left, None)
        if text is None:
            raise UserError(f"--config.{name}: its value is missing; give --config.{name}=VALUE")
        changes.append(f"--config.{name}={text}")
    return others, changes


def load_config(given: str, changes: Sequence[str] = ()) -> ConfigDict:
    """The config that a file's ``get_config`` returns, changed and locked; ``settings.check`` looks at its values.

    Args:
        given: the path of the file; what follows a colon is handed to ``get_config``.
        changes: as ``split_changes`` gives them.

    Raises:
        UserError: the file cannot be read or run, returns no config, or a change is no value of its field.
    """
    name, colon, argument = given.partition(":")
    config = _run(Path(name), [argument] if colon else [])
    for change in changes:
        field, _, text = change.removeprefix("--config.").partition("=")
        _set(config, field, read(field, text))
    return config.lock()


def _run(path: Path, arguments: Sequence[str]) -> ConfigDict:
    module = types.ModuleType("config")
    module.__file__ = str(path)
    try:
        source = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"--config={shown(str(path))[1:-1]} cannot be loaded: {reason}; configs/ holds those that come along"
        ) from None
    try:
        exec(compile(importlib.util.decode_source(source), str(path), "exec"), module.__dict__)
        make = module.__dict__.get("get_config")
        if not callable(make):
            raise UserError(f"{path}: has no function get_config; write one that returns a config, {_REMEDY}")
        config = make(*arguments)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever somebody's file raises
        raise UserError(f"{path}{_line(path, error)}: {_said(error)}; correct the file") from None
    if isinstance(config, FrozenConfigDict):
        return config.as_configdict()
    if not isinstance(config, ConfigDict):
        kind = "nothing" if config is None else f"a {type(config).__name__}"
        raise UserError(f"{path}: get_config returns {kind}, not a ConfigDict; begin it {_REMEDY}, and return it")
    return config


def _line(path: Path, error: BaseException) -> str:
    """Where in the file it went wrong: ", line 12"; empty where that is not known."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f", line {error.lineno}"
    number, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            number = trace.tb_lineno
        trace = trace.tb_next
    return "" if number is None else f", line {number}"


def _said(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    words = shown(" ".join(text.split()), _LONGEST_REASON)[1:-1]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _set(config: ConfigDict, field: str, value: object) -> None:
    """Sets a field, also one that the file left out or gave another type."""
    part = config
    *path, name = field.split(".")
    with config.unlocked(), config.ignore_type():
        for step in path:
            if not isinstance(part.get(step), ConfigDict):
                part[step] = ConfigDict()
            part = part[step]
        with part.ignore_type():
            part[name] = value
