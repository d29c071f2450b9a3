"""Unusual and damaged config files and command lines: refused in one line, or usable for training."""

import functools
import random
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from icegan_jax.config import FIELDS, build_models, build_train_config, load_config, split_changes, validate
from icegan_jax.errors import UserError
from icegan_jax.training.state import create_state
from tests.fuzz.harness import CaseResult, damage_bytes

ROOT = Path(__file__).parents[2]
BASES = ("demo", "loso", "loso_pair", "released", "sde")
VALUES = (
    "0", "1", "2", "-1", "3", "16", "32", "64", "0.5", "1e-3", "1.0", "1e300", "1e-320", "nan", "inf", "-inf", "1e400",
    "True", "False", "None", "true", "''", "'loso'", "'split'", "'Apex'", "pair", "grm", "none", "dcgan", "cnn", "()",
    "(8,)", "(8, 0)", "[8, 9]", "{}", "(1.5,)", "abc", "", " ", "99999999999", "2147483647", "9" * 5000, "'\\n'",
    "a\nb", "\0", "\u202e", "\ud800", "1_000", "0x10", "٤", "--", "=", "=1", "*",
    "'; import os; os._exit(1)", "(" * 3000,
)  # fmt: skip
TRACED = 0.3  # share of the accepted cases whose networks are traced as well, which takes a second
SMALL = {"image_size": 32, "width": 1 / 32, "embedding": 4, "reconstruction_width": 1 / 64, "routing_iterations": 1}


def case(rng: random.Random, folder: Path, result: CaseResult) -> None:
    path = ROOT / f"configs/{rng.choice(BASES)}.py"
    arguments: list[str] = []
    named = ["config.", "--config", "--noconfig"]
    if rng.random() < 0.5:
        path, result.kind = _file(rng, folder)
        named.append(path.name)
    else:
        result.kind = "flags"
    if result.kind == "flags" or rng.random() < 0.2:
        arguments = [_flag(rng) for _ in range(rng.choice((1, 1, 2)))]
    try:
        others, changes = split_changes(arguments)
        result.require(
            all("config." not in other.split("=")[0] for other in others), f"a change was not parsed: {others}"
        )
        config = load_config(str(path), changes)
        validate(config)
    except UserError as error:
        return result.record_refusal(error, *named)
    _agrees(config, changes, result)
    _used(rng, config, result)
    return None


def _flag(rng: random.Random) -> str:
    name = _name(rng)
    form = rng.choice(("--config.{}={}", "--config.{}={}", "-config.{}={}", "--config.{}", "--noconfig.{}"))
    return form.format(name, _value(rng, name))


def _value(rng: random.Random, name: str) -> str:
    """Return any value, or, equally often, a valid one."""
    field = FIELDS.get(name)
    if field is None or rng.random() < 0.5:
        return rng.choice(VALUES)
    requirement = field.rules[0][1] if field.rules else ""
    if requirement.startswith("one of "):
        return rng.choice(requirement.removeprefix("one of ").split(", "))
    kinds = {
        "a whole number": "1 2 32 64",
        "a number": "0.1 0.5 0.03125",
        "text": "x relu1_1",
        "a tuple": "(8,) 8 (8,9)",
    }
    return rng.choice(kinds.get(field.kind, "True False").split(" "))


def _name(rng: random.Random) -> str:
    """Return mostly a field, else a name with a letter removed, doubled or replaced, or another text."""
    name = rng.choice(list(FIELDS))
    if rng.random() < 0.7:
        return name
    at = rng.randrange(len(name))
    return rng.choice(
        (
            name[:at] + name[at + 1 :],
            name[:at] + name[at] + name[at:],
            name[:at] + rng.choice("abcxyz._- \n\0é") + name[at + 1 :],
            name.rpartition(".")[2],
            name.partition(".")[0],
            name + ".x",
            "x" * 5000,
            "",
        )
    )


def _file(rng: random.Random, folder: Path) -> tuple[Path, str]:
    """Write a config file; return its path and the kind of change."""
    path = folder / "mine.py"
    kind = rng.choice(("assigned", "assigned", "deleted", "raw value", "bytes", "other content"))
    base = rng.choice(BASES)
    group, _, name = rng.choice([field for field in FIELDS if "." in field]).rpartition(".")
    value = rng.choice(VALUES)
    field = _name(rng)
    sound = _value(rng, field)
    quoted = repr(sound) if field in FIELDS and FIELDS[field].kind == "text" else sound
    lines = {
        "assigned": f"config.{field} = {quoted}",
        "deleted": f"del config.{group}.{name}" if rng.random() < 0.7 else f"del config.{group}",
        "raw value": f"with config.{group}.ignore_type(): config.{group}.{name} = {value}",
    }
    text = f"from configs import {base}\n\n\ndef get_config():\n    config = {base}.get_config()\n"
    text += f"    {lines.get(kind, 'config.seed = 1')}\n    return config\n"
    data = text.encode("utf-8", "replace")
    if kind == "bytes":
        _, data = damage_bytes(rng, data)
    if kind == "other content":
        data = rng.choice(
            (
                b"get_config = 5",
                b"def get_config(): return {}",
                b"def get_config(): return 5",
                b"def get_config(): raise KeyError('a')",
                b"def get_config(): return get_config()",
                b"def get_config(x): return x",
                b"class get_config: pass",
                b"import sys; sys.exit('bye')",
                b"raise KeyboardInterrupt2",
                b"from ml_collections import ConfigDict as get_config",
                b"from ml_collections import ConfigDict\ndef get_config(): return ConfigDict({1: 2})",
                b"\xff\xfe",
            )
        )
    path.write_bytes(data)
    return path, f"file: {kind}"


def _agrees(config: ConfigDict, changes: list[str], result: CaseResult) -> None:
    """Check that the last change is in the config."""
    for name, text in {change.removeprefix("--config.").partition("=")[::2] for change in changes[-1:]}:
        value: Any = functools.reduce(lambda part, step: part[step], name.split("."), config)
        same = str(value) == text.strip() or str(value).casefold() == text.strip().casefold()
        if not same:
            try:
                same = value == eval(text, {}, {"nan": None, "true": True, "false": False})  # of VALUES alone
            except Exception:
                same = False
        result.require(same or value == (text,) or [value] == [text], f"{name}={text!r} became {value!r}")


def _used(rng: random.Random, config: ConfigDict, result: CaseResult) -> None:
    try:
        train_config = build_train_config(config, num_pairs=100, num_folds=5, num_devices=1)
        result.require(0 < train_config.steps_per_call <= train_config.steps < 2**31, f"{train_config}")
        models = build_models(config, train_config.steps)
    except UserError as error:
        return result.record_refusal(error, "config.", "loss.perceptual")
    if rng.random() < TRACED:
        with config.unlocked():
            config.model.update({name: value for name, value in SMALL.items() if rng.random() < 0.9})
        models = build_models(config, train_config.steps)
        shapes = jax.eval_shape(functools.partial(create_state, models), jax.random.key(0))
        result.require(all(0 not in leaf.shape for leaf in jax.tree.leaves(shapes.d_params)), "an empty layer")
    return None
