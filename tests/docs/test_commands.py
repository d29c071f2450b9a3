"""Every command of the README and of the pages in docs/ is run, in a folder that holds what they name."""

import re
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import pytest

from tests.docs import world
from tests.docs.pages import PAGES, ROOT, Command, commands, fenced
from tests.docs.rules import RULES, program_of, rule_of

COMMANDS = commands()
ONCE = [command for i, command in enumerate(COMMANDS) if command.words not in {other.words for other in COMMANDS[:i]}]
_MADE = re.compile(r"(?:^|=)(DATA|exported|runs/\w+)(?=$|/)")  # by other commands


@dataclass
class World:
    """A folder to run in, and the words that were run there."""

    folder: Path
    done: set[tuple[str, ...]] = field(default_factory=set)

    def run(self, command: Command) -> None:
        """Runs a command by its rule, once; what it needs from another one comes first."""
        words = program_of(command.words)
        if tuple(words) in self.done:
            return
        rule = rule_of(shlex.join(words))
        assert rule is not None, f"{command.place}: no rule says how to run {command.text}"
        words = [*words, *rule.add]
        for name in [found for word in words for found in _MADE.findall(word)]:
            maker = world.maker_of(name, COMMANDS)
            if maker is not None and program_of(maker.words) != program_of(command.words):
                if not (self.folder / name).exists():
                    self.run(maker)
        devices = jax.local_devices()[:1]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(jax, "local_devices", lambda: devices)
            assert rule.run(words, patch) == rule.code, f"{command.place}: {command.text}"
        self.done.add(tuple(program_of(command.words)))


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("docs")
    world.build(folder)
    return World(folder)


@pytest.mark.parametrize("command", ONCE, ids=lambda command: command.place)
def test_the_command_runs(command: Command, there: World) -> None:
    there.run(command)


def test_every_rule_is_used() -> None:
    used = {rule_of(shlex.join(program_of(command.words))) for command in COMMANDS}
    assert [rule.of for rule in RULES if rule not in used] == []


def test_the_pages_have_commands() -> None:
    assert len(ONCE) > 40 and {command.place.partition(":")[0] for command in COMMANDS} >= {"README.md", "train.md"}


def test_the_exported_networks_answer_as_printed(there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of the page about exports."""
    there.run(next(command for command in COMMANDS if "icegan_jax.export" in command.words))
    page = ROOT / "docs" / "use-your-own-video.md"
    (code,) = (match[2] for match in fenced(page.read_text(encoding="utf-8"), "python"))
    monkeypatch.chdir(there.folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    names: dict[str, Any] = {}
    exec(compile(code, str(page), "exec"), names)
    assert names["lengths"].shape == (1, 3) and names["faces"].shape == (1, world.SIZE, world.SIZE)


def test_only_these_pages_print_programs() -> None:
    """Each is run: the reader by tests/data/readers/test_add_a_database.py as well."""
    found = [page.name for page in PAGES if fenced(page.read_text(encoding="utf-8"), "python")]
    assert found == ["add-a-database.md", "use-your-own-video.md"]
