"""What a skip connection of the U-Net passes on: features as they are, weighed, or reasoned on."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models.compact_graph import CompactGraphReasoning
from icegan_jax.models.correlation import product
from icegan_jax.models.graph import GraphReasoning

_REDUCTION = 16  # r, of the squeezed channels (Hu et al. 2018, section 3.4)


class SqueezeExcitation(nn.Module):
    """Weighs the channels of a feature map by what they are on average (Hu et al. 2018, eq. 2 to 4).

    Mean over pixels, a matrix to c / 16 channels (at least 1), ReLU, a matrix back to c, sigmoid: a factor in (0, 1)
    for each channel. No biases, as in equation 3.

    Attributes:
      dtype: of the operands of the products.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, f: jax.Array) -> jax.Array:
        """float[b, h, w, c] to the same shape."""
        c = f.shape[3]
        squeezed = max(1, c // _REDUCTION)
        init = nn.initializers.lecun_normal()
        squeeze = self.param("squeeze", init, (c, squeezed))
        excite = self.param("excite", init, (squeezed, c))
        hidden = nn.relu(product(self.dtype, jnp.mean(f, axis=(1, 2)), squeeze))
        return f * nn.sigmoid(product(self.dtype, hidden, excite))[:, None, None, :]


def skip(f: jax.Array, level: int, *, kind: str, compact: bool, adjacency_std: float, dtype: DTypeLike) -> jax.Array:
    """What the skip of a level passes on; its module becomes a part of the flax module that calls this.

    Args:
      f: float[b, h, w, c], the encoder's features.
      level: from 1, names the module.
      kind: ``skips`` (f itself), ``se`` (squeeze and excitation) or ``grm`` (graph reasoning).
      compact: the form of the graph reasoning, see ``compact_graph``.
      adjacency_std: see ``GraphReasoning``.
      dtype: of the operands of the products.

    Returns:
      The same shape.
    """
    if kind == "skips":
        return f
    if kind == "se":
        return SqueezeExcitation(dtype, name=f"se_{level}")(f)
    reasoning = CompactGraphReasoning if compact else GraphReasoning
    return reasoning(adjacency_std, dtype, name=f"grm_{level}")(f)
