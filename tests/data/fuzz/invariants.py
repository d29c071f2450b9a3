"""The invariants of a damaged case; each violation is a line of text.

A label may differ from the clean run's only where a finding or repair names the clip, or where a table was damaged and
the counts of the database show the difference: a validly edited cell cannot be recognized otherwise. A clip that
vanishes must be named by a finding, or, where only the damaged files list the clip (SMIC_all has no list of its clips,
a clips.csv is the only one), the counts must show the difference. A new clip must have its name from a damaged table or
a renamed folder. Where neither tables nor the clip's own frames were damaged, its pixels and its onset, apex and offset
must be those of the clean run.
"""

import re
from collections.abc import Iterator

from tests.data.fabricate import ClipKey
from tests.data.fuzz.case import Case
from tests.data.fuzz.command import CommandResult
from tests.data.fuzz.prepared import Prepared
from tests.data.fuzz.sources import CLIPS
from tests.data.fuzz.workspace import TABLES

_LONGEST = 500


def violations(case: Case) -> list[str]:
    """Return the violations of the invariants; an empty list for a valid case."""
    actual = [*_run(case, "--check", case.check, (0, 1, 2)), *_run(case, "full", case.full, (0, 2))]
    actual += [f"--check wrote: {path!r}" for path in case.written[:3]]
    actual += [f"the full run changed: {path!r}" for path in case.changed[:3]]
    actual += _beside(case)
    if case.check.code is not None and case.full.code is not None:
        actual += _agreement(case)
    if case.unreadable:
        actual.append(f"what was written cannot be read: {case.unreadable}")
    if case.result is not None:
        actual += _content(case, case.result)
    return actual


def _run(case: Case, title: str, completed: CommandResult, codes: tuple[int, ...]) -> Iterator[str]:
    if completed.crash:
        yield f"{title}: {completed.crash.strip().splitlines()[-1]} (see --case)"
        return
    if completed.code not in codes:
        yield f"{title}: exit code {completed.code}"
    if "Traceback" in completed.out + completed.err:
        yield f"{title}: prints a traceback"
    lines = completed.lines
    if completed.code != 2 or (title == "--check" and "preparation would stop" in completed.out):
        if lines:
            yield f"{title}: exit {completed.code} with on stderr: {lines[0][:200]!r}"
        return
    if len(lines) != 1 or not lines[0].startswith("error: "):
        yield f"{title}: not one error line: {lines!r}"[:400]
        return
    if completed.out:
        yield f"{title}: an error, but stdout holds {completed.out[:100]!r}"
    text = lines[0].replace(str(case.workspace.root), "ROOT")
    if len(text) > _LONGEST:
        yield f"{title}: the error has {len(text)} characters: {text[:100]!r}"
    names = [clip.name for clip in CLIPS] + ["ROOT", "--"]
    if not any(name in text for name in names) and not re.search(r"[\w-]+\.(xlsx|csv)", text):
        yield f"{title}: the error names no file or clip: {text[:200]!r}"
    if ";" not in text and ":" not in text[7:]:
        yield f"{title}: the error says no remedy: {text[:200]!r}"


def _beside(case: Case) -> Iterator[str]:
    """Yield unexpected files beside the prepared folder: all but the finished clips of a failed run."""
    if case.full.crash:
        return
    partial = case.workspace.root / ".data.partial"
    if partial.is_dir() and [path.name for path in partial.iterdir()] != ["cache"]:
        yield f"left in {partial.name}: {sorted(path.name for path in partial.iterdir())}"
    if case.full.code == 0:
        yield from (f"left: {path.name}" for path in case.workspace.root.glob(".data*"))
    aside = [name for name in (".data.replaced", ".data.lock") if (case.workspace.root / name).exists()]
    if aside and "left by a killed run" not in case.kinds:
        yield f"left: {aside}"


def _agreement(case: Case) -> Iterator[str]:
    """Yield differences between --check and the full run, which alone detects faces and reads --out."""
    log = "\n".join(case.full.lines)
    if case.check.code == 2 and case.full.code == 0:
        yield "--check says that preparation would stop, and it does not"
    if case.check.code != 2 and case.full.code == 2 and "no face" not in log and "--out" not in log:
        yield f"--check says that preparation would succeed, and it stops: {log[:200]}"
    if case.result is None or case.check.code == 2:
        return
    stated = re.search(r"(\d+)(?: of \d+)? (?:usable )?clips", case.check.out.splitlines()[-1])
    if stated is None:
        yield f"the last line of --check counts no clips: {case.check.out.splitlines()[-1]!r}"
    elif int(stated[1]) != len(case.result.labels) and "show no face" not in case.full.out:
        yield f"--check counts {stated[1]} clips, {len(case.result.labels)} were prepared"


def _content(case: Case, result: Prepared) -> Iterator[str]:
    clean = case.clean
    tables = any(path.endswith(TABLES) for path in case.workspace.damaged_paths)
    damaged = {
        clip.key for clip in CLIPS if any(_concerns(path, clip.folders) for path in case.workspace.damaged_paths)
    }
    edited = tables and result.counts != clean.counts
    for key in clean.labels.keys() & result.labels.keys():
        name = "/".join(key)
        if result.labels[key] != clean.labels[key] and not (name in result.reported or edited):
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
        if name in result.reported or name in case.full.out:
            continue
        if listed or not _fewer(case, result):
            yield f"{name}: vanished, and nothing says so"
    for key in result.labels.keys() - clean.labels.keys():
        if not tables and not any(_normalized(key[2]) in _normalized(path) for path in case.workspace.damaged_paths):
            yield f"{'/'.join(key)}: is new, and its name is in nothing that was damaged"


def _fewer(case: Case, result: Prepared) -> bool:
    """Return whether the printed counts differ from the clean run's, or another clip has the row."""
    if result.labels.keys() - case.clean.labels.keys():
        return True
    return result.counts != case.clean.counts or f"{len(case.clean.labels)} clips of" not in case.full.out


def _concerns(path: str, folders: tuple[tuple[str, str], ...]) -> bool:
    below = path.removeprefix("sources/") + "/"
    return any(below.startswith(f"{folder}/") or f"{folder}/".startswith(below) for folder, _ in folders)


def _normalized(name: str) -> str:
    return re.sub(r"[0-9]+", lambda digits: str(int(digits[0])), name.lower())


def outcome(case: Case) -> str:
    """Return "prepared", "prepared, reported" (more or other findings than the clean tree has), or "refused"."""
    if case.result is None:
        return "refused"
    reported = case.result.reported != case.clean.reported or case.result.counts != case.clean.counts
    more = case.result.findings != case.clean.findings
    return "prepared, reported" if reported or more or _named(case) else "prepared"


def _named(case: Case) -> bool:
    keys: set[ClipKey] = set(case.clean.labels)
    return case.result is not None and set(case.result.labels) != keys
