"""Errors in a config file or command line: one line with the field, its value and a suggestion."""

import re
from pathlib import Path
from typing import Any

import pytest
from ml_collections import ConfigDict, FrozenConfigDict, config_dict

from configs import demo, loso
from icegan_jax.config import build_train_config, load_config, split_changes, validate
from icegan_jax.errors import UserError

BASE = "from configs import loso\n\ndef get_config():\n    config = loso.get_config()\n    {}\n    return config\n"


def refusal(path: str, *changes: str) -> str:
    """Return the refusal of a config with changes, which is one line of limited length."""
    with pytest.raises(UserError) as caught:
        validate(load_config(path, split_changes(changes)[1]))
    line = str(caught.value)
    assert line.isprintable() and len(line) < 400, line
    return line


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("training.step=5", "config.training.step is '5': there is no such field; did you mean training.steps?"),
        ("trianing.steps=5", "config.trianing.steps is '5': there is no such field; did you mean training.steps?"),
        ("data.dr=x", "config.data.dr is 'x': there is no such field; did you mean data.dir?"),
        ("steps=5", "config.steps is '5': there is no such field; did you mean training.steps?"),
        (
            "model.batch_size=5",
            "config.model.batch_size is '5': there is no such field; did you mean training.batch_size?",
        ),
        ("x=5", "config.x is '5': there is no such field; configs/loso.py has the fields"),
        (
            "training=5",
            "config.training is '5': it is a group of fields; change one of them, such as config.training.epochs",
        ),
        ("seed.x=5", "config.seed.x is '5': there is no such field; did you mean seed?"),
        (
            "training.steps=abc",
            "config.training.steps is 'abc': it must be a whole number, 0 or more, at most 2147483647",
        ),
        (
            "training.steps=5.5",
            "config.training.steps is '5.5': it must be a whole number, 0 or more, at most 2147483647",
        ),
        ("training.steps=99999999999", "config.training.steps is 99999999999: it must be at most 2147483647"),
        ("training.learning_rate=nan", "config.training.learning_rate is nan: it must be finite"),
        (
            "training.learning_rate=x",
            "config.training.learning_rate is 'x': it must be a number, finite, above 0, at most 1e+09",
        ),
        ("model.width=1e300", "config.model.width is 1e+300: it must be at most 100"),
        ("model.image_size=4096", "config.model.image_size is 4096: it must be at most 1024"),
        ("model.motion=maybe", "config.model.motion is 'maybe': it must be True or False"),
        ("protocol=LOSO", "config.protocol is 'LOSO': it must be one of loso, split, all; did you mean loso?"),
        (
            "model.generator=grmm",
            "config.model.generator is 'grmm': it must be one of none, dcgan, encoder_decoder, skips, se, grm; "
            "did you mean grm?",
        ),
        (
            "model.reconstruction_hidden=(1,'a')",
            "config.model.reconstruction_hidden is (1, 'a'): it must be whole numbers above 0",
        ),
        ("data.dir=a\nb", r"config.data.dir is 'a\nb': it must be text without control characters"),
    ],
)
def test_a_change_that_cannot_be_made(change: str, line: str) -> None:
    assert refusal("configs/loso.py", f"--config.{change}") == line


