"""A fold's state at random, and when two sets of arrays are alike."""

import jax
import torch

from icegan_jax.training.state import Networks, TrainState, create_state, fold_key

Arrays = dict[str, torch.Tensor]


def moved_state(networks: Networks) -> TrainState:
    """A fold's initial state with every parameter and statistic moved off its start.

    At the start biases are 0, the running variance 1, and what the graph reasoning adds is near nothing: an error
    there would not show.
    """
    state = jax.jit(lambda key: create_state(networks, key))(fold_key(0, "moved"))
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


def furthest(ours: Arrays, theirs: Arrays, floor: float) -> tuple[float, str]:
    """The largest distance between arrays of one name, as a share of the array's own length, and that name.

    ``floor``: the least length counted, as a share of the length of all arrays together.
    """
    assert ours.keys() == theirs.keys()
    total = torch.stack([array.norm() for array in ours.values()]).norm()
    return max(
        (float((theirs[name] - array).norm() / torch.maximum(array.norm(), floor * total)), name)
        for name, array in ours.items()
    )
