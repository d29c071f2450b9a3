"""Arrays and states of folds are sharded over devices and gathered again."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax.training.parallel import FoldLayout
from icegan_jax.training.state import TrainState, fold_key, is_key

DEVICES = tuple(jax.local_devices())
LAYOUTS = [
    FoldLayout(DEVICES[:1], 4),
    FoldLayout(DEVICES[:2], 2),
    FoldLayout(DEVICES, 1),
    FoldLayout(DEVICES[:2], 4, "batch"),
]
layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.leading_shape} {layout.parallel}")
FOLDS = 4


def state_of(fold: int) -> TrainState:
    """Arrays with values that identify the fold."""
    rng = np.random.default_rng(fold)

    def arrays() -> dict[str, Any]:
        return {"kernel": rng.normal(size=(2, 3)).astype(np.float32), "scale": np.float32(fold)}

    parts = {name: arrays() for name in ("g_params", "g_stats", "g_opt_state", "d_params", "d_stats", "d_opt_state")}
    return TrainState(step=np.int32(7), key=fold_key(0, str(fold)), **parts)


@layouts
def test_gather_is_the_inverse_of_shard(layout: FoldLayout) -> None:
    assert layout.folds == FOLDS
    values = np.arange(FOLDS * 6, dtype=np.float32).reshape(FOLDS, 2, 3)
    for sharded in (layout.shard(values), layout.shard(jnp.asarray(values))):
        assert sharded.shape == (*layout.leading_shape, 2, 3)
        np.testing.assert_array_equal(layout.gather(sharded), values)


@layouts
def test_states_are_stacked_and_taken(layout: FoldLayout) -> None:
    states = [state_of(fold) for fold in range(FOLDS)]
    stacked = layout.stack_states(states)
    for leaf in jax.tree.leaves(stacked):
        assert leaf.shape[:2] == layout.leading_shape
        assert leaf.sharding.device_set == set(layout.devices)
    for fold, expected in enumerate(states):
        actual = layout.take_state(stacked, fold)
        for ours, theirs in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
            assert ours.dtype == theirs.dtype
            ours, theirs = (jax.random.key_data(leaf) if is_key(leaf) else leaf for leaf in (ours, theirs))
            chex.assert_trees_all_equal(np.asarray(ours), np.asarray(theirs))


def test_each_fold_is_on_its_device_alone() -> None:
    layout = FoldLayout(DEVICES[:2], 2)
    sharded = layout.device_put(layout.shard(np.arange(4)))
    held = {shard.device: np.asarray(shard.data).tolist() for shard in sharded.addressable_shards}
    assert held == {DEVICES[0]: [[0, 1]], DEVICES[1]: [[2, 3]]}


def test_devices_that_share_batches_have_all_folds_and_a_shard_of_each_batch() -> None:
    layout = FoldLayout(DEVICES[:2], 3, "batch")
    sharded = layout.device_put(layout.shard(np.arange(3)))
    assert {str(np.asarray(shard.data).tolist()) for shard in sharded.addressable_shards} == {"[[0, 1, 2]]"}
    batches = np.arange(3 * 5 * 4).reshape(3, 5, 4)  # folds, steps, pairs
    shards = layout.shard_batches(batches)
    assert shards.shape == (2, 3, 5, 2)
    np.testing.assert_array_equal(np.concatenate(list(shards), axis=2), batches)


def test_batches_of_devices_with_their_own_folds() -> None:
    batches = np.arange(4 * 5 * 3).reshape(4, 5, 3)
    np.testing.assert_array_equal(FoldLayout(DEVICES[:2], 2).shard_batches(batches), batches.reshape(2, 2, 5, 3))
