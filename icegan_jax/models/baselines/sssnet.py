"""SSSNet: a shallow network on optical flow and strain (the repository meb of Varanka et al.).

Axis letters: b batch, k class.
"""

import chex
import flax.linen as nn
import jax

from icegan_jax.models.baselines.layers import Convolution2D, batch_norm, dense, dropout, max_pool

_LAYERS = ((32, 5, 3), (64, 3, 2))  # filters, kernel and pooling side of each convolution
_HIDDEN = 256


class SSSNet(nn.Module):
    """Two convolutions without padding and two dense layers; 1,349,251 parameters for three classes.

    Feature maps of 60, 20, 18 and 9 pixels. Dropout drops whole channels of the feature maps.

    Attributes:
      classes: number of expressions k.
    """

    classes: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Return logits float[b, k] of motion pictures float[b, 64, 64, 3] in [0, 1]: u, v and strain."""
        chex.assert_shape(x, (None, 64, 64, 3), custom_message="x: float[b, 64, 64, 3]")
        for layer, (filters, kernel, pool) in enumerate(_LAYERS, start=1):
            x = max_pool(nn.relu(Convolution2D(filters, kernel, padding=0, name=f"conv_{layer}")(x)), pool)
            x = batch_norm(x, f"norm_{layer}", train)
            x = nn.Dropout(0.5, broadcast_dims=(1, 2), deterministic=not train)(x)
        x = nn.relu(dense(_HIDDEN, x.reshape(len(x), -1), "dense"))
        return dense(self.classes, dropout(x, 0.5, train), "output")
