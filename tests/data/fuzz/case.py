"""One damaged case: made, run with --check and in full, and judged."""

import json
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.data.fuzz import running
from tests.data.fuzz.damage import EARLIER, KINDS
from tests.data.fuzz.prepared import Prepared, read_prepared
from tests.data.fuzz.site import Site
from tests.data.fuzz.world import build_world, copy_world

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
    """A case after its runs.

    Attributes:
        number: with the seed, it decides everything.
        kinds: of damage, in the order in which it was done.
        site: the folder and what was done there.
        command: the arguments, but for --out and --check.
        name: of the command.
        skip: whether damaged clips are to be left out.
        check: the run with --check.
        full: the run that prepares.
        clean: what the command prepares from the undamaged tree.
        result: what it prepared from the damaged one; None where it refused.
        unreadable: why what it wrote cannot be read; "" where it can or is not there.
        written: paths that --check changed.
        changed: paths of the tree, or of the earlier prepared set where the run refused, that the full run changed.
        earlier: whether there was an earlier prepared set.
    """

    number: int
    kinds: Sequence[str]
    site: Site
    command: Sequence[str]
    name: str
    skip: bool
    check: running.Ran
    full: running.Ran
    clean: Prepared
    result: Prepared | None
    unreadable: str
    written: Sequence[str]
    changed: Sequence[str]
    earlier: bool


class Maker:
    """Makes and runs cases in one folder; the clean tree and the clean results are made once."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._case, self._seed = folder, folder / "case", seed
        self._world = folder / "clean"
        self._results: dict[tuple[str, tuple[str, ...]], Prepared] = {}
        build_world(self._world)

    def run(self, number: int) -> Case:
        """Runs a case; its folder stays until the next one."""
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
            site = self._damaged(number, kinds)
            name = rng.choice(_readers(site.touched))
        if earlier:
            site = self._damaged(number, kinds, [*_arguments(name, self._case / "world"), *options])
        clean = self._clean(name, options)
        arguments = [*_arguments(name, site.world), *options, *(["--skip_damaged"] if skip else []), "--workers=1"]
        before = snapshot(site.root)
        check = running.run([*arguments, "--check"])
        after_check = snapshot(site.root)
        full = running.run([*arguments, f"--out={site.data}"])
        after = snapshot(site.root)
        result, unreadable = None, ""
        if full.code == 0:
            try:
                result = read_prepared(site.data)
            except Exception as error:
                unreadable = f"{type(error).__name__}: {error}"
        kept = ("world/", "data") if full.code else ("world/",)
        return Case(
            number,
            kinds,
            site,
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

    def _damaged(self, number: int, kinds: Sequence[str], earlier: Sequence[str] = ()) -> Site:
        """Makes the case's folder anew and damages it, after a run with these arguments, if any; the same each time."""
        site = Site(self._case, random.Random(f"{self._seed}/{number}/damage"))
        shutil.rmtree(site.root, ignore_errors=True)
        site.root.mkdir()
        copy_world(self._world, site.world)
        if earlier:
            first = running.run([*earlier, f"--out={site.data}", "--workers=1"])
            assert first.code == 0 and not first.lines, first
        KINDS[kinds[0]](site)
        for kind in kinds[1:]:
            try:
                KINDS[kind](site)
            except Exception as error:  # the first damage left nothing that this one could be done to
                site.said.append(f"not done: {kind} ({error})")
        return site

    def _clean(self, name: str, options: tuple[str, ...]) -> Prepared:
        if (name, options) not in self._results:
            out = self._folder / "clean data"
            ran = running.run([*_arguments(name, self._world), *options, f"--out={out}", "--workers=1"])
            assert ran.code == 0 and not ran.lines, ran
            self._results[name, options] = read_prepared(out)
            shutil.rmtree(out)
        return self._results[name, options]


def _arguments(name: str, world: Path) -> list[str]:
    return [part.replace("{w}", str(world)) for entry in COMMANDS[name][0] for part in entry.split(" ")]


def _readers(touched: Sequence[str]) -> list[str]:
    """The commands that read all of what was damaged, or else the first of it."""
    tops = [path.split("/")[1] for path in touched if path.startswith("world/") and path.count("/")]
    reads = {name: set(parts) for name, (_, parts) in COMMANDS.items()}
    return (
        [name for name, parts in reads.items() if set(tops) <= parts]
        or [name for name, parts in reads.items() if tops[0] in parts]
        or ["three"]
    )


def snapshot(root: Path) -> dict[str, tuple[int, int, int]]:
    """{path below root: mode, size, time of the last writing}, folders' sizes and times left out."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            sized = (0, 0) if name in folders else (status.st_size, status.st_mtime_ns)
            found[os.path.relpath(path, root)] = (status.st_mode, *sized)
    return found


def _differences(before: dict[str, tuple[int, int, int]], after: dict[str, tuple[int, int, int]]) -> list[str]:
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def explained(case: Case) -> str:
    """All about a case, for who looks into it."""
    parts = [f"case {case.number}: {', '.join(case.kinds)}", *case.site.said]
    parts.append(f"earlier run: {case.earlier}")
    parts.append("python -m icegan_jax.prepare " + " ".join(case.command) + f" --out={case.site.data}")
    for title, ran in (("--check", case.check), ("full", case.full)):
        parts += [f"--- {title}: exit {ran.code}", ran.out, "\n".join(ran.lines), ran.crash]
    if case.result is not None:
        parts.append(json.dumps([list(key) for key in case.result.labels]))
    return "\n".join(part for part in parts if part)
