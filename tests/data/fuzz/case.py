"""A fuzz case: a damaged tree, prepared with --check and in full."""

import json
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.data.fuzz.command import CommandResult, run_prepare
from tests.data.fuzz.damage import EARLIER, KINDS
from tests.data.fuzz.prepared import Prepared, read_prepared
from tests.data.fuzz.sources import build_sources, copy_sources
from tests.data.fuzz.workspace import Workspace

# Arguments of each command, and which parts of the tree it reads.
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "three": (
        tuple(f"--source={name} --raw={{w}}/{name.upper()}" for name in ("casme2", "samm", "smic"))
        + ("--official={w}/official.csv", "--repairs={w}/repairs.csv"),
        ("CASME2", "SAMM", "SMIC", "official.csv", "repairs.csv"),
    ),
    "folder": (("--source=megc2019 --raw={w}", "--repairs={w}/repairs.csv"), ("CASME2", "SAMM", "SMIC", "repairs.csv")),
    "casme2": (("--source=casme2 --raw={w}/CASME2",), ("CASME2",)),
    "xls": (("--source=casme2 --raw={w}/CASME2", "--annotation={w}/coding.xls"), ("CASME2", "coding.xls")),
    "csv": (("--source=casme2 --raw={w}/CASME2", "--annotation={w}/coding.csv"), ("CASME2", "coding.csv")),
    "samm": (("--source=samm --raw={w}/SAMM",), ("SAMM",)),
    "smic": (("--source=smic --raw={w}/SMIC",), ("SMIC",)),
    "own": (("--source=clips --raw={w}/own/clips.csv",), ("own",)),
    "mixed": (("--source=clips --raw={w}/own/clips.csv", "--source=casme2 --raw={w}/CASME2"), ("own", "CASME2")),
}
# Other ways to prepare; most cases use the usual one.
_OPTIONS = ((), (), (), (), ("--apex=ratio",), ("--apex=ratio_offset", "--register=none"), ("--size=64",))


@dataclass(frozen=True)
class Case:
    """A case and the results of its runs.

    Attributes:
        number: number of the case, which with the seed determines everything.
        kinds: kinds of damage, in order.
        workspace: the folder and the log of the damage.
        command: the arguments without --out and --check.
        name: key of ``COMMANDS``.
        skip: whether damaged clips are left out (--skip_damaged).
        check: result of the run with --check.
        full: result of the run that prepares.
        clean: the prepared folder of the undamaged tree.
        result: the prepared folder of the damaged tree; None where the run ended with an error.
        unreadable: why the prepared folder cannot be read; "" where it can, or does not exist.
        written: paths that --check changed.
        changed: paths of the tree, or of the earlier prepared folder after an error, that the full run changed.
        earlier: whether there was an earlier prepared folder.
    """

    number: int
    kinds: Sequence[str]
    workspace: Workspace
    command: Sequence[str]
    name: str
    skip: bool
    check: CommandResult
    full: CommandResult
    clean: Prepared
    result: Prepared | None
    unreadable: str
    written: Sequence[str]
    changed: Sequence[str]
    earlier: bool


