"""Many folds in parallel equal each fold alone: vmap over folds, pmap over devices, scan over steps."""

import functools
from types import SimpleNamespace
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax.training import parallel as parallel_module
from icegan_jax.training.inference import predict, synthesize_classes
from icegan_jax.training.parallel import (
    CompiledProgram,
    FoldLayout,
    ParallelPrograms,
    build_programs,
    fold_map,
    loop_folds,
    vmap_folds,
)
from icegan_jax.training.state import TrainState, create_state, fold_key
from icegan_jax.training.train_step import train_step
from tests.training import tiny

FOLDS, STEPS = 4, 2
MODELS = tiny.models()
# On one fold.
one_state = jax.jit(functools.partial(create_state, MODELS))
one_update = jax.jit(functools.partial(train_step, MODELS))


def stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def reshaped(tree: Any, layout: tuple[int, int]) -> Any:
    """[folds, ...] to [r, f, ...]."""
    return jax.tree.map(lambda leaf: leaf.reshape(*layout, *leaf.shape[1:]), tree)


def flat(tree: Any) -> Any:
    """[r, f, ...] to numpy [folds, ...], random keys left out."""
    tree = tree.replace(key=None) if isinstance(tree, TrainState) else tree
    return jax.tree.map(lambda leaf: np.asarray(leaf).reshape(FOLDS, *leaf.shape[2:]), tree)


@pytest.fixture(scope="module")
def states() -> TrainState:
    """The folds' initial states, leading axis [folds]."""
    return stack([one_state(fold_key(0, str(fold))) for fold in range(FOLDS)])


@pytest.fixture(scope="module")
def batches() -> dict[str, jax.Array]:
    """Leading axes [folds, steps]."""
    return stack([stack([tiny.batch(STEPS * fold + step) for step in range(STEPS)]) for fold in range(FOLDS)])


@pytest.fixture(scope="module")
def one_by_one(states: TrainState, batches: dict[str, jax.Array]) -> tuple[Any, Any]:
    """Each fold by itself, one update at a time: states [folds, ...] and terms [folds, steps]."""
    after, terms = [], []
    for fold in range(FOLDS):
        state = jax.tree.map(lambda leaf, fold=fold: leaf[fold], states)
        log = []
        for step in range(STEPS):
            batch = {name: value[fold, step] for name, value in batches.items()}
            state, metrics = one_update(state, batch)
            log.append(metrics)
        after.append(state.replace(key=None))
        terms.append(stack(log))
    return stack(after), stack(terms)


def test_a_cpu_loops_over_folds_and_an_accelerator_uses_vmap() -> None:
    gpu: Any = SimpleNamespace(platform="gpu")
    assert (fold_map(jax.local_devices()[0]), fold_map(gpu)) == (loop_folds, vmap_folds)


@pytest.fixture(scope="module")
def wide() -> ParallelPrograms:
    """All folds on one device, by vmap."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(parallel_module, "fold_map", lambda _: vmap_folds)  # as on an accelerator
        return build_programs(MODELS, jax.local_devices()[:1])


def run(programs: ParallelPrograms, layout: tuple[int, int], states: TrainState, batches: Any) -> tuple[Any, Any]:
    after, metrics = programs.train_steps(reshaped(states, layout), reshaped(batches, layout))
    return flat(after), flat(metrics)


def assert_equal_but_for_rounding(actual: tuple[Any, Any], expected: tuple[Any, Any], first: TrainState) -> None:
    """States and metrics computed by matrix products of another shape, whose sums run in another order.

    A parameter may differ by a fiftieth of the largest move of its array (2e-4 unless it stands before a norm),
    anything else by a thousandth of its array's largest value.
    """
    chex.assert_trees_all_equal_shapes_and_dtypes(actual[0], expected[0])
    for part in ("g_params", "d_params"):
        three = (jax.tree.leaves(getattr(state, part)) for state in (actual[0], expected[0], first))
        for ours, theirs, before in zip(*three, strict=True):
            moved = np.max(np.abs(theirs - before))
            assert np.max(np.abs(ours - theirs)) <= moved / 50 + 2e-6
    rest = [(state.replace(g_params=None, d_params=None), metrics) for state, metrics in (actual, expected)]
    for ours, theirs in zip(*map(jax.tree.leaves, rest), strict=True):
        assert np.max(np.abs(ours - theirs)) <= 1e-3 * np.max(np.abs(theirs)) + 1e-6


def test_folds_in_parallel_equal_each_fold_alone(
    wide: ParallelPrograms, states: TrainState, batches: Any, one_by_one: tuple[Any, Any]
) -> None:
    assert_equal_but_for_rounding(run(wide, (1, FOLDS), states, batches), one_by_one, states)


def test_four_devices_equal_one(states: TrainState, batches: Any, one_by_one: tuple[Any, Any]) -> None:
    devices = jax.local_devices()
    assert len(devices) == FOLDS
    actual = run(build_programs(MODELS, devices), (FOLDS, 1), states, batches)
    assert_equal_but_for_rounding(actual, one_by_one, states)


def test_folds_are_independent(wide: ParallelPrograms, states: TrainState, batches: Any) -> None:
    """With other states and faces in the other folds, a fold's result has the same bytes."""

    def others(leaf: jax.Array) -> jax.Array:
        return jnp.concatenate([leaf[:1], jnp.roll(leaf[1:], 1, axis=0)])

    before = run(wide, (1, FOLDS), states, batches)
    after = run(wide, (1, FOLDS), jax.tree.map(others, states), jax.tree.map(others, batches))
    own = jax.tree.map(lambda leaf: leaf[0], (before, after))
    chex.assert_trees_all_equal(*own)
    neighbor = jax.tree.map(lambda leaf: leaf[1], (before, after))
    assert np.any(neighbor[0][0].g_params["up_1"]["kernel"] != neighbor[1][0].g_params["up_1"]["kernel"])


