import os
from pathlib import Path

import pytest

from icegan_jax.data.ingest.scan import scan_folders
from icegan_jax.errors import UserError
from tests.data.databases.write_files import write_frames


def test_folders_of_images_and_videos_at_any_depth(tmp_path: Path) -> None:
    deep = write_frames(tmp_path, "a/b/c/d/e/s01/s1_ne_01", ["image034238.JPG"])
    shallow = write_frames(tmp_path, "006_1_2", ["006_05562.bmp", "notes.txt"])
    both = write_frames(tmp_path, "s2", ["clip1.avi", "clip2.MP4", "1.png"])
    write_frames(tmp_path, "texts", ["1.txt", "cover.jpg", "readme.pdf"])
    write_frames(tmp_path, ".hidden", ["1.jpg"])
    write_frames(tmp_path, "__MACOSX/006", ["1.jpg"])
    write_frames(tmp_path, "", ["figure1.jpg", ".12.jpg"])
    parts_by_path = {clip.path: clip.parts for clip in scan_folders(tmp_path).clips}
    root = tmp_path.name
    assert parts_by_path == {
        shallow: (root, "006_1_2"),
        deep: (root, "a", "b", "c", "d", "e", "s01", "s1_ne_01"),
        both: (root, "s2"),
        both / "clip1.avi": (root, "s2", "clip1"),
        both / "clip2.MP4": (root, "s2", "clip2"),
    }
    assert [clip.path for clip in scan_folders(tmp_path).clips] == sorted(parts_by_path)
    clip = scan_folders(tmp_path).clips[-1]
    assert (clip.name, clip.parent) == ("clip2", "s2")


def test_archives(tmp_path: Path) -> None:
    write_frames(tmp_path, "packs", ["Cropped.ZIP", "raw.7z"])
    tree = scan_folders(tmp_path)
    assert not tree.clips
    assert [path.name for path in tree.archives] == ["Cropped.ZIP", "raw.7z"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    clip = write_frames(tmp_path, "data/sub01/EP01")
    (clip.parent / "back").symlink_to(tmp_path / "data", target_is_directory=True)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "again").symlink_to(tmp_path / "data", target_is_directory=True)
    assert [c.parts[1:] for c in scan_folders(tmp_path).clips] == [
        ("again", "sub01", "EP01"),
        ("data", "sub01", "EP01"),
    ]


def test_a_missing_root_and_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder; give the folder of the unpacked database"):
        scan_folders(tmp_path / "nowhere")
    (tmp_path / "SMIC.zip").touch()
    with pytest.raises(UserError, match="SMIC.zip: a file; unpack it and give the folder"):
        scan_folders(tmp_path / "SMIC.zip")


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_frames(tmp_path, "sub01/EP01")

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\); correct its permissions"):
        scan_folders(tmp_path)
