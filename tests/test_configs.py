"""Every configuration loads, is valid, keeps its types, and has no unused field."""

import dataclasses
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict

from icegan_jax import train
from icegan_jax.config import FIELDS, build_models, build_train_config, validate
from tests.training import tiny

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "configs").glob("*.py") if path.stem != "__init__")


def load(name: str) -> ConfigDict:
    config = importlib.import_module(f"configs.{name}").get_config()
    assert isinstance(config, ConfigDict)
    return config


def fields(config: ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield fields by dotted name: ("model.width", 1.0), ..."""
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from fields(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def test_the_configurations_are_found() -> None:
    assert {"loso", "loso_pair", "demo", "released"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_is_valid(name: str) -> None:
    config = load(name)
    validate(config)
    train_config = build_train_config(config, num_pairs=2210, num_folds=68, num_devices=1)
    models = build_models(config, train_config.steps)
    assert (models.perceptual is not None) == (config.loss.perceptual > 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_variant_has_the_fields_of_the_base(name: str) -> None:
    """A misspelt field in a variant would be a new one."""
    base, variant = dict(fields(load("loso"))), dict(fields(load(name)))
    assert variant.keys() == base.keys()
    assert {field: type(value) for field, value in variant.items()} == {f: type(v) for f, v in base.items()}


def test_the_table_of_fields_is_that_of_the_base() -> None:
    base = dict(fields(load("loso")))
    kinds = {bool: "True or False", int: "a whole number", float: "a number", str: "text", tuple: "a tuple"}
    assert {field: kinds[type(value)] for field, value in base.items()} == {name: f.kind for name, f in FIELDS.items()}


@pytest.mark.parametrize("name", NAMES)
def test_get_config_returns_a_new_config_each_time(name: str) -> None:
    load(name).training.steps = 12345
    assert load(name).training.steps != 12345


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_has_the_command(name: str) -> None:
    header = importlib.import_module(f"configs.{name}").__doc__ or ""
    assert f"python -m icegan_jax.main --config=configs/{name}.py --workdir=" in header


@pytest.mark.parametrize("name", NAMES)
def test_a_field_keeps_its_type_and_its_name(name: str) -> None:
    config = load(name)
    config.lock()  # as the command line's flag does
    with pytest.raises(TypeError):
        config.training.steps = "many"
    with pytest.raises(TypeError):
        config.generator.motion = "yes"
    with pytest.raises(AttributeError):
        config.training.stepz = 1


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``train_and_evaluate`` uses every field; validation and config.json do not count."""
    config = load(name)
    config.model.image_size = tiny.SIZE
    parts = {id(config): ""}
    pending = [(config, "")]
    while pending:
        part, prefix = pending.pop()
        for field, value in part.items():
            if isinstance(value, ConfigDict):
                parts[id(value)] = f"{prefix}{field}."
                pending.append((value, f"{prefix}{field}."))

    read = set()
    lookup = ConfigDict.__getitem__

    def record(part: ConfigDict, field: str) -> Any:
        if id(part) in parts:
            read.add(parts[id(part)] + field)
        return lookup(part, field)

    pairs = tiny.pairs()
    pairs = dataclasses.replace(pairs, dataset=np.full(len(pairs.label), config.data.database or "tiny"))
    for function in (
        "prepare_procedural",
        "train_folds",
        "finalize_run",
        "_to_json",
        "read_json_with_checksum",
        "write_or_compare_config",
        "_check_finished_folds",
    ):
        monkeypatch.setattr(train, function, lambda *_, **__: None)
    monkeypatch.setattr(train, "validate", lambda _: None)
    monkeypatch.setattr(train, "load_pairs", lambda _: pairs)
    monkeypatch.setattr(train, "is_finished", lambda *_: True)
    with monkeypatch.context() as patched:
        patched.setattr(ConfigDict, "__getitem__", record)
        train.train_and_evaluate(config, tmp_path)
    if config.data.dir:  # the procedural faces' fields are for the configurations that draw them
        read |= {field for field, _ in fields(config) if field.startswith("data.procedural.")}
    expected = {field for field, _ in fields(config)}
    if config.training.steps:
        expected.discard("training.epochs")  # steps override them
    if config.discriminator.kind == "capsules":
        expected.discard("discriminator.cnn_width")  # of the other kind
    assert expected <= read
