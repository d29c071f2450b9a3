"""The documentation and the code agree: options, links, cited headings and files, tables, and printed programs."""

import ast
import contextlib
import functools
import importlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from absl.flags import FLAGS

import icegan_jax
from configs import loso
from icegan_jax import train

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
FOLDERS = ("icegan_jax", "configs", "experiments", "benchmarks", "examples", "tests", "docs")
SUFFIXES = {".py", ".md", ".csv", ".toml", ".yaml", ".cff", ".txt", ".ipynb"}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# A page, and the headings in quotes that follow: docs/databases.md, "SMIC" and "SAMM".
_CITATION = re.compile(r'docs/([\w-]+)\.md((?:(?:,| and|, and) "[^"]+")*)')
_FILE = re.compile(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w/-]+\.(?:py|md|csv|json|png|ipynb)\b")
_NOT_FILES_OF_OURS = {"docs/determinism.md", "docs/persisted_autotuning.md", "configs/nowhere.py", "icegan_jax/new.py"}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def fenced(page: Path, language: str) -> list[str]:
    return [content for kind, content in _FENCE.findall(text_of(page)) if kind == language]


def without_code(page: Path) -> str:
    return _FENCE.sub("", text_of(page))


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """Return (module, options) of every ``python -m MODULE OPTIONS`` in a fenced block or in running text."""
    found = []
    for page in PAGES:
        lines = "\n".join(fenced(page, "sh")).replace("\\\n", " ").splitlines()
        lines += [" ".join(words.split()) for words in re.findall(r"(?<!`)`([^`]+)`", without_code(page))]
        for line in lines:
            found += re.findall(r"python -m ((?:icegan_jax|experiments|benchmarks|tests)[\w.]*)([^#&]*)", line)
    return list(dict.fromkeys(found))


@functools.cache
def options_of(module: str) -> set[str]:
    """Return the options of ``python -m MODULE``."""
    if (ROOT / module.replace(".", "/")).is_dir():
        module += ".__main__"
    program = importlib.import_module(module)
    if module == "icegan_jax.main":
        return {prefix + flag.name for flag in FLAGS.get_flags_for_module(program) for prefix in ("", "no")}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        program.main(["--help"])
    return set(re.findall(r"--(\w+)", printed.getvalue()))


@pytest.mark.parametrize(("module", "options"), commands(), ids=lambda value: value.strip())
def test_the_options_of_a_command_exist(module: str, options: str) -> None:
    for word in shlex.split(options):
        name, _, value = word.removeprefix("--").partition("=")
        if word.startswith("--config."):
            functools.reduce(lambda part, field: part[field], name.split(".")[1:], loso.get_config())
        elif word.startswith("--"):
            assert name in options_of(module), f"python -m {module} has no --{name}"
        assert name != "config" or "/" not in value or (ROOT / value).is_file(), word


def test_the_readme_installs_and_runs_with_two_commands() -> None:
    lines = text_of(PAGES[0]).splitlines()
    assert "pip install uv && uv run python -m icegan_jax.main --config=configs/demo.py --workdir=runs/demo" in lines
    assert "pip install uv && uv run pytest" in lines


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        path, _, anchor = link.partition("#")
        if link.startswith("https://"):
            continue
        target = page.parent / path if path else page
        assert target.is_file(), f"{page.name}: {link}"
        if anchor:
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(target)}
            assert anchor in anchors, f"{page.name}: {link}"


def test_cited_headings_and_named_files_exist() -> None:
    paths = [*ROOT.glob("*"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    wrong = []
    for path in paths:
        if path.suffix not in SUFFIXES or not path.is_file() or path == Path(__file__):
            continue
        # A citation may continue on the next line of a comment or docstring.
        text = re.sub(r"\s*\n[ \t]*(?:#:? ?)?", " ", text_of(path).replace('""', '"').replace('\\"', '"'))
        named = set(_FILE.findall(text)) - _NOT_FILES_OF_OURS
        wrong += [f"{path}: {file}" for file in named if not (ROOT / file).exists()]
        for page, quoted in _CITATION.findall(text):
            file = ROOT / "docs" / f"{page}.md"
            known = headings(file) if file.is_file() else []
            wrong += [f'{path}: docs/{page}.md, "{h}"' for h in re.findall(r'"([^"]+)"', quoted) if h not in known]
    assert not wrong, "\n".join(wrong)


def test_the_citation_file_has_this_version_and_the_cited_paper() -> None:
    citation = text_of(ROOT / "CITATION.cff")
    bibtex = text_of(ROOT / "README.md").partition("```bibtex\n")[2].partition("```")[0]
    (doi,) = re.findall(r"doi: (\S+)", citation)
    assert f"version: {icegan_jax.__version__}\n" in citation and f"{{{doi}}}" in bibtex


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading of a page, without its header."""
    section = text_of(ROOT / "docs" / page).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert len(lines) > 8, f"docs/{page} has no table below {heading}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_code_of_every_equation_exists() -> None:
    for part, files, symbols in rows("how-it-differs-from-the-paper.md", "From the paper to the code"):
        trees = [ast.parse(text_of(ROOT / file)) for file in names(files)]
        defined = {n.name for tree in trees for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        assert names(symbols) and set(names(symbols)) <= defined, f"{part}: {files} has no {symbols}"


def test_the_modules_of_the_layout_exist() -> None:
    for cell, modules in rows("design.md", "Layout"):
        (folder,) = names(cell)
        for word in (word for word in names(modules) if re.fullmatch(r"[a-z_0-9]+", word)):
            path = ROOT / folder / word
            assert path.is_dir() or path.with_suffix(".py").is_file(), f"{folder} has no {word}"


def test_every_quality_flag_is_explained() -> None:
    explained = [names(flag)[0] for flag, *_ in rows("recognize.md", "Flags")]
    source = "".join(text_of(path) for path in sorted((ROOT / "icegan_jax" / "inference").rglob("*.py")))
    assert sorted(explained) == sorted(set(re.findall(r"\bQualityFlag\(\s*\"(\w+)\"", source)))


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_printed_programs_run(
    page: str, run_dir: Path, face_picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.inference.recordings import write_pair, write_video

    (tmp_path / "runs").mkdir()
    for name in ("demo", "mine"):
        (tmp_path / "runs" / name).symlink_to(run_dir)
    write_pair(tmp_path)
    for name in ("film.mp4", "interview.mp4"):
        write_video(tmp_path / name)
    (tmp_path / "neutral.png").symlink_to(face_picture)
    monkeypatch.chdir(tmp_path)
    scores = {"overall": {"uf1": 1.0, "uar": 1.0}}
    monkeypatch.setattr(train, "train_and_evaluate", lambda *_, **__: scores)  # tests/test_quickstart.py trains
    namespace: dict[str, Any] = {}
    for code in fenced(ROOT / page, "python"):
        exec(compile(code.replace('"anna"', '"s0"'), page, "exec"), namespace)
    assert (tmp_path / "surprise.png").is_file()
