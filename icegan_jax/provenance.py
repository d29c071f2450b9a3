"""config.json of a run directory: the settings, data and package versions that a run began with.

A later start of the run compares its own with the file, and refuses to continue where a difference changes the results
(docs/determinism.md). The file holds every field of the config, ``data_fingerprint``, the run's ``id``, ``code`` (see
``package_versions``), ``git_commit`` (a note that is never compared), ``resumed`` (the differences that --force_resume
accepted) and a checksum.
"""

import json
import math
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from icegan_jax import __version__
from icegan_jax.errors import UserError, not_writable_error
from icegan_jax.io import has_valid_checksum, without_checksum, write_json_with_checksum
from icegan_jax.run_dir import CONFIG_FILE, FOLDS_DIR

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")

# Fields that may change in the middle of a run, each with the reason: no number is computed differently, but for
# rounding. Not among them is evaluation.selection, which would choose the reported numbers after some of them were
# seen (results.json has both choices anyway).
HARMLESS = {
    "data.dir": "the same faces in another folder",  # other faces have another data_fingerprint
    "training.checkpoint_every": "when to save",
    "training.steps_per_call": "updates per call of the program; rounding may differ",
    "training.folds_per_device": "which folds train side by side; rounding differs",
    "training.parallel": "how devices share the work; rounding differs",
    "training.on_nonfinite": "what to do about numbers that are not finite",
    "training.collapse_after": "when to warn",
    "evaluation.oracle": "an additional score",
}
_OTHER_VERSION = "if the new version computes the same"  # of icegan_jax: the program cannot check the condition
_OTHER_PACKAGE = "rounding may differ"  # of other packages

_NOTES = ("id", "git_commit", "resumed")  # keys of config.json that are not compared
_CODE_PREFIX = "code."

_MAX_SHOWN = 100  # characters of a value in a message; a fingerprint has 64
_GIT_TIMEOUT_S = 10.0


class _Missing:
    """The value of a field on the side that does not have the field."""

    def __repr__(self) -> str:
        return "missing"


_MISSING = _Missing()


class Difference(NamedTuple):
    """One field with two values.

    Attributes:
      field: Dotted name.
      old: The value in config.json.
      new: The value of this start.
    """

    field: str
    old: object
    new: object

    @property
    def why_harmless(self) -> str:
        """The reason why --force_resume accepts the difference; empty where it does not."""
        if self.field.startswith(_CODE_PREFIX):
            return _OTHER_VERSION if self.field == "code.icegan_jax" else _OTHER_PACKAGE
        return HARMLESS.get(self.field, "")

    def __str__(self) -> str:
        return f"{self.field}: {_show(self.old)} -> {_show(self.new)}"


def package_versions() -> dict[str, str]:
    """Return the versions of icegan_jax and of the packages that it computes with."""
    return {"icegan_jax": __version__, **{name: metadata.version(name) for name in PACKAGES}}


def git_commit() -> str:
    """Return the commit of the code's git repository, with " modified" for uncommitted changes; else an empty text."""
    package = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True).stdout

    try:
        # An installed package inside the repository of another project is not tracked there.
        if not git("ls-files", Path(__file__).name):
            return ""
        modified = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD").strip() + " modified" * bool(modified)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):  # no git, no repository, no commit yet
        return ""


def write_or_compare_config(config: Mapping[str, Any], fingerprint: str, workdir: Path, force: bool) -> str:
    """Write config.json of a new run directory, or compare the existing file with this start.

    Args:
      config: All fields, as JSON has them.
      fingerprint: The fingerprint of the prepared data.
      workdir: The run directory.
      force: Accept harmless differences, and add them to the file.

    Returns:
      The run's id, 32 hexadecimal digits.

    Raises:
      UserError: There are differences (a line for each, the remedy last), or the file is damaged, missing from a
        directory with folds, or not writable.
    """
    path = workdir / CONFIG_FILE
    current = {**_to_json_types(config), "data_fingerprint": fingerprint, "code": package_versions()}
    notes = {"git_commit": git_commit()}
    stored = _read(path)
    if stored is None:
        _refuse_folds_without_config(workdir)
        run_id = uuid.uuid4().hex
        _write(path, {**current, **notes, "id": run_id})
        return run_id
    run_id = str(stored["id"])
    found = differences(stored, current)
    if not found:
        return run_id
    if not force or not all(difference.why_harmless for difference in found):
        raise UserError(*_refusal(path, found, force))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    changed = {field: [_to_null(old), _to_null(new)] for field, old, new in found}
    resumed = [*stored.get("resumed", []), {"when": now, "changed": changed}]
    _write(path, {**current, **notes, "id": run_id, "resumed": resumed})
    print(f"warning: {path}: the run continues with {', '.join(map(str, found))}", file=sys.stderr, flush=True)
    return run_id


