import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import ClipCrops, CropOptions, CropRepair
from icegan_jax.data.ingest import cache
from icegan_jax.errors import UserError

KEY = "0" * 64


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """Files that no test decodes."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for n in range(8):
        (folder / f"img{n}.png").write_bytes(b"frame %d" % n)
    return Clip("d", "anna", "a", 1, folder, 1, 4, 6)


@pytest.fixture
def cropped() -> ClipCrops:
    faces = np.random.default_rng(0).integers(0, 256, (4, 16, 16), np.uint8)
    changes = (CropRepair("apex", None, 4, "spotted"), CropRepair("face", 2, 1, "größtes"))
    return ClipCrops(4, (-1, 0, 1), faces[0], faces[1:], changes, 7)


def _same(one: ClipCrops | None, other: ClipCrops) -> bool:
    if one is None:
        return False
    fields = all(getattr(one, name) == getattr(other, name) for name in ("apex", "shifts", "changes", "frames"))
    return fields and np.array_equal(one.onset, other.onset) and np.array_equal(one.faces, other.faces)


def test_the_name_depends_on_all_that_the_pixels_depend_on(clip: Clip, tmp_path: Path) -> None:
    key = cache.cache_key(clip, CropOptions())
    assert len(key) == 64 and set(key) <= set("0123456789abcdef")
    others: dict[str, Callable[[], str]] = {
        "onset": lambda: cache.cache_key(replace(clip, onset=2), CropOptions()),
        "apex": lambda: cache.cache_key(replace(clip, apex=5), CropOptions()),
        "offset": lambda: cache.cache_key(replace(clip, offset=5), CropOptions()),
        "open apex": lambda: cache.cache_key(replace(clip, apex=None), CropOptions()),
        "method": lambda: cache.cache_key(replace(clip, apex=None), CropOptions(apex="ratio")),
        "register": lambda: cache.cache_key(clip, CropOptions(register="none")),
        "size": lambda: cache.cache_key(clip, CropOptions(size=64)),
    }
    keys = {name: other() for name, other in others.items()}
    elsewhere = tmp_path / "elsewhere"
    clip.frames.rename(elsewhere)
    keys["place"] = cache.cache_key(replace(clip, frames=elsewhere), CropOptions())
    elsewhere.rename(clip.frames)
    assert len({key, *keys.values()}) == len(keys) + 1
    # What changes no pixel of this clip.
    assert cache.cache_key(clip, CropOptions()) == key
    assert cache.cache_key(replace(clip, subject="bob", clip="b", label=2), CropOptions()) == key
    assert cache.cache_key(clip, CropOptions(apex="middle", skip_damaged=True)) == key


@pytest.mark.parametrize("number", [1, 4, 6])
def test_a_changed_frame_changes_the_name(clip: Clip, number: int) -> None:
    key = cache.cache_key(clip, CropOptions())
    (clip.frames / "img7.png").write_bytes(b"beyond the offset")
    (clip.frames / "notes.txt").touch()
    assert cache.cache_key(clip, CropOptions()) == key
    file = clip.frames / f"img{number}.png"
    before = file.stat()
    file.write_bytes(b"FRAME %d" % number)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a copying program does
    changed = cache.cache_key(clip, CropOptions())
    file.unlink()
    assert len({key, changed, cache.cache_key(clip, CropOptions())}) == 3


def test_a_changed_program_changes_the_name(clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    key = cache.cache_key(clip, CropOptions())
    monkeypatch.setattr(cache, "_package_digest", lambda: "another")
    assert cache.cache_key(clip, CropOptions()) != key


def test_missing_frames_are_an_error(clip: Clip) -> None:
    with pytest.raises(UserError, match="gone"):
        cache.cache_key(replace(clip, frames=clip.frames / "gone"), CropOptions())


def test_stores_and_loads(tmp_path: Path, cropped: ClipCrops) -> None:
    cache.store_in_cache(tmp_path / "cache", KEY, cropped)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [KEY]
    assert _same(cache.load_cached(tmp_path / "cache", KEY), cropped)
    assert cache.load_cached(tmp_path / "cache", "1" * 64) is None


def test_a_damaged_entry_is_none(tmp_path: Path, cropped: ClipCrops) -> None:
    cache.store_in_cache(tmp_path, KEY, cropped)
    whole = (tmp_path / KEY).read_bytes()
    for place in (0, 63, 64, 65, 100, 200, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        (tmp_path / KEY).write_bytes(damaged)
        assert cache.load_cached(tmp_path, KEY) is None, place
    for length in (0, 10, 64, 65, 300, len(whole) - 1):
        (tmp_path / KEY).write_bytes(whole[:length])
        assert cache.load_cached(tmp_path, KEY) is None, length
    (tmp_path / KEY).write_bytes(whole)
    assert _same(cache.load_cached(tmp_path, KEY), cropped)


def test_a_failed_write_leaves_no_entry(tmp_path: Path, cropped: ClipCrops, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cache.store_in_cache(tmp_path, KEY, cropped)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("links", [True, False])
def test_an_earlier_entry_is_reused(
    tmp_path: Path, cropped: ClipCrops, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(self: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", unsupported)
    new, old = tmp_path / "new", tmp_path / "old"
    assert cache.reuse_cached(new, old, KEY) is None
    cache.store_in_cache(old, KEY, cropped)
    assert _same(cache.reuse_cached(new, old, KEY), cropped)
    assert (new / KEY).read_bytes() == (old / KEY).read_bytes()
    assert (new / KEY).samefile(old / KEY) == links
    (old / KEY).write_bytes(b"damaged")
    if links:
        assert cache.reuse_cached(new, old, KEY) is None
    else:
        assert _same(cache.reuse_cached(new, old, KEY), cropped)
    (new / KEY).write_bytes(b"damaged")
    assert cache.reuse_cached(new, old, KEY) is None


def test_only_entries_in_use_are_kept(tmp_path: Path, cropped: ClipCrops) -> None:
    cache.store_in_cache(tmp_path, KEY, cropped)
    cache.store_in_cache(tmp_path, "1" * 64, cropped)
    (tmp_path / f"{KEY}.7.half").touch()
    cache.prune_cache(tmp_path, {KEY, "2" * 64})
    assert [p.name for p in tmp_path.iterdir()] == [KEY]
    cache.prune_cache(tmp_path / "none", set())


def test_an_entry_under_another_name_is_not_used(cropped: ClipCrops, tmp_path: Path) -> None:
    cache.store_in_cache(tmp_path, KEY, cropped)
    (tmp_path / KEY).rename(tmp_path / ("1" * 64))
    assert cache.load_cached(tmp_path, "1" * 64) is None


def test_a_broken_link_is_part_of_the_name(clip: Clip) -> None:
    key = cache.cache_key(clip, CropOptions())
    (clip.frames / "img3.png").unlink()
    (clip.frames / "img3.png").symlink_to(clip.frames / "gone")
    broken = cache.cache_key(clip, CropOptions())
    assert broken != key
    assert cache.cache_key(clip, CropOptions()) == broken
