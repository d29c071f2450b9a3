"""Which code trains: its version, a checksum of its sources, and the packages that it computes with.

config.json of a run directory: what a run began with, which a later start must not change unnoticed.

It holds every field of the config, ``data_fingerprint`` of the faces, the run's ``id``, ``code`` (see ``code_version``)
and, of starts that were forced to go on with something else, ``resumed``. It is sealed against damage.
"""

import hashlib
import json
import math
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from icegan_jax import __version__
from icegan_jax.errors import UserError
from icegan_jax.io import has_valid_checksum, without_checksum, write_json_with_checksum
from icegan_jax.locks import not_writable_error
from icegan_jax.run_dir import CONFIG_FILE

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")

# What decides on the numbers that training computes and predictions hold. The rest of data/ only prepares the faces,
# which have a fingerprint of their own; evaluation/ and reporting/ read what training left.
_SOURCES = (
    "models",
    "training",
    "data/clips.py",
    "data/dataset.py",
    "data/folds.py",
    "data/pipeline.py",
    "evaluation/predictions.py",
    "config.py",
)

# Of those, what says who trains a fold and what people read meanwhile: never a number.
_LEFT_OUT = {f"training/{name}.py" for name in ("distributed", "prefetch", "parameters")} | {
    "training/check_processes.py"
}

_DIGITS = 12  # of the checksum: two versions of a program never share 48 bits by chance


def code_version() -> dict[str, str]:
    """Of this program, ``VERSION+CHECKSUM``, and of each package that it computes with."""
    checksum = source_checksum(Path(__file__).parent)[:_DIGITS]
    return {"icegan_jax": f"{__version__}+{checksum}", **{name: metadata.version(name) for name in PACKAGES}}


def source_checksum(package: Path) -> str:
    """sha256 over the sources that decide what is trained: their paths and lines, in hexadecimal.

    Line endings, which git may change on its way to another machine, make no difference.

    Args:
      package: the folder icegan_jax.
    """
    paths = [path for source in _SOURCES for path in [package / source, *(package / source).rglob("*.py")]]
    names = {path.relative_to(package).as_posix(): path for path in paths if path.is_file()}
    checksum = hashlib.sha256()
    for name in sorted(names.keys() - _LEFT_OUT):
        lines = names[name].read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # The name and its length before the lines: no line can move from one file to the next unnoticed.
        checksum.update(f"{name}\0{len(lines)}\0".encode() + lines)
    return checksum.hexdigest()


_ABOUT = ("id", "resumed")  # of the file, no choice of the user's

_LONGEST = 100  # characters of a value that a message shows; a fingerprint has 64

# What may change in the middle of a run, and why: no number is computed differently, but for rounding. Not among them:
# training.steps_per_call, which rounds the number of steps and so the learning rate of each, and evaluation.selection,
# which would choose the reported numbers after some of them were seen (results.json shows both choices anyway).
HARMLESS = {
    "data.dir": "the same faces in another place",  # other faces have another data_fingerprint
    "training.checkpoint_every": "when to save",
    "training.folds_per_device": "which folds train side by side; rounding differs",
    "training.parallel": "what devices share out; rounding differs",
    "training.on_nonfinite": "what to do about numbers that go wrong",
    "training.collapse_after": "when to warn",
    "evaluation.oracle": "a score that stands apart",
}

_OTHER_CODE = "if the new code computes the same"  # of code.icegan_jax, which only its user can know

_OTHER_PACKAGE = "rounding may differ"  # of the other code.*


class _Absent:
    """The value of a field on the side that does not have it."""

    def __repr__(self) -> str:
        return "not there"


_ABSENT = _Absent()


class Difference(NamedTuple):
    """One field that is not as it was.

    Attributes:
      field: dotted name.
      old: its value in config.json.
      new: its value now.
    """

    field: str
    old: object
    new: object

    @property
    def why_harmless(self) -> str:
        """Why --force_resume accepts it; empty where it does not."""
        if self.field.startswith("code."):
            return _OTHER_CODE if self.field == "code.icegan_jax" else _OTHER_PACKAGE
        return HARMLESS.get(self.field, "")

    def __str__(self) -> str:
        return f"{self.field}: {_shown(self.old)} -> {_shown(self.new)}"


