"""Random keys are derived from names; states can be built from shapes alone."""

import jax
import numpy as np

from icegan_jax.training.state import create_state, derive_key, fold_key
from tests.training import tiny


def bits(key: jax.Array) -> tuple[int, ...]:
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_a_fold_s_key_depends_on_seed_and_name() -> None:
    assert bits(fold_key(0, "casme2_sub01")) == bits(fold_key(0, "casme2_sub01"))
    folds = [(seed, fold) for seed in (0, 1) for fold in ("casme2_sub01", "casme2_sub02", "smic_sub01")]
    assert len({bits(fold_key(*fold)) for fold in folds}) == len(folds)


def test_streams_differ() -> None:
    key = fold_key(0, "a")
    names = ("generator", "discriminator", "noise", "synthesis")
    assert len({bits(key)} | {bits(derive_key(key, name)) for name in names}) == 5


def test_the_shapes_of_a_state() -> None:
    models = tiny.models()
    state = jax.eval_shape(lambda key: create_state(models, key), jax.random.key(0))
    assert (state.step.shape, state.step.dtype) == ((), np.int32)
    assert set(state.g_stats) == {"spectral"}
    assert set(state.d_stats) == {"spectral", "batch_stats"}
    assert state.d_params["trunk_1"]["kernel"].shape == (4, 4, 2, 2)  # channels of the pair
    alone = jax.eval_shape(lambda key: create_state(models._replace(recognition_input="apex"), key), jax.random.key(0))
    assert alone.d_params["trunk_1"]["kernel"].shape == (4, 4, 1, 2)
