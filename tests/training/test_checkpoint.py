"""A checkpoint gives back every byte, and the newest two are kept."""

from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from icegan_jax.data.pipeline import fold_batches
from icegan_jax.training.checkpoint import FoldCheckpoints
from icegan_jax.training.state import TrainState, fold_key
from tests.training import tiny

PAIRS = tiny.pairs()


def state_at(step: int) -> TrainState:
    """Random numbers in the form of a training's state."""
    rng = np.random.default_rng(step)

    def params() -> dict[str, Any]:
        shape = (4, 4, 2, 3)
        return {"layer": {"kernel": jnp.asarray(rng.normal(size=shape), jnp.float32), "bias": jnp.zeros(3)}}

    g, d = params(), params()
    return TrainState(
        step=jnp.int32(step),
        key=fold_key(0, "a"),
        g_params=g,
        g_stats={"spectral": {"layer": {"direction": jnp.asarray(rng.normal(size=3), jnp.float32)}}},
        g_optimizer=optax.adam(1e-3).init(g),
        d_params=d,
        d_stats={},
        d_optimizer=optax.adam(optax.cosine_decay_schedule(1e-3, 10)).init(d),
    )


def iterator() -> Any:
    indices = np.flatnonzero(PAIRS.subject != "s0")
    return fold_batches(PAIRS, indices, batch_size=5, seed=7, mirror=True)


def test_state_and_iterator_come_back_as_they_were(tmp_path: Path) -> None:
    batches = iterator()
    for _ in range(3):
        next(batches)
    state = state_at(12)
    with FoldCheckpoints(tmp_path) as store:
        store.save(state, batches.get_state())
    wanted = next(batches)

    with FoldCheckpoints(tmp_path) as store:
        assert store.steps() == {12}
        restored, position = store.restore(12, state_at(0))
    chex.assert_trees_all_equal_shapes_and_dtypes(restored.replace(key=None), state.replace(key=None))
    for found, saved in zip(*(jax.tree.leaves(s.replace(key=None)) for s in (restored, state)), strict=True):
        assert np.asarray(found).tobytes() == np.asarray(saved).tobytes()
    chex.assert_trees_all_equal(*(jax.random.key_data(s.key) for s in (restored, state)))
    resumed = iterator()
    resumed.set_state(position)
    found = next(resumed)
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    with FoldCheckpoints(tmp_path) as store:
        for step in (2, 4, 6):
            store.save(state_at(step), iterator().get_state())
        assert store.steps() == {4, 6}
    assert {path.name for path in (tmp_path / "checkpoints").iterdir() if path.name.isdigit()} == {"4", "6"}


def test_an_empty_folder_has_no_steps(tmp_path: Path) -> None:
    with FoldCheckpoints(tmp_path) as store:
        assert store.steps() == set()


def test_a_half_written_checkpoint_does_not_count(tmp_path: Path) -> None:
    """Orbax writes into a folder with another name and renames it when whole."""
    with FoldCheckpoints(tmp_path) as store:
        store.save(state_at(2), iterator().get_state())
    half = tmp_path / "checkpoints" / "4.orbax-checkpoint-tmp" / "state"
    half.mkdir(parents=True)
    (half / "part").write_text("...")
    with FoldCheckpoints(tmp_path) as store:
        assert store.steps() == {2}
        store.save(state_at(4), iterator().get_state())
        assert store.steps() == {2, 4}
