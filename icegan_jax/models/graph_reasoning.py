"""The graph reasoning module (GRM) of the generator's skip connections (paper, eq. 1 to 3).

The graph reasoning module in the form of the authors' definitions: a quarter of the channels are nodes.

The paper (eq. 1 to 3, ``graph``) reasons on all channels; what its authors released reasons on projections, as the
global reasoning unit does (Chen et al. 2019), and is 8 times smaller at 512 channels (docs/design.md, "Networks").
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models.convolution import matrix_product, rounded_einsum
from icegan_jax.models.layers import WEIGHT_INIT, Convolution, instance_norm

# The module multiplies six learned matrices. With N(0, 0.02) each, their product is under 1e-8 for 8 channels,
# smaller than Adam's epsilon, and never learns: variance-preserving starts instead
# (docs/how-it-differs-from-the-paper.md, "Differences in every configuration").
_INNER_INIT = nn.initializers.lecun_normal()


class GraphReasoning(nn.Module):
    """Relates every channel of a feature map to every other one and adds what it finds.

    With ``t = T(f)`` (a 1x1 convolution) and ``phi``, ``theta`` 1x1 convolutions:

        nodes    M = phi(t) theta(t)^T / (h w)      [c, c]   (eq. 1; the division is ours)
        reason   R = relu((A + I) M W)              [c, c]   (eq. 2; A, W learned)
        project  f + T'(R theta(t))                 [h, w, c]  (eq. 3; T' a 1x1 convolution)

    On the deep skips, where h w < c, M is never formed: A + I and W multiply its factors, h w rows each, in place
    of c rows. That is the same sum in another order, with a ninth of the operations at 512 channels and 8x8 pixels.

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

        def pointwise(x: jax.Array, name: str, init: nn.initializers.Initializer) -> jax.Array:
            layer = Convolution(
                c, size=1, stride=1, padding=0, spectral=False, kernel_init=init, dtype=self.dtype, name=name
            )
            return layer(x, train=False)

        def times(x: jax.Array, matrix: jax.Array) -> jax.Array:
            """float[b, s, c] times [c, c]."""
            return matrix_product(self.dtype, x.reshape(-1, c), matrix).reshape(x.shape)

        einsum = functools.partial(rounded_einsum, self.dtype)
        t = pointwise(f, "transform", _INNER_INIT)
        phi = pointwise(t, "phi", _INNER_INIT).reshape(b, h * w, c)
        theta = pointwise(t, "theta", _INNER_INIT).reshape(b, h * w, c)
        adjacency = self.param("adjacency", nn.initializers.normal(self.adjacency_std), (c, c))
        weight = self.param("weight", _INNER_INIT, (c, c))
        reason = adjacency + jnp.eye(c)
        if h * w < c:
            reasoned = einsum("bsi,bsl->bil", times(phi, reason.T), times(theta, weight))
        else:
            nodes = times(einsum("bsi,bsj->bij", phi, theta), weight)
            reasoned = einsum("ij,bjl->bil", reason, nodes)
        reasoned = nn.relu(reasoned / (h * w))
        projected = einsum("bsj,bij->bsi", theta, reasoned).reshape(b, h, w, c)
        return f + pointwise(projected, "back_projection", WEIGHT_INIT)


_NODE_REDUCTION = 4  # channels to a node

_COMPACT_INIT = nn.initializers.lecun_normal()  # variance-preserving, see ``graph``


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
        s = max(1, c // _NODE_REDUCTION)
        pointwise = functools.partial(
            Convolution, size=1, stride=1, padding=0, spectral=False, kernel_init=_COMPACT_INIT, dtype=self.dtype
        )
        einsum = functools.partial(rounded_einsum, self.dtype)
        phi = pointwise(s, name="phi")(f, train=False).reshape(b, h * w, s)
        theta = pointwise(s, name="theta")(f, train=False).reshape(b, h * w, s)
        adjacency = self.param("adjacency", nn.initializers.normal(self.adjacency_std), (s, s))
        adjacency_bias = self.param("adjacency_bias", nn.initializers.zeros, (s,))
        weight = self.param("weight", _COMPACT_INIT, (s, s))
        weight_bias = self.param("weight_bias", nn.initializers.zeros, (s,))
        nodes = einsum("bxi,bxj->bij", phi, theta) / s
        related = nn.relu(einsum("bij,kj->bik", nodes, adjacency) + adjacency_bias[None, None, :] + nodes)
        reasoned = einsum("ki,bij->bkj", weight, related) + weight_bias[None, :, None]
        projected = einsum("bxj,bij->bxi", theta, reasoned).reshape(b, h, w, s)
        return f + instance_norm(pointwise(c, use_bias=False, name="back_projection")(projected, train=False))
