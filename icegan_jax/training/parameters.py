"""The parameter table of both networks."""

import math
from typing import Any

import jax

from icegan_jax.training.state import Networks, create_state


def count(params: Any) -> int:
    """Number of scalars in a tree of arrays or shapes."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def parameter_table(networks: Networks) -> str:
    """Trainable parameters module by module, with each network's total; nothing is computed but shapes."""
    state = jax.eval_shape(lambda key: create_state(networks, key), jax.random.key(0))
    lines = []
    for name, params in (("generator", state.g_params), ("discriminator", state.d_params)):
        rows = [(module, count(tree)) for module, tree in params.items()]
        lines += [name, *(f"  {module:<20}{number:>14,}" for module, number in rows)]
        lines += [f"  {'total':<20}{count(params):>14,}", ""]
    return "\n".join(lines).rstrip()
