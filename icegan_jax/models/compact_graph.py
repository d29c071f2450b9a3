"""The graph reasoning module in the form of the authors' definitions: a quarter of the channels are nodes.

The paper (eq. 1 to 3, ``graph``) reasons on all channels; what its authors released reasons on projections, as the
global reasoning unit does (Chen et al. 2019), and is 8 times smaller at 512 channels (docs/design.md, "Networks").
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models.correlation import rounded_einsum
from icegan_jax.models.layers import Convolution, instance_norm

_REDUCTION = 4  # channels to a node
_INIT = nn.initializers.lecun_normal()  # variance-preserving, see ``graph``


class CompactGraphReasoning(nn.Module):
    """Relates s = max(1, c // 4) projections of a feature map to one another and adds what it finds.

    With ``phi`` and ``theta`` 1x1 convolutions from c to s channels:

        nodes    M = phi(f) theta(f)^T / s              [s, s]
        reason   R = W relu(M A^T + a + M) + w          [s, s]   (A, W learned; a one bias a column, w one a row)
        project  f + norm(T'(R theta(f)))               [h, w, c]  (T' a 1x1 convolution without bias)

    14 s^2 + 4 s parameters where c is 4 s. The norm is instance norm without parameters.

    Attributes:
      adjacency_std: standard deviation of the normal distribution that A is drawn from.
      dtype: of the operands of the products.
    """

    adjacency_std: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, f: jax.Array) -> jax.Array:
        """float[b, h, w, c] to the same shape."""
        b, h, w, c = f.shape
        s = max(1, c // _REDUCTION)
        pointwise = functools.partial(
            Convolution, size=1, stride=1, padding=0, spectral=False, kernel_init=_INIT, dtype=self.dtype
        )
        einsum = functools.partial(rounded_einsum, self.dtype)
        phi = pointwise(s, name="phi")(f, train=False).reshape(b, h * w, s)
        theta = pointwise(s, name="theta")(f, train=False).reshape(b, h * w, s)
        adjacency = self.param("adjacency", nn.initializers.normal(self.adjacency_std), (s, s))
        adjacency_bias = self.param("adjacency_bias", nn.initializers.zeros, (s,))
        weight = self.param("weight", _INIT, (s, s))
        weight_bias = self.param("weight_bias", nn.initializers.zeros, (s,))
        nodes = einsum("bxi,bxj->bij", phi, theta) / s
        related = nn.relu(einsum("bij,kj->bik", nodes, adjacency) + adjacency_bias[None, None, :] + nodes)
        reasoned = einsum("ki,bij->bkj", weight, related) + weight_bias[None, :, None]
        projected = einsum("bxj,bij->bxi", theta, reasoned).reshape(b, h, w, s)
        return f + instance_norm(pointwise(c, use_bias=False, name="back_projection")(projected, train=False))
