"""MicroAttention: a residual network on the apex face with attention in every unit (Wang et al. 2020).

Axis letters: b batch, n side of the picture, h w side, c channel, k class.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from icegan_jax.models.baselines.layers import GLOROT, KAIMING, Convolution2D, batch_norm, dense, max_pool

_WIDTHS = (64, 128, 256, 512)


class MicroAttention(nn.Module):
    """Four pre-activated residual units with one mask each; 5,943,813 parameters for three classes.

    The form is that of the published definition, with a sigmoid before the mask. Feature maps of 56, 28, 14 and 7
    pixels for n = 224. Deviations: the authors start from ImageNet and macro-expressions, here weights start from
    Kaiming's distribution.

    Attributes:
      classes: number of expressions k.
    """

    classes: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Return logits float[b, k] of gray apex faces float[b, n, n, 1]."""
        chex.assert_shape(x, (None, None, None, 1), custom_message="x: float[b, n, n, 1]")
        x = batch_norm(x, "norm_input", train)
        x = Convolution2D(64, 7, 2, kernel_init=KAIMING, name="conv_1")(x)
        x = max_pool(nn.relu(batch_norm(x, "norm_1", train)), 3, padding=1, stride=2)
        for width in _WIDTHS:
            x = _Unit(width, name=f"unit_{width}")(x, train=train)
        x = nn.relu(batch_norm(x, "norm_output", train))
        return dense(self.classes, jnp.mean(x, axis=(1, 2)), "output", GLOROT)


class _Unit(nn.Module):
    """Two convolutions with a shortcut, times 1 + a mask of one channel.

    Attributes:
      width: output channels.
    """

    width: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Map float[b, h, w, c] to float[b, h', w', width]; h' is h where c is ``width``, otherwise h / 2."""

        def convolution(y: jax.Array, size: int, stride: int, name: str) -> jax.Array:
            return Convolution2D(self.width, size, stride, use_bias=False, kernel_init=KAIMING, name=name)(y)

        same = x.shape[3] == self.width
        stride = 1 if same else 2
        x = x if same else nn.relu(batch_norm(x, "norm_1", train))
        shortcut = x if same else convolution(x, 1, stride, "shortcut")
        first = convolution(x, 3, stride, "conv_1")
        second = convolution(nn.relu(batch_norm(first, "norm_2", train)), 3, 1, "conv_2")
        evidence = convolution(jnp.concatenate([shortcut, first, second], axis=3), 1, 1, "attention")
        mask = nn.sigmoid(jnp.mean(evidence, axis=3, keepdims=True))
        return (shortcut + second) * (1.0 + mask)
