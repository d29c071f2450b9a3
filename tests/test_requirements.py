"""Pinned versions of the requirements, and no machine paths or registries in the files."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHONS = ("3.11", "3.12", "3.13")


def lines_of(name: str) -> list[str]:
    """Return the lines of a requirements file without comments."""
    lines = (re.split(r"(^|\s)#", line)[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [line for line in lines if line]


def applies(marker: Marker | None, python: str) -> bool:
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    return marker is None or marker.evaluate(environment)


def pins(python: str) -> dict[str, str]:
    """Return the specifier in constraints.txt for a Python version by package name."""
    expected = [pin for pin in map(Requirement, lines_of("constraints.txt")) if applies(pin.marker, python)]
    actual = {canonicalize_name(pin.name): str(pin.specifier) for pin in expected}
    assert len(actual) == len(expected), f"a package is pinned twice for Python {python}"
    return actual


def direct() -> list[Requirement]:
    project = PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(line) for group in [*groups, *PROJECT["dependency-groups"].values()] for line in group]


def workstation() -> list[Requirement]:
    return [Requirement(line) for line in lines_of("requirements.txt") if not line.startswith("-")]


def test_uv_and_pip_read_the_same_pins() -> None:
    assert PROJECT["tool"]["uv"]["constraint-dependencies"] == lines_of("constraints.txt")


@pytest.mark.parametrize("python", PYTHONS)
def test_every_direct_dependency_is_pinned_within_its_range(python: str) -> None:
    pinned = pins(python)
    for expected in direct() + workstation():
        pin = pinned[canonicalize_name(expected.name)]
        assert pin.startswith("==") and expected.specifier.contains(pin.removeprefix("==")), expected


def test_every_transitive_dependency_is_pinned() -> None:
    """Follow the requirements of the installed packages, on the Python that runs the tests."""
    pinned = pins(f"{sys.version_info.major}.{sys.version_info.minor}")
    left_out = {"dlib"}  # [tool.uv] override-dependencies
    if importlib.util.find_spec("torch") is None:  # an extra that the tests do without
        left_out.add("torch")
    todo, seen = [requirement for requirement in direct() if "cuda12" not in requirement.extras], set()
    while todo:
        expected = todo.pop()
        key = (canonicalize_name(expected.name), frozenset(expected.extras))
        if key in seen or key[0] in left_out:
            continue
        seen.add(key)
        assert key[0] in pinned, f"{key[0]} is in no line of constraints.txt"
        for line in metadata.requires(expected.name) or []:
            asked = Requirement(line)
            extras = expected.extras | {""}
            if asked.marker is None or any(asked.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(asked)
    assert len(seen) > len(direct())


def test_the_workstation_has_every_package_of_the_project() -> None:
    names = {canonicalize_name(expected.name) for expected in workstation()}
    needed = {canonicalize_name(Requirement(line).name) for line in PROJECT["project"]["dependencies"]}
    assert needed <= names
    assert "-c constraints.txt" in lines_of("requirements.txt")
    assert [expected.extras for expected in workstation() if expected.name == "jax"] == [{"cuda12"}]


def test_no_file_names_a_registry_or_a_machine() -> None:
    # Concatenated, so that this file does not contain them.
    hosts = ["pypi" + ".org", "python" + "hosted", "/sim" + "ple/"]
    folders = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/Us" + "ers/", "/op" + "t/"]
    forbidden = re.compile("|".join(map(re.escape, hosts + folders)).encode())
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    files = [ROOT / name for name in listing.stdout.split("\0") if (ROOT / name).is_file()]
    assert files and not [str(path) for path in files if forbidden.search(path.read_bytes())]