def test_initial_states_equal_those_of_one_fold(wide: ParallelPrograms, states: TrainState) -> None:
    keys = jnp.stack([fold_key(0, str(fold)) for fold in range(FOLDS)]).reshape(1, FOLDS)
    chex.assert_trees_all_close(flat(wide.create_state(keys)), states.replace(key=None), rtol=1e-5, atol=1e-6)


def test_recognition_and_synthesis_of_many_folds(wide: ParallelPrograms, states: TrainState, batches: Any) -> None:
    layout = (1, FOLDS)
    onset, apex = batches["onset"][:, 0], batches["apex"][:, 0]
    lengths = flat(wide.predict(reshaped(states, layout), *reshaped((onset, apex), layout)))
    faces = flat(wide.synthesize_classes(reshaped(states, layout), reshaped(onset, layout)))
    chex.assert_shape(lengths, (FOLDS, tiny.BATCH, 3))
    chex.assert_shape(faces, (FOLDS, tiny.BATCH, 3, tiny.SIZE, tiny.SIZE))
    state = jax.tree.map(lambda leaf: leaf[2], states)
    alone = jax.jit(functools.partial(predict, MODELS))(state, onset[2], apex[2])
    chex.assert_trees_all_close(lengths[2], np.asarray(alone), rtol=1e-3, atol=1e-6)
    alone = jax.jit(functools.partial(synthesize_classes, MODELS))(state, onset[2])
    assert np.max(np.abs(faces[2].astype(int) - np.asarray(alone).astype(int))) <= 1


def test_another_shape_raises_an_error(wide: ParallelPrograms, states: TrainState, batches: Any) -> None:
    """``train_steps`` is compiled for calls of any length, every other program for one shape."""
    layout = (1, FOLDS)
    faces = reshaped((batches["onset"][:, 0], batches["apex"][:, 0]), layout)
    wide.predict(reshaped(states, layout), *faces)
    with pytest.raises(TypeError, match="other shapes than those"):
        wide.predict(reshaped(states, layout), *(face[:, :, :1] for face in faces))


def test_a_program_without_a_fixed_shape_is_compiled_for_each_shape_once() -> None:
    """As ``train_steps``: a resumed run with another ``steps_per_call`` has more than three lengths of calls."""
    compile_s: list[float] = []
    program = CompiledProgram(jax.pmap(lambda x: x + 1), None, compile_s, fixed_shape=False)
    for length in (10, 1, 5, 8, 10, 1):
        np.testing.assert_array_equal(program(np.zeros((1, length), np.float32)), np.ones((1, length)))
    assert len(compile_s) == 4


# Devices that share each batch.

SHARERS = 3  # of tiny.BATCH pairs, one each


def shared_states(actual: TrainState) -> TrainState:
    """[r, f, ...] to numpy [folds, ...], after a check that all devices have the same bytes."""
    arrays = jax.tree.map(np.asarray, actual.replace(key=None))
    for leaf in jax.tree.leaves(arrays):
        assert all(leaf[device].tobytes() == leaf[0].tobytes() for device in range(len(leaf)))
    return jax.tree.map(lambda leaf: leaf[0], arrays)


def test_devices_that_share_batches_equal_one_device(
    states: TrainState, batches: Any, one_by_one: tuple[Any, Any]
) -> None:
    """Two folds, each on all of three devices."""
    devices = tuple(jax.local_devices()[:SHARERS])
    programs, layout = build_programs(MODELS, devices, "batch"), FoldLayout(devices, 2, "batch")
    two = jax.tree.map(lambda leaf: leaf[:2], (states, batches, one_by_one))
    sharded = {name: layout.shard_batches(np.asarray(value)) for name, value in two[1].items()}
    assert sharded["onset"].shape == (SHARERS, 2, STEPS, 1, tiny.SIZE, tiny.SIZE, 1)
    after, metrics = programs.train_steps(
        layout.device_put(jax.tree.map(layout.shard, two[0])), layout.device_put(sharded)
    )
    actual = shared_states(after), {name: np.asarray(value)[0] for name, value in metrics.items()}
    assert_equal_but_for_rounding(actual, two[2], two[0])
