"""Damage to what earlier runs left: the prepared folder, its cache, and what lies beside them."""

import json
import shutil
from pathlib import Path

from tests.data.fuzz.workspace import Workspace


def _entries(workspace: Workspace) -> list[Path]:
    """In the order of their content: their names depend on where and when the case runs."""
    return sorted(workspace.files(below="data/cache"), key=lambda path: path.read_bytes())


def cache_entry(workspace: Workspace) -> None:
    """Flip, cuts, empties or forges entries of the cache."""
    path = workspace.rng.choice(_entries(workspace))
    kind = workspace.rng.choice(("flipped", "cut", "emptied", "folder", "noise", "zeros"))
    data = bytearray(path.read_bytes())
    data[workspace.rng.randrange(len(data))] ^= 1 << workspace.rng.randrange(8)
    content = {
        "flipped": bytes(data),
        "cut": bytes(data[: workspace.rng.randrange(len(data))]),
        "emptied": b"",
        "noise": workspace.rng.randbytes(500),
        "zeros": bytes(len(data)),
        "folder": b"",
    }[kind]
    workspace.replace(path, content)
    if kind == "folder":
        path.unlink()
        path.mkdir()
    workspace.record_damage(f"entry {kind}", path)


def cache_swap(workspace: Workspace) -> None:
    """Give two entries of the cache each the other's name."""
    a, b = workspace.rng.sample(_entries(workspace), 2)
    workspace.swap(a, b)
    workspace.record_damage("entries swapped", a, b)


def cache_strange(workspace: Workspace) -> None:
    """Put what does not belong there into the cache, or a file in its place."""
    cache = workspace.data / "cache"
    kind = workspace.rng.choice(("folder", "file", "half", "no cache", "a file as the cache"))
    if kind == "folder":
        (cache / "notes").mkdir()
        (cache / "notes/a.txt").write_text("a")
    elif kind == "file":
        (cache / "notes.txt").write_text("a")
    elif kind == "half":
        (cache / f"{'0' * 64}.123.half").write_bytes(b"half")
    else:
        shutil.rmtree(cache)
        if kind == "a file as the cache":
            cache.write_text("a")
    workspace.record_damage(f"cache: {kind}", cache)


def prepared_flip(workspace: Workspace) -> None:
    """Damage a file of the earlier prepared set."""
    path = workspace.rng.choice(
        [p for p in workspace.files(below="data") if "cache" not in p.parts[len(workspace.root.parts) :]]
    )
    kind = workspace.rng.choice(("flipped", "emptied", "deleted"))
    if kind == "flipped":
        data = bytearray(path.read_bytes() or b"\0")
        data[workspace.rng.randrange(len(data))] ^= 1 << workspace.rng.randrange(8)
        workspace.replace(path, bytes(data))
    elif kind == "emptied":
        workspace.replace(path, b"")
    else:
        path.unlink()
    workspace.record_damage(f"prepared file {kind}", path)


def prepared_strange(workspace: Workspace) -> None:
    """Put something else where the prepared set was."""
    kind = workspace.rng.choice(("a file", "an empty folder", "other files", "dangling link", "link to it"))
    aside = workspace.root / "elsewhere"
    workspace.data.rename(aside)
    if kind == "a file":
        workspace.data.write_text("a")
    elif kind == "dangling link":
        workspace.data.symlink_to("nowhere")
    elif kind == "link to it":
        workspace.data.symlink_to("elsewhere")
    else:
        workspace.data.mkdir()
        if kind == "other files":
            (workspace.data / "thesis.tex").write_text("a")
    workspace.record_damage(f"in the place of the prepared set: {kind}", workspace.data)


def leftovers(workspace: Workspace) -> None:
    """What a run leaves beside the prepared set that was killed, some of it damaged too."""
    kind = workspace.rng.choice(
        ("partial", "partial with summary", "partial file", "replaced", "lock", "partial cache")
    )
    partial, replaced = workspace.root / ".data.partial", workspace.root / ".data.replaced"
    if kind == "partial file":
        partial.write_text("a")
    elif kind == "lock":
        (workspace.root / ".data.lock").write_text("process 1 on elsewhere")
    elif kind == "replaced":
        shutil.copytree(workspace.data, replaced)
        if workspace.rng.random() < 0.5:
            shutil.rmtree(workspace.data)
    else:
        shutil.copytree(workspace.data, partial)
        if kind == "partial cache":
            for path in workspace.files(below=".data.partial/cache"):
                path.write_bytes(path.read_bytes()[:-1])
        elif kind == "partial":
            (partial / "prepared.json").unlink()
        else:
            (partial / "prepared.json").write_text(json.dumps({"fingerprint": "0"}))
    workspace.record_damage(f"left by a killed run: {kind}", workspace.root / ".data")
