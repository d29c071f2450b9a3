"""Parameter counts: a table of both networks, and the width of a D_CNN with a given parameter count (Table IV)."""

import math
from typing import Any

import jax

from icegan_jax.errors import UserError
from icegan_jax.models.discriminator import ConvolutionalDiscriminator
from icegan_jax.training.state import Models, create_state

_TOLERANCE = 0.02  # maximum relative difference of two parameter counts that count as equal
_BISECTIONS = 20  # number of bisections of the interval of widths
_MAX_WIDTH = 64.0  # factor on channels; wider networks do not fit into memory


def count_parameters(params: Any) -> int:
    """Return the number of scalars in a tree of arrays or shapes."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def count_discriminator(models: Models) -> int:
    """Return the number of the discriminator's parameters, from shapes alone."""
    alone = models._replace(generator=None)
    return count_parameters(jax.eval_shape(lambda key: create_state(alone, key), jax.random.key(0)).d_params)


def match_cnn_width(models: Models, parameters: int) -> float:
    """Return the ``cnn_width`` of a ``ConvolutionalDiscriminator`` with a given number of parameters.

    In the paper's Table IV, D_CNN is enlarged to the size of D_CE.

    Args:
      models: models with a ``ConvolutionalDiscriminator``, whose own ``cnn_width`` is ignored.
      parameters: number of parameters, matched within 2%.

    Raises:
      UserError: no width matches the number within 2%, because channels are whole numbers.
    """
    cnn = models.discriminator
    assert isinstance(cnn, ConvolutionalDiscriminator)

    def size(width: float) -> int:
        return count_discriminator(models._replace(discriminator=cnn.clone(cnn_width=width)))

    low, high = 0.0, _MAX_WIDTH
    for _ in range(_BISECTIONS):
        width = (low + high) / 2
        number = size(width)
        if abs(number - parameters) <= _TOLERANCE * parameters:
            return width
        low, high = (width, high) if number < parameters else (low, width)
    raise UserError(
        f"no config.discriminator.cnn_width gives about {parameters:,} parameters; give config.model.width another"
    )


def parameter_table(models: Models) -> str:
    """Return a table of the parameter counts of all modules and the totals of both networks, from shapes alone."""
    state = jax.eval_shape(lambda key: create_state(models, key), jax.random.key(0))
    lines = []
    for name, params in (("generator", state.g_params), ("discriminator", state.d_params)):
        if not params:
            continue
        rows = [(module, count_parameters(tree)) for module, tree in params.items()]
        lines += [name, *(f"  {module:<20}{number:>14,}" for module, number in rows)]
        lines += [f"  {'total':<20}{count_parameters(params):>14,}", ""]
    return "\n".join(lines).rstrip()
