"""Graph attention over action units, after AU-GACN (Xie et al. 2020): our reading, no code was published.

Axis letters: b batch, t frame, h w side, u v action unit, d feature, k class.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from icegan_jax.models.baselines.layers import GLOROT, dense
from icegan_jax.models.baselines.mer_gcn import action_unit_features, adjacency

_FEATURES = 64  # d
_SLOPE = 0.2  # of the leaky ReLU of the scores (Velickovic et al. 2018)


class AUGACN(nn.Module):
    """The network of ``MERGCN`` with graph attention (Velickovic et al. 2018) in place of fixed weights.

    An action unit attends to itself and to its neighbors, those with a weight above 0 in ``adjacency``. Our reading of
    an abstract: every size is ours.

    Attributes:
      action_units: number of action units u.
      classes: number of expressions k.
    """

    action_units: int
    classes: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array]:
        """Return logits of expressions float[b, k] and of action units float[b, u] for clips float[b, t, h, w, 1].

        See ``MERGCN`` for the variable ``adjacency``.
        """
        nodes, units = action_unit_features(x, self.action_units, train)
        neighbors = (adjacency(self, self.action_units) + jnp.eye(self.action_units)) > 0
        for layer in (1, 2):
            nodes = dense(_FEATURES, nodes, f"graph_{layer}", GLOROT)
            scores = dense(2, nodes, f"score_{layer}", GLOROT)  # of each action unit as receiver and as sender
            pairs = nn.leaky_relu(scores[:, :, None, 0] + scores[:, None, :, 1], _SLOPE)
            attention = nn.softmax(jnp.where(neighbors[None], pairs, -jnp.inf), axis=2)
            nodes = nn.relu(jnp.einsum("buv,bvd->bud", attention, nodes))
        return dense(self.classes, jnp.mean(nodes, axis=1), "output", GLOROT), units
