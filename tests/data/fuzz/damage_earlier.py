"""Damage to what earlier runs left: the prepared folder, its cache, and what lies beside them."""

import json
import shutil
from pathlib import Path

from tests.data.fuzz.site import Site


def _entries(site: Site) -> list[Path]:
    """In the order of their content: their names depend on where and when the case runs."""
    return sorted(site.files(below="data/cache"), key=lambda path: path.read_bytes())


def cache_entry(site: Site) -> None:
    """Flips, cuts, empties or forges entries of the cache."""
    path = site.rng.choice(_entries(site))
    kind = site.rng.choice(("flipped", "cut", "emptied", "folder", "noise", "zeros"))
    data = bytearray(path.read_bytes())
    data[site.rng.randrange(len(data))] ^= 1 << site.rng.randrange(8)
    content = {
        "flipped": bytes(data),
        "cut": bytes(data[: site.rng.randrange(len(data))]),
        "emptied": b"",
        "noise": site.rng.randbytes(500),
        "zeros": bytes(len(data)),
        "folder": b"",
    }[kind]
    site.replace(path, content)
    if kind == "folder":
        path.unlink()
        path.mkdir()
    site.hit(f"entry {kind}", path)


def cache_swap(site: Site) -> None:
    """Gives two entries of the cache each the other's name."""
    a, b = site.rng.sample(_entries(site), 2)
    site.swap(a, b)
    site.hit("entries swapped", a, b)


def cache_strange(site: Site) -> None:
    """Puts what does not belong there into the cache, or a file in its place."""
    cache = site.data / "cache"
    kind = site.rng.choice(("folder", "file", "half", "no cache", "a file as the cache"))
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
    site.hit(f"cache: {kind}", cache)


def prepared_flip(site: Site) -> None:
    """Damages a file of the earlier prepared set."""
    path = site.rng.choice([p for p in site.files(below="data") if "cache" not in p.parts[len(site.root.parts) :]])
    kind = site.rng.choice(("flipped", "emptied", "deleted"))
    if kind == "flipped":
        data = bytearray(path.read_bytes() or b"\0")
        data[site.rng.randrange(len(data))] ^= 1 << site.rng.randrange(8)
        site.replace(path, bytes(data))
    elif kind == "emptied":
        site.replace(path, b"")
    else:
        path.unlink()
    site.hit(f"prepared file {kind}", path)


def prepared_strange(site: Site) -> None:
    """Puts something else where the prepared set was."""
    kind = site.rng.choice(("a file", "an empty folder", "other files", "dangling link", "link to it"))
    aside = site.root / "elsewhere"
    site.data.rename(aside)
    if kind == "a file":
        site.data.write_text("a")
    elif kind == "dangling link":
        site.data.symlink_to("nowhere")
    elif kind == "link to it":
        site.data.symlink_to("elsewhere")
    else:
        site.data.mkdir()
        if kind == "other files":
            (site.data / "thesis.tex").write_text("a")
    site.hit(f"in the place of the prepared set: {kind}", site.data)


def leftovers(site: Site) -> None:
    """What a run leaves beside the prepared set that was killed, some of it damaged too."""
    kind = site.rng.choice(("partial", "partial with summary", "partial file", "replaced", "lock", "partial cache"))
    partial, replaced = site.root / ".data.partial", site.root / ".data.replaced"
    if kind == "partial file":
        partial.write_text("a")
    elif kind == "lock":
        (site.root / ".data.lock").write_text("process 1 on elsewhere")
    elif kind == "replaced":
        shutil.copytree(site.data, replaced)
        if site.rng.random() < 0.5:
            shutil.rmtree(site.data)
    else:
        shutil.copytree(site.data, partial)
        if kind == "partial cache":
            for path in site.files(below=".data.partial/cache"):
                path.write_bytes(path.read_bytes()[:-1])
        elif kind == "partial":
            (partial / "prepared.json").unlink()
        else:
            (partial / "prepared.json").write_text(json.dumps({"fingerprint": "0"}))
    site.hit(f"left by a killed run: {kind}", site.root / ".data")
