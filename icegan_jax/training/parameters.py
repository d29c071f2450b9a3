"""How many parameters the networks have, as a table, and how wide a discriminator of a given number is."""

import math
from typing import Any

import jax

from icegan_jax.errors import UserError
from icegan_jax.models.discriminator import ConvolutionalDiscriminator
from icegan_jax.training.state import Models, create_state

_CLOSE = 0.02  # two networks with numbers of parameters that differ by less count as equally large
_HALVINGS = 20  # of the interval of widths
_WIDEST = 64.0  # factor on channels; beyond it nobody has the memory


def count_parameters(params: Any) -> int:
    """Number of scalars in a tree of arrays or shapes."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def count_discriminator(models: Models) -> int:
    """Trainable parameters of the discriminator; nothing is computed but shapes."""
    alone = models._replace(generator=None)
    return count_parameters(jax.eval_shape(lambda key: create_state(alone, key), jax.random.key(0)).d_params)


def match_cnn_width(models: Models, parameters: int) -> float:
    """The ``cnn_width`` with which a discriminator without capsules has as many parameters as another one.

    For the paper's Table IV, where D_CNN is enlarged to the size of D_CE.

    Args:
      networks: with a ``ConvolutionalDiscriminator``; its own ``cnn_width`` plays no part.
      parameters: how many it should have, within 2%.

    Raises:
      UserError: no width comes as close, for channels are whole numbers.
    """
    cnn = models.discriminator
    assert isinstance(cnn, ConvolutionalDiscriminator)

    def size(width: float) -> int:
        return count_discriminator(models._replace(discriminator=cnn.clone(cnn_width=width)))

    low, high = 0.0, _WIDEST
    for _ in range(_HALVINGS):
        width = (low + high) / 2
        found = size(width)
        if abs(found - parameters) <= _CLOSE * parameters:
            return width
        low, high = (width, high) if found < parameters else (low, width)
    raise UserError(f"no config.model.cnn_width gives about {parameters:,} parameters; give config.model.width another")


def parameter_table(models: Models) -> str:
    """Trainable parameters module by module, with each network's total; nothing is computed but shapes."""
    state = jax.eval_shape(lambda key: create_state(models, key), jax.random.key(0))
    lines = []
    for name, params in (("generator", state.g_params), ("discriminator", state.d_params)):
        if not params:
            continue
        rows = [(module, count_parameters(tree)) for module, tree in params.items()]
        lines += [name, *(f"  {module:<20}{number:>14,}" for module, number in rows)]
        lines += [f"  {'total':<20}{count_parameters(params):>14,}", ""]
    return "\n".join(lines).rstrip()
