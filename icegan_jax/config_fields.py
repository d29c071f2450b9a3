"""The fields of the installed configs: values, comments, and the command that repeats a run. No import of jax."""

import functools
import re
import runpy
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ml_collections import ConfigDict

from icegan_jax.io import CHECKSUM

ICEGAN = "icegan"  # config.method of the system of this program; any other is a compared system, see ``methods``
_BASELINES = "baselines.py"  # whose fields depend on the compared system
CONFIGS_DIR = Path(__file__).parents[1] / "configs"  # beside the package, in a checkout and in an installation

# Keys of config.json that are not fields of the config. A later start of the run does not compare the notes.
NOTES = ("id", "started", "git_commit", "resumed")
NOT_FIELDS = (*NOTES, "data_fingerprint", "code", CHECKSUM)

_FIELD = re.compile(r"    config\.([\w.]+) = [^#]*(?:#\s*(.*))?")  # and its comment
_COMMENT = re.compile(r"    #\s*(.*)")


def flatten(tree: ConfigDict | Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested groups by dotted name: {"training.steps": 0, ...}."""
    fields: dict[str, Any] = {}
    for name, value in tree.items():
        is_group = isinstance(value, ConfigDict | Mapping)
        fields |= flatten(value, f"{prefix}{name}.") if is_group else {f"{prefix}{name}": value}
    return fields


@functools.cache
def default_fields() -> Mapping[str, Any]:
    """Return the value of every field in configs/loso.py by its dotted name: {"training.steps": 0, ...}."""
    return _fields_of(CONFIGS_DIR / "loso.py")


@functools.cache
def field_comments() -> Mapping[str, str]:
    """Return the comment of every field in configs/loso.py: at the end of its line, else on the lines above."""
    comments, above = {}, list[str]()
    for line in (CONFIGS_DIR / "loso.py").read_text(encoding="utf-8").splitlines():
        if field := _FIELD.fullmatch(line):
            comments[field[1]] = field[2] or " ".join(above)
        comment = _COMMENT.fullmatch(line)
        above = [*above, comment[1]] if comment else []
    return MappingProxyType(comments)


def repeat_command(fields: Mapping[str, Any], workdir: str) -> str:
    """Return the command of ``main`` that trains with these fields: the most similar installed config, and differences.

    Args:
        fields: the value of every field by its dotted name.
        workdir: the folder of the new run.
    """
    changes: dict[str, dict[str, Any]] = {}
    is_compared = fields.get("method", ICEGAN) != ICEGAN
    for path in sorted(CONFIGS_DIR.glob("[a-z]*.py")):
        if (path.name == _BASELINES) != is_compared:
            continue
        installed = _fields_of(path, *((str(fields["method"]),) if path.name == _BASELINES else ()))
        changes[path.name] = {name: value for name, value in fields.items() if not is_equal(value, installed.get(name))}
    name = min(changes, key=lambda name: len(changes[name]))
    options = [f"--config=configs/{name}", f"--workdir={workdir}"]
    if name == _BASELINES:
        options.append(f"--config.method={fields['method']}")
    for field, value in changes[name].items():
        options.append(f"--config.{field}={tuple(value) if isinstance(value, list) else value}")
    return f"python -m icegan_jax.main {shlex.join(options)}"


def is_equal(value: Any, other: Any) -> bool:
    """Return whether two values of a field are equal; config.json has lists in place of tuples."""
    return bool((tuple(value) if isinstance(value, list) else value) == other)


@functools.cache
def _fields_of(path: Path, *arguments: str) -> Mapping[str, Any]:
    return MappingProxyType(flatten(runpy.run_path(str(path))["get_config"](*arguments)))
