"""Citations of documentation and of files, in code, configurations, tests and pages, name things that exist."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, headings

_SUFFIXES = {".py", ".md", ".csv", ".toml", ".yaml", ".cff", ".txt"}
# A page, and the headings in quotes that follow: docs/databases.md, "SMIC" and "SAMM".
_CITATION = re.compile(r'docs/([\w-]+)\.md((?:(?:,| and|, and) "[^"]+")*)')
_FILE = re.compile(
    r"(?<![\w/.-])(?:icegan_jax|tests|configs|experiments|benchmarks|docs)/[\w/-]+\.(?:py|md|csv|json|png)\b"
)
_NOT_IN_THE_REPOSITORY = re.compile(r"\bDESIGN section|\b(?:DATASETS|BASELINES|REDESIGN)\b|\breference/")
_OF_OTHERS = {  # file: what it names that is no file of the repository
    "docs/determinism.md": {"docs/determinism.md", "docs/persisted_autotuning.md"},  # of openxla/xla
    "tests/properties/test_pickles.py": {"icegan_jax/config_file.py", "icegan_jax/new.py"},  # made up by the tests
    "tests/test_main.py": {"configs/nowhere.py"},
}


def _files() -> list[str]:
    """Return the paths of all text files of the repository, tracked or not yet tracked, but for this one."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.split() or [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")]  # an unpacked archive
    names = [name for name in names if Path(name).suffix in _SUFFIXES and (ROOT / name).is_file()]
    return [name for name in names if not name.startswith(".venv") and ROOT / name != Path(__file__)]


def _text(name: str) -> str:
    """Return a file's text as one line: a citation may continue on the next line of a comment or docstring."""
    text = (ROOT / name).read_text(encoding="utf-8").replace('\\"', '"')
    return re.sub(r"\s*\n[ \t]*(?:#:? ?)?", " ", text)


TEXTS = {name: _text(name) for name in _files()}
CITATIONS = sorted(
    {
        (name, page, heading)
        for name, text in TEXTS.items()
        for page, quoted in _CITATION.findall(text)
        if f"docs/{page}.md" not in _OF_OTHERS.get(name, set())
        for heading in re.findall(r'"([^"]+)"', quoted) or [""]
    }
)


def test_there_are_citations() -> None:
    assert len(CITATIONS) > 50 and len({page for _, page, _ in CITATIONS}) > 3


@pytest.mark.parametrize(("name", "page", "heading"), CITATIONS)
def test_a_cited_page_has_the_heading(name: str, page: str, heading: str) -> None:
    path = ROOT / "docs" / f"{page}.md"
    assert path.is_file(), f"{name} cites docs/{page}.md, which does not exist"
    assert not heading or heading in headings(path), f'{name}: docs/{page}.md has no heading "{heading}"'


def test_named_files_exist() -> None:
    named = {(name, path) for name, text in TEXTS.items() for path in _FILE.findall(text)}
    missing = {
        (name, path) for name, path in named if not (ROOT / path).exists() and path not in _OF_OTHERS.get(name, set())
    }
    assert sorted(missing) == []


def test_no_file_cites_notes_outside_the_repository() -> None:
    found = {(name, match) for name, text in TEXTS.items() for match in _NOT_IN_THE_REPOSITORY.findall(text)}
    assert sorted(found) == []