@pytest.mark.parametrize(
    "change", ["training.steps=" + "9" * 10_000, "z" * 10_000, "model.reconstruction_hidden=" + "(" * 10_000]
)
def test_a_long_one_is_shortened(change: str) -> None:
    refusal("configs/loso.py", f"--config.{change}")


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["--config.training.steps", "7"], "training.steps", 7),
        (["-config.training.steps=7"], "training.steps", 7),
        (["--config.model.motion"], "model.motion", True),
        (["--config.model.motion=false"], "model.motion", False),
        (["--noconfig.model.motion"], "model.motion", False),
        (["--config.model.width=1"], "model.width", 1.0),
        (["--config.model.reconstruction_hidden=(8, 9)"], "model.reconstruction_hidden", (8, 9)),
        (["--config.model.reconstruction_hidden=8"], "model.reconstruction_hidden", (8,)),
        (["--config.data.dir=a=b c"], "data.dir", "a=b c"),
    ],
)
def test_a_change(arguments: list[str], field: str, value: Any) -> None:
    others, changes = split_changes(["main.py", "--workdir=a", *arguments, "b"])
    assert others == ["main.py", "--workdir=a", "b"]
    config = load_config("configs/loso_pair.py", changes)
    validate(config)
    group, _, name = field.partition(".")
    assert config[group][name] == value and type(config[group][name]) is type(value)
    assert config.is_locked


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--config.training.steps"],
            "--config.training.steps: its value is missing; give --config.training.steps=VALUE",
        ),
        (["--noconfig.training.steps"], "--noconfig.training.steps: give --config.training.steps=VALUE"),
    ],
)
def test_a_change_without_its_value(arguments: list[str], words: str) -> None:
    with pytest.raises(UserError) as caught:
        split_changes(arguments)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("config.trainning = 5", "config.trainning is 5: there is no such field; did you mean training?"),
        (
            "config.training.stepz = 5",
            "config.training.stepz is 5: there is no such field; did you mean training.steps?",
        ),
        (
            "del config.training.steps",
            "config.training.steps is missing: it must be a whole number, 0 or more, at most",
        ),
        ("del config.training", "config.training.epochs is missing: it must be a whole number"),
        ("with config.ignore_type(): config.training = 5", "config.training is 5: it is a group of fields"),
        (
            "with config.training.ignore_type(): config.training.steps = '5'",
            "steps is '5': it must be a whole number",
        ),
        (
            "with config.training.ignore_type(): config.training.steps = True",
            "steps is True: it must be a whole number",
        ),
        (
            "with config.training.ignore_type(): config.training.steps = 5.0",
            "steps is 5.0: it must be a whole number",
        ),
        ("with config.model.ignore_type(): config.model.motion = 1", "motion is 1: it must be True or False"),
        ("config.training.steps = None", "config.training.steps is None: it must be a whole number"),
        (
            "config.model.width = 10**400",
            ", line 5: OverflowError: int too large to convert to float; correct the file",
        ),
        ("config.loss.synthesis = float('inf')", "config.loss.synthesis is inf: it must be finite"),
        ("config.seed = -1", "config.seed is -1: it must be 0 or more"),
        ("config.training.stepz =", ", line 5: SyntaxError: invalid syntax; correct the file"),
        ("config.training.stepz = undefined", ", line 5: NameError: name 'undefined' is not defined; correct the file"),
        ("1 / 0", ", line 5: ZeroDivisionError: division by zero; correct the file"),
        ("config.training.steps = 'many'", ", line 5: TypeError: "),
        ("raise SystemExit(0)", ", line 5: SystemExit: 0; correct the file"),
        ("raise ValueError('a\\n' * 10000)", ", line 5: ValueError: a a a a"),
        (
            "return dict(config)",
            "get_config returns a dict, not a ConfigDict; create and return one as configs/",
        ),
        ("return None", "get_config returns nothing, not a ConfigDict"),
        ("return loso", "get_config returns a module, not a ConfigDict"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, code: str, words: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(BASE.format(code))
    line = refusal(str(path))
    assert words in line
    assert line.startswith("config.") or line.startswith(str(path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no function get_config"),
        (b"get_config = 5", "has no function get_config"),
        (b"\0", "null bytes"),
        (b"# \xff\xfe", "SyntaxError"),
        (b"import nowhere_at_all", "line 1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        (b"def get_config(name):\n    pass", "missing 1 required positional argument"),
        (b"\x89PNG\r\n\x1a\n", "SyntaxError"),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(content)
    line = refusal(str(path))
    assert words in line and line.startswith(str(path))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "is True: it must be a number"),
        (10**400, "is 1000"),
        ("1", "is '1': it must be a number"),
        (None, "is None: it must be a number"),
        ([1.0], "is [1.0]: it must be a number"),
    ],
)
def test_a_value_of_another_type_in_a_config_file(value: Any, words: str) -> None:
    config = ConfigDict(loso.get_config().to_dict() | {"model": loso.get_config().model.to_dict() | {"width": value}})
    with pytest.raises(UserError, match=r"^config\.model\.width " + re.escape(words)) as caught:
        validate(config)
    assert len(str(caught.value)) < 200


def test_a_missing_file(tmp_path: Path) -> None:
    assert "cannot be loaded: No such file or directory; see configs/" in refusal(str(tmp_path / "a.py"))
    assert "cannot be loaded: Is a directory" in refusal(str(tmp_path))
    assert "null byte" in refusal("a\0b.py")


def test_a_field_that_a_file_lacks_may_come_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(BASE.format("del config.training.steps; config.model = loso.get_config().model"))
    assert load_config(str(path), ["--config.training.steps=3"]).training.steps == 3
    path.write_text(BASE.format("with config.training.ignore_type(): config.training.steps = '5'"))
    config = load_config(str(path), ["--config.training.steps=3"])
    validate(config)
    assert config.training.steps == 3


def test_the_text_after_a_colon_is_passed_to_get_config(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(BASE.format("config.seed = int(seed)").replace("get_config():", "get_config(seed):", 1))
    assert load_config(f"{path}:12").seed == 12
    assert "ValueError: invalid literal for int()" in refusal(f"{path}:x")


def test_a_frozen_config_can_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(BASE.format("from ml_collections import FrozenConfigDict as F; config = F(config)"))
    assert isinstance(FrozenConfigDict(loso.get_config()), ConfigDict)
    assert load_config(str(path), ["--config.seed=3"]).seed == 3


def test_an_unfilled_placeholder_is_missing() -> None:
    config = demo.get_config()
    config.training.steps = config_dict.required_placeholder(int)
    with pytest.raises(UserError, match=r"^config\.training\.steps is missing"):
        validate(config)


def test_more_steps_than_can_be_counted() -> None:
    config = loso.get_config()
    config.training.epochs = 2**31 - 1
    validate(config)
    with pytest.raises(UserError, match=re.escape("config.training.epochs is 2147483647: 1")):
        build_train_config(config, num_pairs=100, num_folds=1, num_devices=1)


def test_the_installed_configs_are_used_outside_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config("configs/demo.py").to_dict() == demo.get_config().to_dict()
    assert "configs/nowhere.py cannot be loaded: No such file" in refusal("configs/nowhere.py")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/demo.py").write_text(BASE.format("config.seed = 5"))
    assert load_config("configs/demo.py").seed == 5  # a file of the user's own comes first
