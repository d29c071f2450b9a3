"""Free memory, by fabricated files of Linux and what an accelerator says; and what is said when there is none."""

import errno
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax.training.memory import explain, free_bytes
from tests.training import tiny

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


# When there is none left.

FEWER = (
    "lower --config.training.folds_per_device (8) with --force_resume, which goes on from the newest checkpoint; "
    "where that is not enough, "
)
SMALLER = f"in a new --workdir, lower --config.training.batch_size ({tiny.BATCH}), then --config.model.width"


def raised(action: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: B017 (jax's and numpy's own, whose class is what is tested)
        action()
    return caught.value


def test_a_device_that_has_no_room_really() -> None:
    """2**50 numbers are 4 PiB, more than an address space of 47 bits can name."""
    error = raised(lambda: jax.block_until_ready(jax.jit(lambda x: jnp.sort(jnp.broadcast_to(x, (2**50,))))(1.0)))
    assert "RESOURCE_EXHAUSTED" in str(error)
    actual = explain(error, tiny.train_config(folds_per_device=8))
    assert str(actual) == f"out of memory (4.19e+06 GiB more were wanted): {FEWER}{SMALLER}"


def test_a_host_that_has_no_room_really() -> None:
    error = raised(lambda: np.ones(2**50))
    assert str(explain(error, tiny.train_config(folds_per_device=1))) == (
        f"out of memory (8.39e+06 GiB more were wanted): {SMALLER}"
    )


@pytest.mark.parametrize(
    ("message", "amount"),
    [
        ("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 3435973837 bytes.\nPeak buffers:\n 1", "3.2 GiB"),
        ("RESOURCE_EXHAUSTED: Failed to allocate request for 2.99GiB (3206250496B) on device ordinal 0", "2.99 GiB"),
        ("RESOURCE_EXHAUSTED: Failed to allocate request for 512.00MiB (536870912B) on device ordinal 0", "0.5 GiB"),
        ("RESOURCE_EXHAUSTED: Attempting to allocate 3.20G. That was not possible. There are 1.5G free.", "3.2 GiB"),
        ("RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Exceeded hbm capacity by 4.50G.", "4.5 GiB"),
        ("INTERNAL: Failed call to cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY: out of memory", ""),
        ("INTERNAL: failed to create cublas handle: CUBLAS_STATUS_ALLOC_FAILED", ""),
    ],
)
def test_what_accelerators_say(message: str, amount: str) -> None:
    actual = explain(jax.errors.JaxRuntimeError(message), tiny.train_config(folds_per_device=8))
    expected = f" ({amount} more were wanted)" if amount else ""
    assert str(actual) == f"out of memory{expected}: {FEWER}{SMALLER}"


def test_folds_whose_number_the_memory_decided() -> None:
    train_config = tiny.train_config(folds_per_device=0)
    assert str(explain(MemoryError("std::bad_alloc"), train_config, 8)) == f"out of memory: {FEWER}{SMALLER}"
    assert str(explain(MemoryError(), train_config, 1)) == f"out of memory: {SMALLER}"
    assert "folds_per_device (as chosen) with" in str(explain(MemoryError(), train_config))


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (jax.errors.JaxRuntimeError("INVALID_ARGUMENT: Executable expected shape"), False),
        (ValueError("out of memory"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_other_errors_are_not_explained_so(error: BaseException, memory: bool) -> None:
    assert (explain(error, tiny.train_config()) is not None) == memory
