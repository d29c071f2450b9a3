"""The 70x70 PatchGAN trunk that every discriminator begins with (docs/design.md, "Networks")."""

import functools

import flax.linen as nn
import jax
from jax.typing import DTypeLike

from icegan_jax.models.layers import NORM_EPSILON, Convolution, instance_norm, leaky_relu, scaled

_WIDTHS = (64, 128, 256, 512, 512, 64)


def trunk(
    x: jax.Array, features: int, *, width: float, norm: str, dtype: DTypeLike, batch_axis: str | None, train: bool
) -> jax.Array:
    """Features of every patch; the layers become parts of the flax module that calls this.

    Args:
      x: float[b, n, n, c].
      features: channels of the last layer.
      width: factor on the channels of the others.
      norm: ``batch`` or ``instance`` (without parameters or running statistics).
      dtype: of the operands of matrix products.
      batch_axis: name of the axis of the devices that share a batch, over which batch norm takes its statistics.
      train: batch statistics in batch norm, and a power iteration in spectral norm.

    Returns:
      float[b, m, m, features]; m is 8 for n = 128.
    """
    widths = [scaled(c, width) for c in _WIDTHS]
    convolution = functools.partial(Convolution, dtype=dtype)
    for index, channels in enumerate(widths[:5], start=1):
        layer = convolution(channels, stride=2 if index <= 3 else 1, use_bias=index in (1, 5), name=f"trunk_{index}")
        x = layer(x, train=train)
        if index > 1 and norm == "instance":
            x = instance_norm(x)
        elif index > 1:
            batch_norm = nn.BatchNorm(
                use_running_average=not train,
                momentum=0.9,
                epsilon=NORM_EPSILON,
                axis_name=batch_axis,
                name=f"norm_{index}",
            )
            x = batch_norm(x)
        x = leaky_relu(x)
    x = leaky_relu(convolution(widths[5], size=1, stride=2, padding=1, name="trunk_6")(x, train=train))
    return convolution(features, size=1, stride=1, padding=0, name="trunk_7")(x, train=train)
