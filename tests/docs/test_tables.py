"""The tables of the documentation that name modules and functions match the code."""

import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT


def _rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading of a page, without its header."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


METHOD = _rows("how-it-differs-from-the-paper.md", "From the paper to the code")
LAYOUT = _rows("design.md", "Layout")


def test_the_tables_are_found() -> None:
    assert len(METHOD) > 20 and len(LAYOUT) > 10


@pytest.mark.parametrize(("part", "files", "symbols"), METHOD, ids=lambda value: value[:40])
def test_the_code_of_an_equation_exists(part: str, files: str, symbols: str) -> None:
    defined: set[str] = set()
    for file in _names(files):
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        defined |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert _names(symbols) and set(_names(symbols)) <= defined, f"{part}: {files} has no {symbols}"


@pytest.mark.parametrize(("folder", "modules"), LAYOUT, ids=lambda value: value[:40])
def test_the_modules_of_a_folder_exist(folder: str, modules: str) -> None:
    (name,) = _names(folder)
    named = [word for word in _names(modules) if re.fullmatch(r"[a-z_0-9]+", word)]
    missing = [word for word in named if not _exists(ROOT / name / word)]
    assert named and missing == [], f"{name} has no {', '.join(missing)}"


def _exists(path: Path) -> bool:
    return path.is_dir() or path.with_suffix(".py").is_file()
