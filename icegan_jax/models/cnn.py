"""The discriminator without capsules: two convolutions after the trunk (paper, Table IV, D_CNN)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models.discriminator import Verdict
from icegan_jax.models.layers import Convolution, leaky_relu, scaled
from icegan_jax.models.trunk import trunk

_FEATURES = 128  # of the trunk, as many as PrimaryCaps has (8 types of 16), and of the first convolution
_LAST = 4  # side of the last kernel, where the map is as large
# Variance-preserving at any width; like the capsules they stand for, these two layers have no spectral norm.
_INIT = nn.initializers.lecun_normal()


class ConvolutionalDiscriminator(nn.Module):
    """Trunk, 4x4 convolution of stride 2, 4x4 convolution to one logit of realness and one for each class.

    The paper says "two CNN layers" and no more; these halve the 8x8 map of a 128x128 face and then see all of it.
    Of smaller faces the last kernel is as large as the map, of larger ones its outputs are averaged.

    Attributes:
      classes: number of expressions k.
      width: factor on all channels, but for the outputs.
      cnn_width: another one, to make the network as large as one with capsules.
      norm, dtype, batch_axis: see ``trunk``.
    """

    classes: int = 3
    width: float = 1.0
    cnn_width: float = 1.0
    norm: str = "batch"
    dtype: DTypeLike = jnp.float32
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, image: jax.Array, label: jax.Array | None, *, train: bool) -> Verdict:
        """Judges a batch.

        Args:
          image: float[b, n, n, c], from ``recognition_image``.
          label: not looked at; there is nothing to reconstruct.
          train: see ``trunk``.
        """
        width = self.width * self.cnn_width
        features = scaled(_FEATURES, width)
        x = trunk(
            image,
            features,
            width=width,
            norm=self.norm,
            dtype=self.dtype,
            batch_axis=self.batch_axis,
            train=train,
        )
        first = Convolution(features, spectral=False, kernel_init=_INIT, dtype=self.dtype, name="head_1")
        x = leaky_relu(first(leaky_relu(x), train=train))
        last = Convolution(
            1 + self.classes,
            size=min(_LAST, x.shape[1]),
            stride=1,
            padding=0,
            spectral=False,
            kernel_init=_INIT,
            dtype=self.dtype,
            name="head_2",
        )
        logits = jnp.mean(last(x, train=train), axis=(1, 2))
        return Verdict(nn.sigmoid(logits[:, 0]), nn.softmax(logits[:, 1:]), None)
