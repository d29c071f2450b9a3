"""Damage to the tree: what is gone, strange, doubled, renamed or in another's place."""

import os
import shutil
from pathlib import Path

from tests.data.fuzz.workspace import IMAGES, TABLES, Workspace


def delete_frames(workspace: Workspace) -> None:
    """Remove one frame, some, or all but one of a clip."""
    folder = workspace.rng.choice(workspace.clip_folders())
    frames = sorted(folder.iterdir())
    gone = workspace.rng.sample(frames, workspace.rng.choice((1, 1, 3, len(frames) - 1)))
    for path in gone:
        path.unlink()
    workspace.record_damage(f"{len(gone)} frames deleted", *gone)


def delete_folder(workspace: Workspace) -> None:
    """Remove or empties a clip's folder, or removes a folder above it."""
    folder = workspace.rng.choice(workspace.clip_folders())
    kind = workspace.rng.choice(("clip", "emptied", "subject", "more"))
    for _ in range({"subject": 1, "more": workspace.rng.choice((2, 3))}.get(kind, 0)):
        if folder.parent != workspace.sources:
            folder = folder.parent
    shutil.rmtree(folder)
    if kind == "emptied":
        folder.mkdir()
    workspace.record_damage(f"deleted ({kind})", folder)


def delete_table(workspace: Workspace) -> None:
    path = workspace.pick(TABLES)
    path.unlink()
    workspace.record_damage("deleted", path)


def delete_anything(workspace: Workspace) -> None:
    """Remove some files, whatever they are."""
    gone = workspace.rng.sample(workspace.files(), workspace.rng.choice((3, 10, 40)))
    for path in gone:
        path.unlink()
    workspace.record_damage("deleted", *gone)


def strange_file(workspace: Workspace) -> None:
    """Put a file of text among the frames, under a name that is or is not a frame's."""
    folder = workspace.rng.choice(workspace.clip_folders())
    some = workspace.rng.choice(sorted(folder.iterdir()))
    kind = workspace.rng.choice(("notes.txt", "Thumbs.db", "notes 2.jpg", "empty.jpg", "999.png", "._" + some.name))
    path = folder / kind
    path.write_bytes(b"" if kind == "empty.jpg" else b"some notes about this clip\n")
    workspace.record_damage("text among the frames", path)


def strange_name(workspace: Workspace) -> None:
    """Copy a frame, within its folder, to a name that collides, is absurd, or is no text."""
    some = workspace.pick(IMAGES)
    name = workspace.rng.choice(
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
    workspace.record_damage("frame copied to", path)


def strange_folder(workspace: Workspace) -> None:
    """Rename or copies a clip's folder to a name that is no text, or holds a line break."""
    folder = workspace.rng.choice(workspace.clip_folders())
    name = workspace.rng.choice((b"\xff", b" \n", b"'\"", "\u202e".encode()))
    path = folder.with_name(folder.name + os.fsdecode(name))
    if workspace.rng.random() < 0.5:
        shutil.copytree(folder, path)
    else:
        folder.rename(path)
    workspace.record_damage("folder called", folder, path)


def swap_files(workspace: Workspace) -> None:
    """Give two files, of any kind, each the other's name."""
    a, b = workspace.rng.sample(workspace.files(), 2)
    workspace.swap(a, b)
    workspace.record_damage("swapped", a, b)


def swap_frames(workspace: Workspace) -> None:
    """Swap two frames of a clip, or of two clips."""
    folders = workspace.rng.choices(workspace.clip_folders(), k=2)
    if workspace.rng.random() < 0.5:
        folders[1] = folders[0]
    a, b = (workspace.rng.choice(sorted(folder.iterdir())) for folder in folders)
    if a != b:
        workspace.swap(a, b)
    workspace.record_damage("frames swapped", a, b)


def swap_folders(workspace: Workspace) -> None:
    """Swap the folders of two clips, or of two people."""
    a, b = workspace.rng.sample(workspace.clip_folders(), 2)
    if workspace.rng.random() < 0.3 and a.parent.parent == b.parent.parent and a.parent != b.parent:
        a, b = a.parent, b.parent
    workspace.swap(a, b)
    workspace.record_damage("folders swapped", a, b)


def swap_tables(workspace: Workspace) -> None:
    """Swap two tables: the wrong workbook, a csv under a workbook's name."""
    a, b = workspace.rng.sample(workspace.files(TABLES), 2)
    workspace.swap(a, b)
    workspace.record_damage("tables swapped", a, b)


def rename(workspace: Workspace) -> None:
    """Change a character in the name of a frame, a clip's folder, a folder above it, or a table."""
    path = workspace.rng.choice(
        (workspace.pick(IMAGES), workspace.rng.choice(workspace.clip_folders()), workspace.pick(TABLES))
    )
    for _ in range(workspace.rng.choice((0, 0, 1, 2))):
        if path.parent != workspace.sources:
            path = path.parent
    i = workspace.rng.randrange(len(path.name))
    other = workspace.rng.choice("0123456789abcxyzES_- ")
    target = path.with_name(path.name[:i] + other + path.name[i + 1 :])
    if not target.exists():
        path.rename(target)
    workspace.record_damage("renamed", path, target)


def copy(workspace: Workspace) -> None:
    """Double a clip's folder elsewhere or under another number, or a table under another name."""
    if workspace.rng.random() < 0.4:
        path = workspace.pick(TABLES)
        target = path.with_name(workspace.rng.choice(("copy of ", "~$", "2021_")) + path.name)
        shutil.copyfile(path, target)
    else:
        path = workspace.rng.choice(workspace.clip_folders())
        target = workspace.rng.choice(
            (path.with_name(path.name + "_2"), path.parent / "backup" / path.name, path / path.name)
        )
        if target.is_relative_to(path):
            shutil.copytree(path, workspace.root / "aside")
            (workspace.root / "aside").rename(target)
        else:
            shutil.copytree(path, target)
    workspace.record_damage("copied", target)


def other_kind(workspace: Workspace) -> None:
    """A folder in a file's place, a file in a folder's, or links that lead nowhere or in a circle."""
    kind = workspace.rng.choice(("folder", "file", "dangling", "circle", "link to the folder above"))
    path: Path = workspace.pick((*IMAGES, *TABLES))
    if kind in ("file", "link to the folder above"):
        path = workspace.rng.choice(workspace.clip_folders())
    workspace.remove(path)
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
    workspace.record_damage(f"became a {kind}", path)
