"""Which fold lies where: what is laid out comes back, and lies on its device."""

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
layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.leading} {layout.parallel}")
FOLDS = 4


def state_of(fold: int) -> TrainState:
    """Arrays that tell their fold."""
    rng = np.random.default_rng(fold)

    def arrays() -> dict[str, Any]:
        return {"kernel": rng.normal(size=(2, 3)).astype(np.float32), "scale": np.float32(fold)}

    parts = {name: arrays() for name in ("g_params", "g_stats", "g_opt_state", "d_params", "d_stats", "d_opt_state")}
    return TrainState(step=np.int32(7), key=fold_key(0, str(fold)), **parts)


@layouts
def test_what_is_laid_comes_back(layout: FoldLayout) -> None:
    assert layout.folds == FOLDS
    values = np.arange(FOLDS * 6, dtype=np.float32).reshape(FOLDS, 2, 3)
    for laid in (layout.shard(values), layout.shard(jnp.asarray(values))):
        assert laid.shape == (*layout.leading_shape, 2, 3)
        np.testing.assert_array_equal(layout.gather(laid), values)


@layouts
def test_states_are_joined_and_parted(layout: FoldLayout) -> None:
    states = [state_of(fold) for fold in range(FOLDS)]
    joined = layout.stack_states(states)
    for leaf in jax.tree.leaves(joined):
        assert leaf.shape[:2] == layout.leading_shape
        assert leaf.sharding.device_set == set(layout.devices)
    for fold, wanted in enumerate(states):
        found = layout.take_state(joined, fold)
        for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            assert ours.dtype == theirs.dtype
            ours, theirs = (jax.random.key_data(leaf) if is_key(leaf) else leaf for leaf in (ours, theirs))
            chex.assert_trees_all_equal(np.asarray(ours), np.asarray(theirs))


def test_each_fold_lies_on_its_device_alone() -> None:
    layout = FoldLayout(DEVICES[:2], 2)
    laid = layout.device_put(layout.shard(np.arange(4)))
    held = {shard.device: np.asarray(shard.data).tolist() for shard in laid.addressable_shards}
    assert held == {DEVICES[0]: [[0, 1]], DEVICES[1]: [[2, 3]]}


def test_devices_that_share_batches_hold_all_folds_and_a_share_of_each_batch() -> None:
    layout = FoldLayout(DEVICES[:2], 3, "batch")
    laid = layout.device_put(layout.shard(np.arange(3)))
    assert {str(np.asarray(shard.data).tolist()) for shard in laid.addressable_shards} == {"[[0, 1, 2]]"}
    batches = np.arange(3 * 5 * 4).reshape(3, 5, 4)  # folds, steps, pairs
    shares = layout.shard_batches(batches)
    assert shares.shape == (2, 3, 5, 2)
    np.testing.assert_array_equal(np.concatenate(list(shares), axis=2), batches)


def test_batches_of_devices_with_folds_of_their_own() -> None:
    batches = np.arange(4 * 5 * 3).reshape(4, 5, 3)
    np.testing.assert_array_equal(FoldLayout(DEVICES[:2], 2).shard_batches(batches), batches.reshape(2, 2, 5, 3))
