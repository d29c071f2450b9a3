"""Citations of documentation and of files, in code, configurations, tests and pages, name things that exist."""

import re
from pathlib import Path

import icegan_jax
from tests.docs.pages import ROOT, headings

_FOLDERS = ("icegan_jax", "configs", "experiments", "benchmarks", "examples", "tests", "docs")
_SUFFIXES = {".py", ".md", ".csv", ".toml", ".yaml", ".cff", ".txt", ".ipynb"}
# A page, and the headings in quotes that follow: docs/databases.md, "SMIC" and "SAMM".
_CITATION = re.compile(r'docs/([\w-]+)\.md((?:(?:,| and|, and) "[^"]+")*)')
_FILE = re.compile(rf"(?<![\w/.-])(?:{'|'.join(_FOLDERS)})/[\w/-]+\.(?:py|md|csv|json|png|ipynb)\b")
_NOT_IN_THE_REPOSITORY = re.compile(r"\bDESIGN section|\b(?:DATASETS|BASELINES|REDESIGN)\b|\breference/")
_NOT_FILES_OF_OURS = {  # file: paths in it that look like files of this repository
    "docs/determinism.md": {"docs/determinism.md", "docs/persisted_autotuning.md"},  # of openxla/xla
    "tests/properties/test_pickles.py": {"icegan_jax/config_file.py", "icegan_jax/new.py"},  # made up by the tests
    "tests/test_main.py": {"configs/nowhere.py"},
    "tests/test_config_values.py": {"configs/nowhere.py"},
}


def _read(path: Path) -> str:
    """Return a file's text as one line: a citation may continue on the next line of a comment or docstring."""
    text = path.read_text(encoding="utf-8").replace('""' if path.suffix == ".csv" else '\\"', '"')
    return re.sub(r"\s*\n[ \t]*(?:#:? ?)?", " ", text)


_PATHS = [*ROOT.glob("*"), *(path for folder in _FOLDERS for path in (ROOT / folder).rglob("*"))]
TEXTS = {
    path.relative_to(ROOT).as_posix(): _read(path)
    for path in _PATHS
    if path.suffix in _SUFFIXES and path.is_file() and path != Path(__file__)
}


def test_cited_pages_have_the_headings() -> None:
    cited, wrong = 0, []
    for name, text in TEXTS.items():
        for page, quoted in _CITATION.findall(text):
            if f"docs/{page}.md" in _NOT_FILES_OF_OURS.get(name, set()):
                continue
            cited += 1
            path = ROOT / "docs" / f"{page}.md"
            known = headings(path) if path.is_file() else []
            wrong += [f'{name}: docs/{page}.md, "{h}"' for h in re.findall(r'"([^"]+)"', quoted) if h not in known]
            wrong += [] if known else [f"{name}: docs/{page}.md"]
    assert wrong == [] and cited > 50


def test_named_files_exist() -> None:
    named = {(name, path) for name, text in TEXTS.items() for path in _FILE.findall(text)}
    known = {(name, path) for name, paths in _NOT_FILES_OF_OURS.items() for path in paths}
    assert sorted((name, path) for name, path in named - known if not (ROOT / path).exists()) == []


def test_no_file_cites_notes_outside_the_repository() -> None:
    matches = {(name, match) for name, text in TEXTS.items() for match in _NOT_IN_THE_REPOSITORY.findall(text)}
    assert sorted(matches) == []


def test_the_citation_file_describes_this_version_and_the_cited_paper() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    bibtex = (ROOT / "README.md").read_text(encoding="utf-8").partition("```bibtex\n")[2].partition("```")[0]
    (doi,) = re.findall(r"doi: (\S+)", citation)
    assert f"version: {icegan_jax.__version__}\n" in citation and f"{{{doi}}}" in bibtex
    for author in re.findall(r"family-names: (\w+)", citation):
        assert f"{author}, " in bibtex


def test_the_files_to_open_exist() -> None:
    """The lists of docs/design.md, "Files to open", name files of the package, each as often as its row says."""
    section = (ROOT / "docs/design.md").read_text().split("## Files to open")[1].split("\n## ")[0]
    rows = re.findall(r"^\| .* \| (.*`) \| (\d+)(?: more)? \|$", section, re.MULTILINE)
    assert [int(number) for _, number in rows] == [8, 6, 20, 10]
    for files, number in rows:
        paths = re.findall(r"`([\w/]+\.py)`", files)
        assert len(paths) == len(set(paths)) == int(number)
        assert [path for path in paths if not (ROOT / "icegan_jax" / path).is_file()] == []