def write_or_compare_config(config: Mapping[str, Any], fingerprint: str, workdir: Path, force: bool) -> str:
    """Writes config.json of a new run directory; goes on with an old one only where nothing that matters has changed.

    Args:
      config: all its fields, as JSON has them.
      fingerprint: of the data.
      workdir: the run directory.
      force: goes on with what is harmless, and notes it in the file.

    Returns:
      The run's id.

    Raises:
      UserError: something differs (a line for each, the remedy last), or the file is damaged, missing or not writable.
    """
    path = workdir / CONFIG_FILE
    mine = {**_plain(config), "data_fingerprint": fingerprint, "code": code_version()}
    stored = _read(path)
    if stored is None:
        _refuse_orphans(workdir)
        run = uuid.uuid4().hex
        _write(path, mine | {"id": run})
        return run
    found = differences(stored, mine)
    if not found:
        return str(stored["id"])
    if not force or not all(each.why_harmless for each in found):
        raise UserError(*_refusal(path, found, force))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    changed = {each.field: [_or_null(each.old), _or_null(each.new)] for each in found}
    resumed = [*stored.get("resumed", []), {"when": now, "changed": changed}]
    _write(path, mine | {"id": stored["id"], "resumed": resumed})
    print(f"warning: {path}: the run goes on with {', '.join(map(str, found))}", file=sys.stderr, flush=True)
    return str(stored["id"])


def read_run_config(workdir: Path) -> dict[str, Any]:
    """What a run began with: config.json, with ``id``, ``code`` and ``data_fingerprint`` beside the fields.

    Raises:
      UserError: it is no run directory, or the file cannot be read or is damaged.
    """
    if not workdir.is_dir():
        raise UserError(f"{workdir}: no such run directory; give --workdir of a run that main trained")
    stored = _read(workdir / CONFIG_FILE)
    if stored is None:
        raise UserError(f"{workdir}: not a run directory: it has no {CONFIG_FILE}; give one that main trained")
    return stored


def config_fields(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the config alone, out of ``began_with``."""
    return {name: value for name, value in stored.items() if name not in (*_ABOUT, "data_fingerprint", "code")}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """What differs between two config.json, in the order of the new one; what only the old one has comes last."""
    before, now = _flat(old), _flat(new)
    return [
        Difference(field, before.get(field, _ABSENT), now.get(field, _ABSENT))
        for field in {**now, **before}
        if field not in _ABOUT and (field not in before or field not in now or before[field] != now[field])
    ]


def _refusal(path: Path, found: Sequence[Difference], force: bool) -> list[str]:
    """The lines of the message."""
    lines = [f"  {each}" + (f" (harmless: {each.why_harmless})" if each.why_harmless else "") for each in found]
    code = [each for each in found if each.field.startswith("code.")]
    back = ["repeat the old command"] * (len(code) < len(found)) + ["go back to the old code"] * bool(code)
    remedies = [" and ".join(back), "choose another --workdir"]
    if all(each.why_harmless for each in found):
        remedies.append("accept what is harmless with --force_resume")
    elif force:
        remedies[0] = "--force_resume accepts nothing but what is harmless: " + remedies[0]
    remedy = ", ".join(remedies[:-1]) + ", or " + remedies[-1]
    return [f"{path}: the run began with another configuration:", *lines, remedy]


def _refuse_orphans(workdir: Path) -> None:
    """Raises UserError where folds lie in a run directory without config.json: nobody knows what trained them."""
    folds = workdir / "folds"
    left = sorted(path.name for path in folds.iterdir()) if folds.is_dir() else []
    if left:
        raise UserError(
            f"{workdir / CONFIG_FILE}: missing, but {folds} holds {len(left)} fold{'s' * (len(left) > 1)} of a run; "
            "put it back from a copy, or choose another --workdir"
        )


def _read(path: Path) -> dict[str, Any] | None:
    """The file without its seal; None where there is none.

    Raises:
      UserError: it cannot be read or is damaged.
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
        raise _damaged(path, "not as the run wrote it: damaged, or changed by hand")
    return without_checksum(path, content)


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"{path}: {why}; it tells what the run began with, so that the run cannot go on without it: "
        "put it back from a copy, or choose another --workdir"
    )


def _write(path: Path, content: Mapping[str, Any]) -> None:
    try:
        write_json_with_checksum(path, content)
    except OSError as error:
        raise not_writable_error(path.parent, error) from None


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _plain(value: Any) -> Any:
    """A value as strict JSON gives it back: NaN and infinity, which it does not have, as words."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _shown(value: object) -> str:
    """A value on one line; of a very long one both ends."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 2 :]}"


def _or_null(value: object) -> object:
    return None if value is _ABSENT else value