class CaseRunner:
    """Make and run cases in one folder; the clean tree and its results are computed once."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._case, self._seed = folder, folder / "case", seed
        self._sources = folder / "clean"
        self._results: dict[tuple[str, tuple[str, ...]], Prepared] = {}
        build_sources(self._sources)

    def run(self, number: int) -> Case:
        """Run a case, whose folder remains until the next one."""
        rng = random.Random(f"{self._seed}/{number}")
        kinds = [list(KINDS)[number % len(KINDS)]]
        if rng.random() < 0.2:
            kinds += rng.sample([kind for kind in KINDS if kind not in EARLIER], 2)
        options = rng.choice(_OPTIONS)
        skip = rng.random() < 0.3
        earlier = kinds[0] in EARLIER or rng.random() < 0.2
        if kinds[0] in EARLIER:
            name = rng.choice(list(COMMANDS))
        else:
            workspace = self._damaged(number, kinds)
            name = rng.choice(_readers(workspace.damaged_paths))
        if earlier:
            workspace = self._damaged(number, kinds, [*_arguments(name, self._case / "sources"), *options])
        clean = self._clean(name, options)
        arguments = [
            *_arguments(name, workspace.sources),
            *options,
            *(["--skip_damaged"] if skip else []),
            "--workers=1",
        ]
        before = snapshot(workspace.root)
        check = run_prepare([*arguments, "--check"])
        after_check = snapshot(workspace.root)
        full = run_prepare([*arguments, f"--out={workspace.data}"])
        after = snapshot(workspace.root)
        result, unreadable = None, ""
        if full.code == 0:
            try:
                result = read_prepared(workspace.data)
            except Exception as error:
                unreadable = f"{type(error).__name__}: {error}"
        kept = ("sources/", "data") if full.code else ("sources/",)
        return Case(
            number,
            kinds,
            workspace,
            arguments,
            name,
            skip,
            check,
            full,
            clean,
            result,
            unreadable,
            written=_differences(before, after_check),
            changed=[path for path in _differences(before, after) if path.startswith(kept)],
            earlier=earlier,
        )

    def _damaged(self, number: int, kinds: Sequence[str], earlier: Sequence[str] = ()) -> Workspace:
        """Make the case's folder anew and damage it, after a run with the arguments ``earlier``, if any."""
        workspace = Workspace(self._case, random.Random(f"{self._seed}/{number}/damage"))
        shutil.rmtree(workspace.root, ignore_errors=True)
        workspace.root.mkdir()
        copy_sources(self._sources, workspace.sources)
        if earlier:
            first = run_prepare([*earlier, f"--out={workspace.data}", "--workers=1"])
            assert first.code == 0 and not first.lines, first
        KINDS[kinds[0]](workspace)
        for kind in kinds[1:]:
            try:
                KINDS[kind](workspace)
            except Exception as error:  # the first damage may leave nothing for this one
                workspace.log.append(f"not done: {kind} ({error})")
        return workspace

    def _clean(self, name: str, options: tuple[str, ...]) -> Prepared:
        if (name, options) not in self._results:
            out = self._folder / "clean data"
            completed = run_prepare([*_arguments(name, self._sources), *options, f"--out={out}", "--workers=1"])
            assert completed.code == 0 and not completed.lines, completed
            self._results[name, options] = read_prepared(out)
            shutil.rmtree(out)
        return self._results[name, options]


def _arguments(name: str, sources: Path) -> list[str]:
    return [part.replace("{w}", str(sources)) for entry in COMMANDS[name][0] for part in entry.split(" ")]


def _readers(damaged_paths: Sequence[str]) -> list[str]:
    """Return the commands that read all damaged paths, or else the first one."""
    tops = [path.split("/")[1] for path in damaged_paths if path.startswith("sources/") and path.count("/")]
    reads = {name: set(parts) for name, (_, parts) in COMMANDS.items()}
    return (
        [name for name, parts in reads.items() if set(tops) <= parts]
        or [name for name, parts in reads.items() if tops[0] in parts]
        or ["three"]
    )


def snapshot(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return {path below root: (mode, size, mtime)}, without sizes and times of folders."""
    actual = {}
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            sized = (0, 0) if name in folders else (status.st_size, status.st_mtime_ns)
            actual[os.path.relpath(path, root)] = (status.st_mode, *sized)
    return actual


def _differences(before: dict[str, tuple[int, int, int]], after: dict[str, tuple[int, int, int]]) -> list[str]:
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def describe(case: Case) -> str:
    """Return a text about a case, for debugging."""
    parts = [f"case {case.number}: {', '.join(case.kinds)}", *case.workspace.log]
    parts.append(f"earlier run: {case.earlier}")
    parts.append("python -m icegan_jax.prepare " + " ".join(case.command) + f" --out={case.workspace.data}")
    for title, completed in (("--check", case.check), ("full", case.full)):
        parts += [
            f"--- {title}: exit {completed.code}",
            completed.out,
            "\n".join(completed.lines),
            completed.crash,
        ]
    if case.result is not None:
        parts.append(json.dumps([list(key) for key in case.result.labels]))
    return "\n".join(part for part in parts if part)
