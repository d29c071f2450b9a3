import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import ClipCrops, CropOptions, CropRepair
from icegan_jax.data.ingest import cache

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
    faces = np.random.default_rng(0).integers(0, 256, (7, 16, 16), np.uint8)
    changes = (CropRepair("apex", None, 4, "spotted"), CropRepair("face", 2, 1, "größtes"))
    return ClipCrops(4, (-1, 0, 1), faces[0], faces[1:4], changes, 7, rest=tuple(faces[4:]))


def _same(one: ClipCrops | None, other: ClipCrops) -> bool:
    if one is None:
        return False
    fields = all(getattr(one, name) == getattr(other, name) for name in ("apex", "shifts", "changes", "frames"))
    return fields and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("onset", "faces", "rest")
    )


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


def test_only_entries_in_use_are_kept(tmp_path: Path, cropped: ClipCrops) -> None:
    cache.store_in_cache(tmp_path, KEY, cropped)
    cache.store_in_cache(tmp_path, "1" * 64, cropped)
    (tmp_path / f"{KEY}.7.half").touch()
    cache.prune_cache(tmp_path, {KEY, "2" * 64})
    assert [p.name for p in tmp_path.iterdir()] == [KEY]
    cache.prune_cache(tmp_path / "none", set())


def test_an_entry_is_stored_and_reused_until_it_is_damaged(tmp_path: Path, cropped: ClipCrops) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    assert cache.reuse_cached(new, old, KEY) is None
    cache.store_in_cache(old, KEY, cropped)
    whole = (old / KEY).read_bytes()
    assert _same(cache.reuse_cached(new, old, KEY), cropped)
    assert [path.name for path in new.iterdir()] == [KEY] and (new / KEY).read_bytes() == whole
    (old / KEY).unlink()
    for damaged in (b"", whole[:-1], whole[:200]):
        (new / KEY).write_bytes(damaged)
        assert cache.reuse_cached(new, old, KEY) is None
    for place in range(0, len(whole), 7):
        (new / KEY).write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        loaded = cache.reuse_cached(new, old, KEY)
        assert loaded is None or _same(loaded, cropped)  # some bytes of a zip file hold times
    assert cache.reuse_cached(new, old, "1" * 64) is None
