"""A fold's state at random, and when two sets of arrays are alike."""

import jax
import torch

from icegan_jax.training.state import Models, TrainState, create_state, fold_key

Arrays = dict[str, torch.Tensor]


def random_state(models: Models) -> TrainState:
    """A fold's initial state with every parameter and statistic moved off its start.

    At the start biases are 0, the running variance 1, and what the graph reasoning adds is near nothing: an error
    there would not show.
    """
    state = jax.jit(lambda key: create_state(models, key))(fold_key(0, "moved"))
    rng = jax.random.key(1)

    def moved(tree: object, size: float) -> object:
        leaves, structure = jax.tree.flatten(tree)
        keys = jax.random.split(rng, len(leaves))
        return structure.unflatten(
            leaf * (1 + size * jax.random.uniform(key, leaf.shape)) + size * jax.random.normal(key, leaf.shape)
            if leaf.min() <= 0  # a variance stays above 0
            else leaf * (1 + size * jax.random.uniform(key, leaf.shape))
            for key, leaf in zip(keys, leaves, strict=True)
        )

    return state.replace(
        g_params=moved(state.g_params, 0.1),
        g_stats=moved(state.g_stats, 0.1),
        d_params=moved(state.d_params, 0.1),
        d_stats=moved(state.d_stats, 0.1),
    )


def length(arrays: Arrays) -> float:
    """The Euclidean length of all arrays together."""
    return float(torch.stack([array.norm() for array in arrays.values()]).norm())


def largest_distance(ours: Arrays, theirs: Arrays) -> tuple[float, str]:
    """The largest distance between arrays of one name, as a share of ours' length, and that name."""
    assert ours.keys() == theirs.keys()
    return max((float((theirs[name] - array).norm() / array.norm()), name) for name, array in ours.items())
