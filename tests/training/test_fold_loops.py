"""A loop over folds equals vmap over folds, and each fold equals the fold alone."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import pytest

from icegan_jax.training.parallel import loop_folds, vmap_folds

FOLDS = 3


def moved(state: dict[str, Any], push: jax.Array) -> tuple[dict[str, Any], jax.Array]:
    """Update a state, with its random key unchanged, and return a sum of the state before."""
    noise = jax.random.normal(state["key"], state["x"].shape)
    return {"key": state["key"], "x": state["x"] + push * noise}, jnp.sum(state["x"])


def read(state: dict[str, Any], push: jax.Array) -> jax.Array:
    return state["x"] * push


@pytest.fixture
def folds() -> tuple[dict[str, Any], jax.Array]:
    keys = jax.random.split(jax.random.key(0), FOLDS)
    return {"key": keys, "x": jax.random.normal(jax.random.key(1), (FOLDS, 4))}, jnp.arange(1.0, FOLDS + 1)


@pytest.mark.parametrize("function", [moved, read])
def test_loop_equals_vmap(function: Any, folds: tuple[dict[str, Any], jax.Array]) -> None:
    actual, expected = (jax.jit(over(function))(*folds) for over in (loop_folds, vmap_folds))
    chex.assert_trees_all_close(without_keys(actual), without_keys(expected), rtol=1e-6)
    alone = [function(*jax.tree.map(lambda leaf, fold=fold: leaf[fold], folds)) for fold in range(FOLDS)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(without_keys, alone))
    chex.assert_trees_all_close(without_keys(actual), stacked, rtol=1e-6)


def test_a_state_is_updated_in_place(folds: tuple[dict[str, Any], jax.Array]) -> None:
    """The results take the memory of the arguments, so that the program holds one copy of the states."""
    compiled = jax.jit(loop_folds(moved), donate_argnums=0).lower(*folds).compile()
    memory = compiled.memory_analysis()
    assert memory.alias_size_in_bytes >= folds[0]["x"].nbytes


def test_the_program_does_not_grow_with_the_folds() -> None:
    def operations(number: int) -> int:
        states = jnp.zeros((number, 4))
        return jax.jit(loop_folds(lambda x: jnp.sin(x) @ jnp.ones((4, 4)))).lower(states).as_text().count("dot_general")

    assert operations(2) == operations(9) == 1


def without_keys(result: Any) -> Any:
    return ({"x": result[0]["x"]}, result[1]) if isinstance(result, tuple) else result
