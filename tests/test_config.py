"""The config: its files, its checks, and the networks and training settings that are built from it."""

import dataclasses
import importlib
import inspect
import json
import math
import re
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import optax
import pytest
from ml_collections import ConfigDict

from configs import demo, loso
from icegan_jax.config import DISCRIMINATORS, build_models, build_train_config, load_config, validate
from icegan_jax.config_fields import CONFIGS_DIR, default_fields, field_comments, flatten, repeat_command
from icegan_jax.errors import UserError
from icegan_jax.models.discriminator import ConvolutionalDiscriminator
from icegan_jax.models.generator import Generator
from icegan_jax.models.perceptual import load_perceptual_network
from icegan_jax.training.state import LossWeights, Models, TrainConfig
from tests.in_process import run_main

NAMES = sorted(path.stem for path in CONFIGS_DIR.glob("[a-z]*.py"))
FILE = "from configs import loso\n\ndef get_config():\n    config = loso.get_config()\n    {}\n    return config\n"


def changed(fields: dict[str, Any]) -> ConfigDict:
    config = loso.get_config()
    config.update_from_flattened_dict(fields)
    return config


def refusal(config: ConfigDict) -> str:
    with pytest.raises(UserError) as caught:
        validate(config)
    return str(caught.value)


def module_fields(*modules: Any, without: tuple[str, ...] = ()) -> set[str]:
    names = {field.name for module in modules for field in dataclasses.fields(module)}
    return names - {"parent", "name", *without}


def test_the_groups_have_the_fields_of_what_they_build() -> None:
    config = loso.get_config()
    shared = ("width", "dtype", "fixed_spectral_norm", "released_start")
    built = ("generator", "discriminator", "perceptual", "classes", "g_optimizer", "d_optimizer", "weights")
    assert set(config.model) == set(Models._fields) - {*built, "batch_axis"} | {*shared}
    assert set(config.generator) == module_fields(Generator, without=shared)
    without = (*shared, "classes", "batch_axis")
    assert set(config.discriminator) == module_fields(*DISCRIMINATORS.values(), without=without) | {"kind"}
    assert set(config.loss) == set(LossWeights._fields)
    assert set(config.perceptual) == inspect.signature(load_perceptual_network).parameters.keys()
    assert set(config.optimizer) <= inspect.signature(optax.adam).parameters.keys()
    computed = ("seed", "steps_per_epoch", "run")
    fields = module_fields(TrainConfig, without=computed)
    assert {*config.training, *config.augmentation} == fields | {"epochs"}


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_is_valid(name: str) -> None:
    config = load_config(str(CONFIGS_DIR / f"{name}.py"))
    assert config.is_locked
    validate(config)
    train_config = build_train_config(config, num_pairs=2210, num_folds=68, num_devices=1)
    models = build_models(config, train_config.steps)
    assert (models.perceptual is not None) == (config.loss.perceptual > 0)
    header = importlib.import_module(f"configs.{name}").__doc__ or ""
    assert f"python -m icegan_jax.main --config=configs/{name}.py --workdir=" in header


@pytest.mark.parametrize(
    ("field", "value", "requirement"),
    [
        ("model.recognition_input", "both", "one of apex, pair"),
        ("generator.kind", "unet", "one of none, dcgan, encoder_decoder, skips, se, grm"),
        ("loss.margin_power", 3, "one of 2, 1"),
        ("model.image_size", 100, "a power of 2, at least 32"),
        ("model.image_size", 16, "a power of 2, at least 32"),
        ("optimizer.learning_rate", math.nan, "finite"),
        ("optimizer.learning_rate", 0.0, "above 0"),
        ("training.batch_size", 0, "above 0"),
        ("training.steps", -1, "0 or more"),
        ("optimizer.b1", 1.0, "at least 0 and below 1"),
        ("split_share", 1.0, "above 0 and below 1"),
        ("seed", 2**32, f"0 or more and below {2**32}"),  # JAX would drop bits
        ("discriminator.reconstruction_hidden", (512, 0), "whole numbers above 0"),
        ("discriminator.reconstruction_hidden", (1.5,), "whole numbers above 0"),
    ],
)
def test_a_bad_value_is_named_with_its_range(field: str, value: Any, requirement: str) -> None:
    assert refusal(changed({field: value})) == f"config.{field} is {value!r}: it must be {requirement}"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"training.epochs": 0}, "config.training.epochs and config.training.steps are both 0"),
        ({"generator.kind": "dcgan", "generator.motion": True}, "set --config.generator.motion=False"),
        ({"evaluation.selection": "inner", "training.evaluate_every": 10}, "set --config.evaluation.inner_share=0.2"),
        (
            {"evaluation.selection": "inner", "evaluation.inner_share": 0.2},
            "set --config.training.evaluate_every=100",
        ),
        ({"evaluation.oracle": True}, "set --config.training.evaluate_every=100"),
        ({"protocol": "all", "evaluation.selection": "inner"}, "set --config.evaluation.selection=last"),
        ({"protocol": "all", "evaluation.oracle": True}, "set --config.evaluation.oracle=False"),
    ],
)
def test_fields_that_need_each_other(fields: dict[str, Any], words: str) -> None:
    assert words in refusal(changed(fields))


