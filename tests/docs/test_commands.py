"""Every command of the README and of the pages in docs/ is run, in a folder that holds what they name."""

import shlex
from pathlib import Path

import jax
import pytest

from tests.docs import world
from tests.docs.pages import PAGES, ROOT, Command, commands, fenced
from tests.docs.rules import RULES, program_of, rule_of

COMMANDS = commands()
ONCE = list({command.words: command for command in reversed(COMMANDS)}.values())[::-1]  # of those repeated the first


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("docs")
    world.build(made)
    return made


def run(command: Command, folder: Path) -> None:
    """Runs a command by its rule; what it needs from another one comes first."""
    words = program_of(command.words)
    rule = rule_of(shlex.join(words))
    assert rule is not None, f"{command.place}: no rule says how to run {command.text}"
    world.ensure(command, COMMANDS, folder, lambda other: run(other, folder))
    devices = jax.local_devices()[:1]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(jax, "local_devices", lambda: devices)
        assert rule.run([*words, *rule.add], patch) == rule.code, f"{command.place}: {command.text}"


@pytest.mark.parametrize("command", ONCE, ids=lambda command: command.place)
def test_the_command_runs(command: Command, folder: Path) -> None:
    run(command, folder)


def test_every_rule_is_used() -> None:
    used = {rule_of(shlex.join(program_of(command.words))) for command in COMMANDS}
    assert [rule.of for rule in RULES if rule not in used] == []


def test_the_pages_have_commands() -> None:
    assert len(ONCE) > 40 and {command.place.partition(":")[0] for command in COMMANDS} >= {"README.md", "train.md"}


def test_the_exported_networks_answer_as_printed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of the page about exports."""
    run(next(command for command in COMMANDS if "icegan_jax.export" in command.words), folder)
    page = ROOT / "docs" / "use-your-own-video.md"
    (code,) = (match[2] for match in fenced(page.read_text(encoding="utf-8"), "python"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", ["exported", *__import__("sys").path])
    names: dict[str, object] = {}
    exec(compile(code, str(page), "exec"), names)
    assert names["lengths"].shape == (1, 3) and names["faces"].shape == (1, world.SIZE, world.SIZE)  # type: ignore[attr-defined]


def test_only_these_pages_print_programs() -> None:
    """Each is run: the reader by tests/data/readers/test_add_a_database.py as well."""
    found = [page.name for page in PAGES if fenced(page.read_text(encoding="utf-8"), "python")]
    assert found == ["add-a-database.md", "use-your-own-video.md"]
