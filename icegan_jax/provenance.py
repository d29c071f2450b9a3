"""config.json of a run directory: the settings, data and package versions that a run began with.

A later start of the run compares its own with the file, and refuses to continue where a difference changes the results
(docs/determinism.md). The file holds every field of the config, ``data_fingerprint``, ``code`` (see
``package_versions``), a checksum, and notes that are never compared: the run's ``id``, when it ``started``,
``git_commit``, and ``resumed`` (the differences that --force_resume accepted).
"""

import json
import subprocess
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from icegan_jax import __version__
from icegan_jax.config import validate
from icegan_jax.config_fields import NOT_FIELDS, NOTES, flatten
from icegan_jax.errors import UserError, not_writable_error
from icegan_jax.io import read_json_with_checksum, write_json_with_checksum
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
    **{f"code.{package}": "rounding may differ" for package in PACKAGES},
    "code.icegan_jax": "if the new version computes the same",  # the program cannot check the condition
}

_GIT_TIMEOUT_S = 10.0


def package_versions() -> dict[str, str]:
    """Return the versions of icegan_jax and of the packages that it computes with."""
    return {"icegan_jax": __version__, **{name: metadata.version(name) for name in PACKAGES}}


def git_commit() -> str:
    """Return the commit of the code's git repository, with " modified" for uncommitted changes; else an empty text."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True).stdout

    try:
        # An installed package inside the repository of another project is not tracked there.
        if not git("ls-files", Path(__file__).name):
            return ""
        modified = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD").strip() + " modified" * bool(modified)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):  # no git, no repository, no commit yet
        return ""


def write_or_compare_config(config: ConfigDict, fingerprint: str, workdir: Path, force: bool) -> str:
    """Write config.json of a new run directory, or compare the existing file with this start.

    Args:
      config: A valid config.
      fingerprint: The fingerprint of the prepared data.
      workdir: The run directory.
      force: Accept harmless differences, and add them to the file.

    Returns:
      The run's id, 32 hexadecimal digits.

    Raises:
      UserError: There are differences (a line for each, the remedy last), or the file is damaged, missing from a
        directory with folds, or not writable.
    """
    path, folds = workdir / CONFIG_FILE, workdir / FOLDS_DIR
    content = {**json.loads(config.to_json()), "data_fingerprint": fingerprint, "code": package_versions()}
    notes: dict[str, Any] = {"git_commit": git_commit()}
    if not path.exists():
        if folds.is_dir() and any(folds.iterdir()):
            raise UserError(
                f"{path}: missing, but {folds} holds folds of a run; put the file back from a copy, or choose another "
                "--workdir"
            )
        notes |= {"id": uuid.uuid4().hex, "started": _now()}
    else:
        stored, _ = _read(path)
        notes |= {name: stored[name] for name in ("id", "started") if name in stored}
        changed = differences(stored, content)
        if not changed:
            return str(notes["id"])
        if not force or not changed.keys() <= HARMLESS.keys():
            raise UserError(*_refusal(path, changed))
        notes["resumed"] = [*stored.get("resumed", []), {"when": _now(), "changed": changed}]
        print(f"warning: {path}: the run continues with {', '.join(map(_describe, changed.items()))}", file=sys.stderr)
    try:
        write_json_with_checksum(path, {**content, **notes})
    except OSError as error:
        raise not_writable_error(workdir, error) from None
    return str(notes["id"])


def read_run_config(workdir: Path) -> tuple[str, ConfigDict]:
    """Return the id and the config of a run.

    Raises:
      UserError: ``workdir`` is not a run directory, or config.json cannot be read, is damaged, or is of a version of
        icegan_jax with other fields.
    """
    if not workdir.is_dir():
        raise UserError(f"{workdir}: no such run directory; give --workdir of a run that main trained")
    path = workdir / CONFIG_FILE
    if not path.exists():
        raise UserError(f"{workdir}: not a run directory: it has no {CONFIG_FILE}; give one that main trained")
    stored, config = _read(path)
    return str(stored["id"]), config


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the fields with two values of two config.json, by dotted name; a missing value is None."""
    before, now = flatten(old), flatten(new)
    return {
        name: (before.get(name), now.get(name))
        for name in {**now, **before}
        if name not in NOTES and before.get(name) != now.get(name)
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _refusal(path: Path, changed: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Return the lines of the message about differences."""
    lines = [
        f"  {_describe(item)}" + (f" (harmless: {HARMLESS[item[0]]})" if item[0] in HARMLESS else "")
        for item in changed.items()
    ]
    remedy = "repeat the old command with the old versions, or choose another --workdir"
    if changed.keys() <= HARMLESS.keys():
        remedy += ", or accept the harmless differences with --force_resume"
    return [f"{path}: the run began with another configuration:", *lines, remedy]


def _describe(change: tuple[str, tuple[Any, Any]]) -> str:
    name, (old, new) = change
    return f"{name}: {old!r} -> {new!r}"


def _read(path: Path) -> tuple[dict[str, Any], ConfigDict]:
    """Return the content of config.json without its checksum, and the config in it.

    Raises:
      UserError: The file is damaged, or of a version of icegan_jax whose config has other fields.
    """
    try:
        stored = read_json_with_checksum(path)
    except UserError as error:
        raise UserError(
            f"{error}; the run cannot be used without the settings that it began with: put the file back from a copy, "
            "or choose another --workdir"
        ) from None
    config = ConfigDict({name: value for name, value in stored.items() if name not in NOT_FIELDS})
    try:
        validate(config)
    except UserError as error:
        version = stored.get("code", {}).get("icegan_jax", "an older version")
        raise UserError(f"{path}: of icegan_jax {version} ({error}); install that version, or train again") from None
    return stored, config
