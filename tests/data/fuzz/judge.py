"""What a damaged case must keep to; each breach is a line.

A label may differ from the clean run's only where a finding or repair names the clip, or where the damaged annotation
itself says so and the counts of the database show it: a cell that was edited well cannot be told from the truth by
anything else. A clip that vanishes must be named, or, where nothing but what was damaged ever named it (SMIC_all has no
list of its clips, a clips.csv is the only one), the counts must show it. A clip that is new must have its name from a
damaged table or a renamed folder. Where neither tables nor the clip's own frames were damaged, its pixels and its
onset, apex and offset must be those of the clean run.
"""

import re
from collections.abc import Iterator

from tests.data.fabricate import Key
from tests.data.fuzz.case import Case
from tests.data.fuzz.prepared import Prepared
from tests.data.fuzz.running import Ran
from tests.data.fuzz.site import TABLES
from tests.data.fuzz.world import SHOTS

_LONGEST = 500


def breaches(case: Case) -> list[str]:
    """Returns what the case broke; nothing where all is well."""
    found = [*_run(case, "--check", case.check, (0, 1, 2)), *_run(case, "full", case.full, (0, 2))]
    found += [f"--check wrote: {path!r}" for path in case.written[:3]]
    found += [f"the full run changed: {path!r}" for path in case.changed[:3]]
    found += _beside(case)
    if case.check.code is not None and case.full.code is not None:
        found += _agreement(case)
    if case.unreadable:
        found.append(f"what was written cannot be read: {case.unreadable}")
    if case.result is not None:
        found += _content(case, case.result)
    return found


def _run(case: Case, title: str, ran: Ran, codes: tuple[int, ...]) -> Iterator[str]:
    if ran.crash:
        yield f"{title}: {ran.crash.strip().splitlines()[-1]} (see --case)"
        return
    if ran.code not in codes:
        yield f"{title}: exit code {ran.code}"
    if "Traceback" in ran.out + ran.err:
        yield f"{title}: prints a traceback"
    lines = ran.lines
    if ran.code != 2 or (title == "--check" and "preparation would stop" in ran.out):
        if lines:
            yield f"{title}: exit {ran.code} with on stderr: {lines[0][:200]!r}"
        return
    if len(lines) != 1 or not lines[0].startswith("error: "):
        yield f"{title}: not one error line: {lines!r}"[:400]
        return
    if ran.out:
        yield f"{title}: an error, but stdout holds {ran.out[:100]!r}"
    text = lines[0].replace(str(case.site.root), "ROOT")
    if len(text) > _LONGEST:
        yield f"{title}: the error has {len(text)} characters: {text[:100]!r}"
    names = [shot.name for shot in SHOTS] + ["ROOT", "--"]
    if not any(name in text for name in names) and not re.search(r"[\w-]+\.(xlsx|csv)", text):
        yield f"{title}: the error names no file or clip: {text[:200]!r}"
    if ";" not in text and ":" not in text[7:]:
        yield f"{title}: the error says no remedy: {text[:200]!r}"


def _beside(case: Case) -> Iterator[str]:
    """What may stay beside the prepared set: the finished clips of a run that refused, and what lay there before."""
    if case.full.crash:
        return
    partial = case.site.root / ".data.partial"
    if partial.is_dir() and [path.name for path in partial.iterdir()] != ["cache"]:
        yield f"left in {partial.name}: {sorted(path.name for path in partial.iterdir())}"
    if case.full.code == 0:
        yield from (f"left: {path.name}" for path in case.site.root.glob(".data*"))
    aside = [name for name in (".data.replaced", ".data.lock") if (case.site.root / name).exists()]
    if aside and "left by a killed run" not in case.kinds:
        yield f"left: {aside}"


def _agreement(case: Case) -> Iterator[str]:
    """--check does not look for faces, nor at --out."""
    said = "\n".join(case.full.lines)
    if case.check.code == 2 and case.full.code == 0:
        yield "--check says that preparation would stop, and it does not"
    if case.check.code != 2 and case.full.code == 2 and "no face" not in said and "--out" not in said:
        yield f"--check says that preparation would succeed, and it stops: {said[:200]}"
    if case.result is None or case.check.code == 2:
        return
    stated = re.search(r"(\d+)(?: of \d+)? (?:usable )?clips", case.check.out.splitlines()[-1])
    if stated is None:
        yield f"the last line of --check counts no clips: {case.check.out.splitlines()[-1]!r}"
    elif int(stated[1]) != len(case.result.labels) and "show no face" not in case.full.out:
        yield f"--check counts {stated[1]} clips, {len(case.result.labels)} were prepared"


def _content(case: Case, result: Prepared) -> Iterator[str]:
    clean = case.clean
    tables = any(path.endswith(TABLES) for path in case.site.touched)
    damaged = {shot.key for shot in SHOTS if any(_concerns(path, shot.folders) for path in case.site.touched)}
    edited = tables and result.counts != clean.counts
    for key in clean.labels.keys() & result.labels.keys():
        name = "/".join(key)
        if result.labels[key] != clean.labels[key] and not (name in result.told or edited):
            yield f"{name}: label {clean.labels[key]} became {result.labels[key]}, and nothing says so"
        if key in damaged:
            continue
        if not tables and result.frames[key] != clean.frames[key]:
            yield f"{name}: frames {clean.frames[key]} became {result.frames[key]}, and nothing of it was damaged"
        if result.frames[key] == clean.frames[key] and result.pixels[key] != clean.pixels[key]:
            yield f"{name}: other pixels, though its frames were not damaged"
    for key in clean.labels.keys() - result.labels.keys():
        name = "/".join(key)
        listed = key[0] in ("casme2", "samm") and not tables
        if name in result.told or name in case.full.out:
            continue
        if listed or not _fewer(case, result):
            yield f"{name}: vanished, and nothing says so"
    for key in result.labels.keys() - clean.labels.keys():
        if not tables and not any(_loose(key[2]) in _loose(path) for path in case.site.touched):
            yield f"{'/'.join(key)}: is new, and its name is in nothing that was damaged"


def _fewer(case: Case, result: Prepared) -> bool:
    """Whether the counts that are printed differ from the clean run's, or another clip has the row."""
    if result.labels.keys() - case.clean.labels.keys():
        return True
    return result.counts != case.clean.counts or f"{len(case.clean.labels)} clips of" not in case.full.out


def _concerns(path: str, folders: tuple[tuple[str, str], ...]) -> bool:
    below = path.removeprefix("world/") + "/"
    return any(below.startswith(f"{folder}/") or f"{folder}/".startswith(below) for folder, _ in folders)


def _loose(name: str) -> str:
    return re.sub(r"[0-9]+", lambda digits: str(int(digits[0])), name.lower())


def outcome(case: Case) -> str:
    """Returns "prepared", "prepared, told" (more or other findings than the clean tree has), or "refused"."""
    if case.result is None:
        return "refused"
    told = case.result.told != case.clean.told or case.result.counts != case.clean.counts
    more = case.result.findings != case.clean.findings
    return "prepared, told" if told or more or _named(case) else "prepared"


def _named(case: Case) -> bool:
    keys: set[Key] = set(case.clean.labels)
    return case.result is not None and set(case.result.labels) != keys
