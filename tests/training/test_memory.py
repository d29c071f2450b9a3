"""Free memory, read from fabricated files of Linux and from what an accelerator says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import pytest

from icegan_jax.training.memory import free_bytes

CPU: Any = SimpleNamespace(platform="cpu")
MIB = 2**20


def accelerator(stats: dict[str, int] | None) -> Any:
    return SimpleNamespace(platform="gpu", memory_stats=lambda: stats)


def linux(root: Path, available_mib: int, groups: dict[str, tuple[str, int, int]], own: str = "/a/b") -> Path:
    """``groups``: memory.max, then memory.current and inactive_file in MiB."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable:   {available_mib * 1024} kB\n")
    (root / "proc/self/cgroup").write_text(f"0::{own}\n")
    for name, (limit, current, file) in groups.items():
        folder = root / "sys/fs/cgroup" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{current * MIB}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {file * MIB}\n")
    return root


def test_this_machine_s_own_memory() -> None:
    free = free_bytes(jax.local_devices()[0])
    assert free is not None and free > 0


def test_what_linux_calls_available(tmp_path: Path) -> None:
    assert free_bytes(CPU, linux(tmp_path, 1000, {"a/b": ("max", 10, 0)})) == 1000 * MIB


@pytest.mark.parametrize("name", ["a/b", "a", ""])
def test_a_control_group_s_limit_binds_where_it_is_lower(tmp_path: Path, name: str) -> None:
    """Its own, or one above; file pages that can be given back do not count as used."""
    groups = {name: (str(500 * MIB), 300, 40)}
    assert free_bytes(CPU, linux(tmp_path, 1000, groups)) == 240 * MIB


def test_another_group_s_limit_does_not_bind(tmp_path: Path) -> None:
    assert free_bytes(CPU, linux(tmp_path, 1000, {"c": (str(500 * MIB), 300, 0)})) == 1000 * MIB


def test_the_memory_available_binds_where_it_is_lower(tmp_path: Path) -> None:
    assert free_bytes(CPU, linux(tmp_path, 100, {"a/b": (str(500 * MIB), 300, 0)})) == 100 * MIB


def test_a_group_that_took_more_than_its_limit_leaves_nothing(tmp_path: Path) -> None:
    assert free_bytes(CPU, linux(tmp_path, 100, {"a/b": (str(500 * MIB), 600, 0)})) == 0


def test_no_linux(tmp_path: Path) -> None:
    assert free_bytes(CPU, tmp_path) is None


def test_an_accelerator_tells_its_own() -> None:
    assert free_bytes(accelerator({"bytes_limit": 1000, "bytes_in_use": 300})) == 700
    assert free_bytes(accelerator({"bytes_limit": 1000})) == 1000


@pytest.mark.parametrize("stats", [None, {}, {"bytes_in_use": 5}])
def test_an_accelerator_that_tells_nothing(stats: Any) -> None:
    assert free_bytes(accelerator(stats)) is None