def read_run_config(workdir: Path) -> dict[str, Any]:
    """Return the content of config.json: the fields of the config, ``data_fingerprint``, ``id``, ``code`` and notes.

    Raises:
      UserError: ``workdir`` is not a run directory, or the file cannot be read or is damaged.
    """
    if not workdir.is_dir():
        raise UserError(f"{workdir}: no such run directory; give --workdir of a run that main trained")
    stored = _read(workdir / CONFIG_FILE)
    if stored is None:
        raise UserError(f"{workdir}: not a run directory: it has no {CONFIG_FILE}; give one that main trained")
    return stored


def config_fields(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return only the fields of the config from the content of config.json."""
    return {name: value for name, value in stored.items() if name not in (*_NOTES, "data_fingerprint", "code")}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Return the differences of two config.json, in the order of ``new``; fields that only ``old`` has come last."""
    before, now = _compared_fields(old), _compared_fields(new)
    return [
        Difference(field, before.get(field, _MISSING), now.get(field, _MISSING))
        for field in {**now, **before}
        if field not in before or field not in now or before[field] != now[field]
    ]


def _compared_fields(content: Mapping[str, Any]) -> dict[str, object]:
    fields = {name: value for name, value in _flatten(content).items() if name not in _NOTES}
    if isinstance(version := fields.get("code.icegan_jax"), str):
        fields["code.icegan_jax"] = version.partition("+")[0]  # earlier versions appended a checksum of the sources
    return fields


def _refusal(path: Path, found: Sequence[Difference], force: bool) -> list[str]:
    """Return the lines of the message."""
    lines = [
        f"  {difference}" + (f" (harmless: {difference.why_harmless})" if difference.why_harmless else "")
        for difference in found
    ]
    num_versions = sum(difference.field.startswith(_CODE_PREFIX) for difference in found)
    undo = ["repeat the old command"] * (num_versions < len(found)) + ["install the old versions"] * bool(num_versions)
    remedies = [" and ".join(undo), "choose another --workdir"]
    if all(difference.why_harmless for difference in found):
        remedies.append("accept the harmless differences with --force_resume")
    elif force:
        remedies[0] = "--force_resume accepts only harmless differences: " + remedies[0]
    remedy = ", ".join(remedies[:-1]) + ", or " + remedies[-1]
    return [f"{path}: the run began with another configuration:", *lines, remedy]


def _refuse_folds_without_config(workdir: Path) -> None:
    """Raise a UserError if the run directory has folds but no config.json: their settings are unknown."""
    folds = workdir / FOLDS_DIR
    count = len(list(folds.iterdir())) if folds.is_dir() else 0
    if count:
        raise UserError(
            f"{workdir / CONFIG_FILE}: missing, but {folds} holds {count} fold{'s' * (count > 1)} of a run; "
            "put it back from a copy, or choose another --workdir"
        )


def _read(path: Path) -> dict[str, Any] | None:
    """Return the content of the file without its checksum; None if there is no file.

    Raises:
      UserError: The file cannot be read or is damaged.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); make it readable") from None
    except (ValueError, RecursionError):
        raise _damaged(path, "not JSON") from None
    if not isinstance(content, dict):
        raise _damaged(path, "not a JSON object")
    if not re.fullmatch("[0-9a-f]{32}", str(content.get("id"))):
        raise _damaged(path, "without the run's id: of an older version, or damaged")
    if not has_valid_checksum(content):
        raise _damaged(path, "the checksum does not match: damaged, or changed by hand")
    return without_checksum(path, content)


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(
        f"{path}: {reason}; the run cannot continue without the settings that it began with: "
        "put the file back from a copy, or choose another --workdir"
    )


def _write(path: Path, content: Mapping[str, Any]) -> None:
    try:
        write_json_with_checksum(path, content)
    except OSError as error:
        raise not_writable_error(path.parent, error) from None


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in tree.items():
        flat |= _flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _to_json_types(value: Any) -> Any:
    """Return a value as JSON gives it back; NaN and infinity, which JSON does not have, become text."""
    if isinstance(value, Mapping):
        return {str(name): _to_json_types(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json_types(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _show(value: object) -> str:
    """Return a value on one line; of a very long one both ends."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN // 2]}...{text[-_MAX_SHOWN // 2 :]}"


def _to_null(value: object) -> object:
    return None if value is _MISSING else value
