"""Damage to the tree: what is gone, strange, doubled, renamed or in another's place."""

import os
import shutil
from pathlib import Path

from tests.data.fuzz.site import IMAGES, TABLES, Site


def delete_frames(site: Site) -> None:
    """Removes one frame, some, or all but one of a clip."""
    folder = site.rng.choice(site.clip_folders())
    frames = sorted(folder.iterdir())
    gone = site.rng.sample(frames, site.rng.choice((1, 1, 3, len(frames) - 1)))
    for path in gone:
        path.unlink()
    site.hit(f"{len(gone)} frames deleted", *gone)


def delete_folder(site: Site) -> None:
    """Removes or empties a clip's folder, or removes a folder above it."""
    folder = site.rng.choice(site.clip_folders())
    kind = site.rng.choice(("clip", "emptied", "subject", "more"))
    for _ in range({"subject": 1, "more": site.rng.choice((2, 3))}.get(kind, 0)):
        if folder.parent != site.world:
            folder = folder.parent
    shutil.rmtree(folder)
    if kind == "emptied":
        folder.mkdir()
    site.hit(f"deleted ({kind})", folder)


def delete_table(site: Site) -> None:
    path = site.pick(TABLES)
    path.unlink()
    site.hit("deleted", path)


def delete_anything(site: Site) -> None:
    """Removes some files, whatever they are."""
    gone = site.rng.sample(site.files(), site.rng.choice((3, 10, 40)))
    for path in gone:
        path.unlink()
    site.hit("deleted", *gone)


def strange_file(site: Site) -> None:
    """Puts a file of text among the frames, under a name that is or is not a frame's."""
    folder = site.rng.choice(site.clip_folders())
    some = site.rng.choice(sorted(folder.iterdir()))
    kind = site.rng.choice(("notes.txt", "Thumbs.db", "notes 2.jpg", "empty.jpg", "999.png", "._" + some.name))
    path = folder / kind
    path.write_bytes(b"" if kind == "empty.jpg" else b"some notes about this clip\n")
    site.hit("text among the frames", path)


def strange_name(site: Site) -> None:
    """Copies a frame, within its folder, to a name that collides, is absurd, or is no text."""
    some = site.pick(IMAGES)
    name = site.rng.choice(
        (
            os.fsencode(f"copy of {some.name}"),
            os.fsencode(f"{some.stem} (2).jpg"),
            b"img" + b"9" * 120 + b".jpg",
            b"line\nbreak 12.jpg",
            b"frame\xff\xfe 7.jpg",
            "img\u0664\u0666.jpg".encode(),
            b"-1.jpg",
        )
    )
    path = some.parent / os.fsdecode(name)
    path.unlink(missing_ok=True)
    shutil.copyfile(some, path)
    site.hit("frame copied to", path)


def strange_folder(site: Site) -> None:
    """Renames or copies a clip's folder to a name that is no text, or holds a line break."""
    folder = site.rng.choice(site.clip_folders())
    name = site.rng.choice((b"\xff", b" \n", b"'\"", "\u202e".encode()))
    path = folder.with_name(folder.name + os.fsdecode(name))
    if site.rng.random() < 0.5:
        shutil.copytree(folder, path)
    else:
        folder.rename(path)
    site.hit("folder called", folder, path)


def swap_files(site: Site) -> None:
    """Gives two files, of any kind, each the other's name."""
    a, b = site.rng.sample(site.files(), 2)
    site.swap(a, b)
    site.hit("swapped", a, b)


def swap_frames(site: Site) -> None:
    """Swaps two frames of a clip, or of two clips."""
    folders = site.rng.choices(site.clip_folders(), k=2)
    if site.rng.random() < 0.5:
        folders[1] = folders[0]
    a, b = (site.rng.choice(sorted(folder.iterdir())) for folder in folders)
    if a != b:
        site.swap(a, b)
    site.hit("frames swapped", a, b)


def swap_folders(site: Site) -> None:
    """Swaps the folders of two clips, or of two people."""
    a, b = site.rng.sample(site.clip_folders(), 2)
    if site.rng.random() < 0.3 and a.parent.parent == b.parent.parent and a.parent != b.parent:
        a, b = a.parent, b.parent
    site.swap(a, b)
    site.hit("folders swapped", a, b)


def swap_tables(site: Site) -> None:
    """Swaps two tables: the wrong workbook, a csv under a workbook's name."""
    a, b = site.rng.sample(site.files(TABLES), 2)
    site.swap(a, b)
    site.hit("tables swapped", a, b)


def rename(site: Site) -> None:
    """Changes a character in the name of a frame, a clip's folder, a folder above it, or a table."""
    path = site.rng.choice((site.pick(IMAGES), site.rng.choice(site.clip_folders()), site.pick(TABLES)))
    for _ in range(site.rng.choice((0, 0, 1, 2))):
        if path.parent != site.world:
            path = path.parent
    i = site.rng.randrange(len(path.name))
    other = site.rng.choice("0123456789abcxyzES_- ")
    target = path.with_name(path.name[:i] + other + path.name[i + 1 :])
    if not target.exists():
        path.rename(target)
    site.hit("renamed", path, target)


def copy(site: Site) -> None:
    """Doubles a clip's folder elsewhere or under another number, or a table under another name."""
    if site.rng.random() < 0.4:
        path = site.pick(TABLES)
        target = path.with_name(site.rng.choice(("copy of ", "~$", "2021_")) + path.name)
        shutil.copyfile(path, target)
    else:
        path = site.rng.choice(site.clip_folders())
        target = site.rng.choice(
            (path.with_name(path.name + "_2"), path.parent / "backup" / path.name, path / path.name)
        )
        if target.is_relative_to(path):
            shutil.copytree(path, site.root / "aside")
            (site.root / "aside").rename(target)
        else:
            shutil.copytree(path, target)
    site.hit("copied", target)


def other_kind(site: Site) -> None:
    """A folder in a file's place, a file in a folder's, or links that lead nowhere or in a circle."""
    kind = site.rng.choice(("folder", "file", "dangling", "circle", "link to the folder above"))
    path: Path = site.pick((*IMAGES, *TABLES))
    if kind in ("file", "link to the folder above"):
        path = site.rng.choice(site.clip_folders())
    site.remove(path)
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_bytes(b"a file")
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "circle":
        path.symlink_to(path.name)
    else:
        path.symlink_to("..")
    site.hit(f"became a {kind}", path)
