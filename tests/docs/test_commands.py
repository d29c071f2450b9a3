"""Every command of the documentation runs, in a folder that holds the inputs that the commands name."""

import re
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import pytest

from icegan_jax import train
from tests.docs import fixtures
from tests.docs.pages import PAGES, ROOT, Command, commands, fenced
from tests.docs.rules import RULES, program_of, rule_of

COMMANDS = commands()
UNIQUE = [command for i, command in enumerate(COMMANDS) if command.words not in {c.words for c in COMMANDS[:i]}]
# The pages with Python, and the folder that their programs read.
PROGRAMS = {"README.md": "runs/demo", "export.md": "exported", "python.md": "runs/mine"}
_PRODUCED = re.compile(r"(?:^|=)(DATA|exported|runs/\w+)(?=$|/)")  # inputs that other commands write


@dataclass
class Workspace:
    """A folder to run commands in.

    Attributes:
        folder: the folder, with the files of ``fixtures.build``.
        finished: the words of the commands that ran there.
    """

    folder: Path
    finished: set[tuple[str, ...]] = field(default_factory=set)

    def run(self, command: Command) -> None:
        """Run a command by its rule, once, after the commands that write its inputs."""
        program = program_of(command.words)
        if tuple(program) in self.finished:
            return
        rule = rule_of(shlex.join(program))
        assert rule is not None, f"{command.position}: tests/docs/rules.py has no rule for {command.text}"
        words = [*program, *rule.add]
        for name in [match for word in words for match in _PRODUCED.findall(word)]:
            producer = fixtures.producer_of(name, COMMANDS)
            if producer is not None and program_of(producer.words) != program and not (self.folder / name).exists():
                self.run(producer)
        devices = jax.local_devices()[:1]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(jax, "local_devices", lambda: devices)
            assert rule.run(words, patch) == rule.code, f"{command.position}: {command.text}"
        self.finished.add(tuple(program))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("docs")
    fixtures.build(folder)
    return Workspace(folder)


@pytest.mark.parametrize("command", UNIQUE, ids=lambda command: command.position)
def test_the_command_runs(command: Command, workspace: Workspace) -> None:
    workspace.run(command)


def test_every_rule_is_used() -> None:
    used = {rule_of(shlex.join(program_of(command.words))) for command in COMMANDS}
    assert [rule.of for rule in RULES if rule not in used] == []


def test_the_pages_have_commands() -> None:
    pages = {command.position.partition(":")[0] for command in COMMANDS}
    assert len(UNIQUE) > 40 and pages >= {"README.md", "CONTRIBUTING.md", "train.md", "recognize.md"}


def test_the_readme_installs_and_runs_with_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert "pip install uv && uv run python -m icegan_jax.main --config=configs/demo.py --workdir=runs/demo" in text
    assert "pip install uv && uv run pytest" in text


@pytest.mark.parametrize("page", sorted(PROGRAMS))
def test_the_printed_programs_run(page: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of a page run one after another, after the command that writes their input."""
    producer = fixtures.producer_of(PROGRAMS[page], COMMANDS)
    assert producer is not None
    workspace.run(producer)
    monkeypatch.chdir(workspace.folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    scores = {"overall": {"uf1": 1.0, "uar": 1.0}}
    monkeypatch.setattr(train, "train_and_evaluate", lambda *_, **__: scores)  # tests/test_quickstart.py trains
    names: dict[str, Any] = {}
    for match in fenced(_page(page).read_text(encoding="utf-8"), "python"):
        exec(compile(match[2], page, "exec"), names)
    if page == "export.md":
        assert names["lengths"].shape == (1, 3) and names["faces"].shape == (1, fixtures.SIZE, fixtures.SIZE)
    if page == "python.md":
        assert names["result"].label in names["run"].classes and names["lengths"].shape == (5, 3)
        assert names["results"] == scores and (workspace.folder / "surprise.png").is_file()


def test_every_printed_program_is_run() -> None:
    """tests/data/databases/test_add_a_database.py runs the reader of add-a-database.md."""
    with_programs = {page.name for page in PAGES if fenced(page.read_text(encoding="utf-8"), "python")}
    assert with_programs == {*PROGRAMS, "add-a-database.md"}


def _page(name: str) -> Path:
    return next(page for page in PAGES if page.name == name)