def test_fields_that_need_each_other_and_have_each_other() -> None:
    inner = {"evaluation.selection": "inner", "evaluation.inner_share": 0.2, "evaluation.oracle": True}
    validate(changed({**inner, "training.evaluate_every": 10, "generator.kind": "dcgan"}))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("config.training.stepz = 5", "config.training.stepz: there is no such field; did you mean config.training"),
        ("config.trainning = 5", "config.trainning: there is no such field; did you mean config.training"),
        ("del config.training.steps", "config.training.steps is missing"),
        ("with config.training.ignore_type(): config.training.steps = '5'", "steps is '5': it must be of type int"),
        ("config.training.steps = None", "config.training.steps is None: it must be of type int"),
        ("config.training.steps = 'many'", ", line 5: TypeError: "),
        ("1 / 0", ", line 5: ZeroDivisionError: division by zero; correct the file"),
        ("config.training.steps =", ", line 5: SyntaxError: "),
        ("return dict(config)", "get_config does not return a ConfigDict"),
    ],
)
def test_a_wrong_file_is_named_in_one_line(tmp_path: Path, code: str, words: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILE.format(code))
    with pytest.raises(UserError) as caught:
        load_config(str(path))
    line = str(caught.value)
    assert line.startswith(str(path)) and words in line and line.isprintable()


def test_the_text_after_a_colon_is_passed_to_get_config(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILE.format("config.seed = int(seed)").replace("get_config():", "get_config(seed):", 1))
    assert load_config(f"{path}:12").seed == 12


