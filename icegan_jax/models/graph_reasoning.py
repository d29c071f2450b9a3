"""Graph reasoning modules (GRM) of the generator's skip connections, in two forms.

In ``GraphReasoning``, the form of the paper (eq. 1 and 2), every channel is a graph node. In ``CompactGraphReasoning``,
the form of the released definitions, the nodes are projections to a quarter of the channels, as in the global reasoning
unit (Chen et al. 2019), with 8 times fewer parameters at 512 channels (docs/design.md, "Networks").

Axis letters: b batch, h w image, c channel, s projected channel (compact form), x pixel.
"""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models.convolution import matrix_product, rounded_einsum
from icegan_jax.models.layers import WEIGHT_INIT, Convolution, instance_norm

# A module multiplies up to six learned matrices. With N(0, 0.02) for each, their product is under 1e-8 for 8 channels,
# smaller than Adam's epsilon, and never learns: the initializer is variance-preserving instead
# (docs/how-it-differs-from-the-paper.md, "Differences in every configuration").
_INNER_INIT = nn.initializers.lecun_normal()
_NODE_REDUCTION = 4  # channels per node of the compact form


class GraphReasoning(nn.Module):
    """Graph reasoning with every channel as a node (paper, section III-A, eq. 1 and 2).

    With ``t = T(f)`` (a 1x1 convolution) and ``phi``, ``theta`` 1x1 convolutions:

        nodes    M = phi(t) theta(t)^T / (h w)      [c, c]   (eq. 1; the division is our decision)
        reason   R = relu((A + I) M W)              [c, c]   (eq. 2; A, W learned)
        project  f + T'(R theta(t))                 [h, w, c]  (section III-A; T' a 1x1 convolution)

    Attributes:
      adjacency_std: standard deviation of A's initializer, a normal distribution.
      dtype: type of the products' operands.
    """

    adjacency_std: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, f: jax.Array) -> jax.Array:
        """Map a feature map float[b, h, w, c] to one of the same shape."""
        chex.assert_rank(f, 4, custom_message="f: float[b, h, w, c]")
        b, h, w, c = f.shape

        def pointwise(x: jax.Array, name: str, init: nn.initializers.Initializer) -> jax.Array:
            layer = Convolution(
                c, size=1, stride=1, padding=0, spectral=False, kernel_init=init, dtype=self.dtype, name=name
            )
            return layer(x, train=False)

        def multiply(x: jax.Array, matrix: jax.Array) -> jax.Array:
            """Multiply float[b, m, c] by [c, c]."""
            return matrix_product(self.dtype, x.reshape(-1, c), matrix).reshape(x.shape)

        einsum = functools.partial(rounded_einsum, self.dtype)
        t = pointwise(f, "transform", _INNER_INIT)
        phi = pointwise(t, "phi", _INNER_INIT).reshape(b, h * w, c)
        theta = pointwise(t, "theta", _INNER_INIT).reshape(b, h * w, c)
        adjacency = self.param("adjacency", nn.initializers.normal(self.adjacency_std), (c, c))
        weight = self.param("weight", _INNER_INIT, (c, c))
        reason = adjacency + jnp.eye(c)
        # On the deep skips, where h w < c, M is not formed: A + I and W multiply its two factors, which have h w rows
        # instead of c. The sum is the same in another order, with a ninth of the operations at 512 channels and 8x8.
        if h * w < c:
            reasoned = einsum("bxi,bxl->bil", multiply(phi, reason.T), multiply(theta, weight))
        else:
            nodes = multiply(einsum("bxi,bxj->bij", phi, theta), weight)
            reasoned = einsum("ij,bjl->bil", reason, nodes)
        reasoned = nn.relu(reasoned / (h * w))
        projected = einsum("bxj,bij->bxi", theta, reasoned).reshape(b, h, w, c)
        return f + pointwise(projected, "back_projection", WEIGHT_INIT)


class CompactGraphReasoning(nn.Module):
    """Graph reasoning with s = max(1, c // 4) projections of the channels as nodes (the released definitions).

    With ``phi`` and ``theta`` 1x1 convolutions from c to s channels:

        nodes    M = phi(f) theta(f)^T / s              [s, s]
        reason   R = W relu(M A^T + a + M) + w          [s, s]   (A, W learned; biases a per column, w per row)
        project  f + norm(T'(R theta(f)))               [h, w, c]  (T' a 1x1 convolution without bias)

    The module has 14 s^2 + 4 s parameters if c is 4 s. The norm is instance norm without parameters.

    Attributes:
      adjacency_std: standard deviation of A's initializer, a normal distribution.
      dtype: type of the products' operands.
      released_start: whether the weights start from N(0, 0.02) and what is added is small at first, as in the released
        definitions: at full width the variance before the norm is near the norm's epsilon.
    """

    adjacency_std: float
    dtype: DTypeLike = jnp.float32
    released_start: bool = False

    @nn.compact
    def __call__(self, f: jax.Array) -> jax.Array:
        """Map a feature map float[b, h, w, c] to one of the same shape."""
        chex.assert_rank(f, 4, custom_message="f: float[b, h, w, c]")
        b, h, w, c = f.shape
        s = max(1, c // _NODE_REDUCTION)
        init = WEIGHT_INIT if self.released_start else _INNER_INIT
        pointwise = functools.partial(
            Convolution, size=1, stride=1, padding=0, spectral=False, kernel_init=init, dtype=self.dtype
        )
        einsum = functools.partial(rounded_einsum, self.dtype)
        phi = pointwise(s, name="phi")(f, train=False).reshape(b, h * w, s)
        theta = pointwise(s, name="theta")(f, train=False).reshape(b, h * w, s)
        adjacency = self.param("adjacency", nn.initializers.normal(self.adjacency_std), (s, s))
        adjacency_bias = self.param("adjacency_bias", nn.initializers.zeros, (s,))
        weight = self.param("weight", init, (s, s))
        weight_bias = self.param("weight_bias", nn.initializers.zeros, (s,))
        nodes = einsum("bxi,bxj->bij", phi, theta) / s
        related = nn.relu(einsum("bij,kj->bik", nodes, adjacency) + adjacency_bias[None, None, :] + nodes)
        reasoned = einsum("ki,bij->bkj", weight, related) + weight_bias[None, :, None]
        projected = einsum("bxj,bij->bxi", theta, reasoned).reshape(b, h, w, s)
        return f + instance_norm(pointwise(c, use_bias=False, name="back_projection")(projected, train=False))
