"""A graph of action units, after MER-GCN (Lo et al. 2020, arXiv 2004.08915): our reading, no code was published.

Axis letters: b batch, t frame, h w side, c channel, u v action unit, d feature, k class.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from icegan_jax.models.baselines.layers import GLOROT, KAIMING, Convolution2D, batch_norm, dense, max_pool

_WIDTHS = (16, 32, 64)  # of the 3D convolutions
_FEATURES = 64  # d


class MERGCN(nn.Module):
    """3D convolutions, a feature vector of each action unit, two graph convolutions, their mean and a dense layer.

    Our reading of an abstract: every size is ours.

    Attributes:
      action_units: number of action units u.
      classes: number of expressions k.
    """

    action_units: int
    classes: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array]:
        """Return logits of the expressions float[b, k] and of the action units float[b, u] for clips.

        The variable ``adjacency`` float[u, u] of the collection ``graph`` holds weights of pairs of action units, 0 or
        more, such as their co-occurrence in the training clips. It starts from 0, a graph without edges.

        Args:
          x: gray clips float[b, t, h, w, 1].
          train: whether batch norm uses batch statistics.
        """
        nodes, units = action_unit_features(x, self.action_units, train)
        weights = normalize_adjacency(adjacency(self, self.action_units))
        for layer in (1, 2):
            nodes = nn.relu(jnp.einsum("uv,bvd->bud", weights, dense(_FEATURES, nodes, f"graph_{layer}", GLOROT)))
        return dense(self.classes, jnp.mean(nodes, axis=1), "output", GLOROT), units


def adjacency(module: nn.Module, action_units: int) -> jax.Array:
    """Return the variable ``adjacency`` float[u, u] of the module's collection ``graph``; it starts from 0."""
    return module.variable("graph", "adjacency", jnp.zeros, (action_units, action_units)).value


def normalize_adjacency(weights: jax.Array) -> jax.Array:
    """Return D^-1/2 (A + I) D^-1/2 float[u, u] of weights A, where D has the row sums (Kipf and Welling 2017)."""
    weights = weights + jnp.eye(len(weights))
    scale = jax.lax.rsqrt(jnp.sum(weights, axis=1))
    return weights * scale[:, None] * scale[None, :]


def action_unit_features(x: jax.Array, action_units: int, train: bool) -> tuple[jax.Array, jax.Array]:
    """Compute a feature vector and a logit of each action unit, from 3x3x3 convolutions of a clip.

    The layers become submodules of the Flax module that calls this function.

    Args:
      x: gray clips float[b, t, h, w, 1].
      action_units: number of action units u.
      train: whether batch norm uses batch statistics.

    Returns:
      Features float[b, u, d] and logits float[b, u].
    """
    chex.assert_shape(x, (None, None, None, None, 1), custom_message="x: float[b, t, h, w, 1]")
    b, t = x.shape[:2]
    for layer, width in enumerate(_WIDTHS, start=1):
        # The kernel's three frames are channels of a convolution in two dimensions.
        padded = jnp.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
        frames = jnp.concatenate([padded[:, start : start + t] for start in range(3)], axis=4)
        frames = frames.reshape(b * t, *frames.shape[2:])
        y = Convolution2D(width, 3, kernel_init=KAIMING, name=f"conv_{layer}")(frames)
        y = max_pool(nn.relu(batch_norm(y, f"norm_{layer}", train)), 2)
        x = y.reshape(b, t, *y.shape[1:])
    features = dense(action_units * _FEATURES, jnp.mean(x, axis=(1, 2, 3)), "action_units", GLOROT)
    features = nn.relu(features).reshape(b, action_units, _FEATURES)
    return features, dense(1, features, "action_unit_output", GLOROT)[..., 0]