def test_the_installed_configs_are_used_outside_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config("configs/demo.py").to_dict() == demo.get_config().to_dict()
    with pytest.raises(UserError, match="^--config=configs/nowhere.py: no such file"):
        load_config("configs/nowhere.py")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/demo.py").write_text(FILE.format("config.seed = 5"))
    assert load_config("configs/demo.py").seed == 5  # a file of the user's own comes first


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (
            "--config.training.step=5",
            "config.training.step: there is no such field; did you mean config.training.steps",
        ),
        ("--config.learning_rate=5", "did you mean config.optimizer.learning_rate"),
        ("--config.x=5", "config.x: there is no such field; configs/loso.py has the fields"),
        ("--config.training.steps=many", "--config.training.steps=many: invalid literal for int()"),
        ("--config.generator.motion=maybe", "--config.generator.motion=maybe: "),
        ("--config.training=5", "--config.training=5: "),
        ("--config.training.steps", "Missing value for flag --config.training.steps"),
        ("--config.seed=-1", "config.seed is -1: it must be 0 or more"),
    ],
)
def test_a_wrong_change_on_the_command_line(option: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(["--config=configs/demo.py", "--parameters", option]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and words in error


def test_changes_on_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[ConfigDict] = []
    monkeypatch.setattr("icegan_jax.main.validate", seen.append)
    changes = ["training.steps=7", "model.width=1", "discriminator.reconstruction_hidden=(8, 9)", "data.dir=a=b c"]
    options = [f"--config.{change}" for change in changes]
    assert run_main(["--config=configs/loso_pair.py", "--parameters", *options, "--noconfig.generator.motion"]) == 0
    (config,) = seen
    assert (config.training.steps, config.model.width, config.generator.motion) == (7, 1.0, False)
    assert (config.discriminator.reconstruction_hidden, config.data.dir) == ((8, 9), "a=b c")


def test_a_config_from_json_is_valid() -> None:
    stored = ConfigDict(json.loads(demo.get_config().to_json()))  # with lists for tuples
    validate(stored)
    assert build_models(stored, steps=1).discriminator == build_models(demo.get_config(), steps=1).discriminator


def test_networks_get_the_values_of_the_config() -> None:
    config = demo.get_config()
    config.update_from_flattened_dict({"loss.adversarial": 0.25, "model.noise": 7, "generator.kind": "se"})
    models = build_models(config, steps=10, classes=5)
    assert (models.generator.width, models.generator.motion, models.generator.kind) == (0.125, True, "se")
    assert (models.discriminator.primary_types, models.discriminator.adversarial_dimension) == (4, 32)
    assert (models.recognition_input, models.pair_gain, models.noise) == ("pair", 4.0, 7)
    assert (models.weights.adversarial, models.weights.synthetic_recognition) == (0.25, 0.0)
    assert [layer.name for layer in models.perceptual.layers] == ["relu1"]
    assert models.classes == models.discriminator.classes == 5


def test_networks_of_the_tables() -> None:
    config = demo.get_config()
    fields = {"generator.kind": "none", "discriminator.kind": "cnn", "discriminator.cnn_width": 3.0}
    config.update_from_flattened_dict({**fields, "model.dtype": "bfloat16"})
    models = build_models(config, steps=1)
    assert (models.generator, models.perceptual) == (None, None)
    expected = ConvolutionalDiscriminator(classes=3, width=0.125, cnn_width=3.0, dtype=jnp.dtype(jnp.bfloat16))
    assert models.discriminator == expected


@pytest.mark.parametrize(("field", "value"), [("network", "vgg19"), ("layer", "relu9")])
def test_the_perceptual_network_is_checked_where_it_is_used(field: str, value: str) -> None:
    config = changed({f"perceptual.{field}": value})
    with pytest.raises(UserError, match=re.escape(f"config.perceptual.{field} is {value!r}: ")):
        build_models(config, steps=1)
    config.loss.perceptual = 0.0
    assert build_models(config, steps=1).perceptual is None


def test_the_learning_rate_falls_to_zero_as_a_cosine() -> None:
    models = build_models(changed({"optimizer.learning_rate": 0.5}), steps=4)
    params = jnp.zeros(())
    state = models.g_optimizer.init(params)
    moves = []
    for _ in range(6):
        change, state = models.g_optimizer.update(jnp.ones(()), state, params)
        moves.append(-float(change))
    rates = [0.5 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
    assert moves == pytest.approx([*rates, 0.0, 0.0], rel=1e-4, abs=1e-6)  # constant gradient: Adam's step is the rate


def train_config(**training: Any) -> TrainConfig:
    fields = {f"training.{name}": value for name, value in training.items()}
    return build_train_config(changed(fields), num_pairs=100, num_folds=10, num_devices=4)


def test_the_train_config() -> None:
    built = train_config(epochs=3, batch_size=16, evaluate_every=6)
    assert (built.steps_per_epoch, built.steps, built.steps_per_call) == (7, 21, 6)  # 100 / 16, rounded up
    assert train_config(steps=10, steps_per_call=15).steps_per_call == 10
    assert train_config(folds_per_device=8).folds_per_device == 3  # ten folds on four devices
    assert train_config().folds_per_device == 0  # as many as the memory holds
    shared = train_config(parallel="batch", batch_size=8, folds_per_device=12)
    assert (shared.parallel, shared.folds_per_device) == ("batch", 10)


def test_steps_and_batches_that_are_impossible() -> None:
    with pytest.raises(
        UserError, match=r"config\.training\.batch_size is 10: .+ multiple of the 4 devices, such as 12"
    ):
        train_config(parallel="batch", batch_size=10)
    with pytest.raises(UserError, match=r"5 pairs .+ multiple of the 4 devices; .+resting_share=0\.25"):
        train_config(parallel="batch", batch_size=16, resting_share=0.3)
    with pytest.raises(UserError, match=r"config\.training\.epochs is 2147483647, which are \d+ steps: it must be"):
        train_config(epochs=2**31 - 1)


def test_every_field_has_a_comment() -> None:
    comments = field_comments()
    assert [name for name in default_fields() if not comments.get(name)] == []
    assert comments["optimizer.b1"] == "paper, IV-B"
    assert comments["protocol"].startswith('"loso": each subject') and comments["protocol"].endswith("and scores.")


def test_the_command_that_repeats_a_run_has_the_differences_from_the_most_similar_config() -> None:
    fields = flatten(demo.get_config()) | {"training.steps": 4, "discriminator.reconstruction_hidden": [8, 4]}
    command = repeat_command(fields, "runs/my run")
    assert command == (
        "python -m icegan_jax.main --config=configs/demo.py '--workdir=runs/my run' "
        "'--config.discriminator.reconstruction_hidden=(8, 4)' --config.training.steps=4"
    )
    assert repeat_command(default_fields(), "r") == "python -m icegan_jax.main --config=configs/loso.py --workdir=r"
