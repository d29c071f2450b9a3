"""How many folds train side by side on a device, and the hint where memory ran out."""

from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.training import memory
from icegan_jax.training.memory import choose_folds_per_device, estimate_fold_bytes, out_of_memory_hint
from tests.training import tiny

MODELS = tiny.models()
AUTO = tiny.train_config(folds_per_device=0)


def choose(monkeypatch: pytest.MonkeyPatch, stats: dict[str, int] | None, folds: int, devices: int = 1) -> int:
    """Choose for folds of 100 bytes on accelerators with these memory statistics."""
    monkeypatch.setattr(memory, "estimate_fold_bytes", lambda *_: 100)
    made: Any = [SimpleNamespace(platform="gpu", memory_stats=lambda: stats)] * devices
    return choose_folds_per_device(MODELS, AUTO, made, folds)


@pytest.mark.parametrize(
    ("free", "folds", "devices", "expected"),
    [
        (1000, 9, 1, 5),  # eight fit into four fifths: groups of 5 and 4
        (1125, 9, 1, 9),
        (5000, 68, 1, 34),
        (500, 68, 8, 3),  # four fit: 3 groups of 24, the last of 20
        (1000, 3, 4, 1),
        (90, 5, 1, 1),
    ],
)
def test_as_many_folds_as_fit_in_groups_as_equal_as_possible(
    monkeypatch: pytest.MonkeyPatch, free: int, folds: int, devices: int, expected: int
) -> None:
    stats = {"bytes_limit": free + 10, "bytes_in_use": 10}
    assert choose(monkeypatch, stats, folds, devices) == expected


def test_one_fold_where_the_memory_is_not_known_and_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(monkeypatch, None, 9) == 1
    assert choose_folds_per_device(MODELS, AUTO, jax.local_devices(), 9) == 1
    assert choose_folds_per_device(MODELS, tiny.train_config(folds_per_device=4), jax.local_devices(), 9) == 4


def test_a_fold_needs_its_state_three_times_and_three_calls_of_batches_at_least() -> None:
    """The estimate is for the program's own state and batch, and what lies beside them on the device."""
    actual = estimate_fold_bytes(MODELS, AUTO, jax.local_devices()[:1])
    state = jax.eval_shape(lambda key: memory.build_programs(MODELS, jax.local_devices()[:1]).state_shapes(), 0)
    state_bytes = sum(np.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    batch_bytes = AUTO.steps_per_call * AUTO.batch_size * (2 * tiny.SIZE**2 + 4)
    assert actual > 3 * (state_bytes + batch_bytes)


@pytest.mark.parametrize("error", [jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"), MemoryError()])
def test_out_of_memory_names_the_fields_to_lower(error: Exception) -> None:
    with pytest.raises(UserError, match="folds_per_device .*batch_size .3. or --config.model.width"):
        with out_of_memory_hint(AUTO):
            raise error
    with pytest.raises(ValueError, match="other"), out_of_memory_hint(AUTO):
        raise ValueError("other")
