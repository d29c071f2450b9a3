"""OFF-ApexNet: two streams on the components of the optical flow (Gan et al. 2019), after its re-implementations.

Axis letters: b batch, c channel, k class.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from icegan_jax.models.baselines.layers import Convolution2D, dense, dropout, max_pool

_FILTERS = (6, 16)
_HIDDEN = 1024


class OFFApexNet(nn.Module):
    """Two convolutions on u and on v each, and three dense layers; 2,664,475 parameters for three classes.

    The original code is lost; the form is that of mini-AORCNN. Feature maps of 28, 14 and 7 pixels.

    Attributes:
      classes: number of expressions k.
    """

    classes: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Return logits float[b, k] of motion pictures float[b, 28, 28, c], whose first channels are u and v."""
        chex.assert_shape(x, (None, 28, 28, None), custom_message="x: float[b, 28, 28, c]")
        streams = []
        for index, component in enumerate("uv"):
            y = x[..., index : index + 1]
            for layer, filters in enumerate(_FILTERS, start=1):
                y = max_pool(nn.relu(Convolution2D(filters, 5, name=f"{component}_conv_{layer}")(y)), 2)
            streams.append(y.reshape(len(x), -1))
        y = jnp.concatenate(streams, axis=1)
        for layer in (1, 2):
            y = dropout(nn.relu(dense(_HIDDEN, y, f"dense_{layer}")), 0.5, train)
        return dense(self.classes, y, "output")
