"""ResNet18 without its last pooling and dense layer (He et al. 2016), in torchvision's form.

Axis letters: b batch, n side of the picture, h w side, c channel.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from icegan_jax.models.baselines.layers import KAIMING, Convolution2D, batch_norm, max_pool

_WIDTHS = (64, 128, 256, 512)
_BLOCKS = 2  # in every stage


class ResNet18Trunk(nn.Module):
    """Convolution and up to four stages of two blocks: 11,176,512 parameters; 2,782,784 with three stages.

    Attributes:
      stages: number of stages; each after the first halves the picture.
      pooled: whether the first convolution is followed by a 3x3 maximum of stride 2.
    """

    stages: int = 4
    pooled: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Return the last feature map float[b, h, w, c] of a picture float[b, n, n, 3], or [b, n, n, 1] in gray.

        A gray picture is read as three equal channels. For n = 224 the map is 7x7x512.
        """
        chex.assert_rank(x, 4, custom_message="x: float[b, n, n, 3] or float[b, n, n, 1]")
        x = jnp.broadcast_to(x, (*x.shape[:3], 3))
        x = Convolution2D(64, 7, 2, use_bias=False, kernel_init=KAIMING, name="conv_1")(x)
        x = nn.relu(batch_norm(x, "norm_1", train))
        if self.pooled:
            x = max_pool(x, 3, padding=1, stride=2)
        for stage, width in enumerate(_WIDTHS[: self.stages], start=1):
            for block in range(1, _BLOCKS + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                x = _Block(width, stride, name=f"stage_{stage}_block_{block}")(x, train=train)
        return x


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the size changes."""

    width: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Map float[b, h, w, c] to float[b, h / stride, w / stride, width]."""

        def convolution(y: jax.Array, size: int, stride: int, name: str) -> jax.Array:
            y = Convolution2D(self.width, size, stride, use_bias=False, kernel_init=KAIMING, name=f"conv_{name}")(y)
            return batch_norm(y, f"norm_{name}", train)

        y = nn.relu(convolution(x, 3, self.stride, "1"))
        y = convolution(y, 3, 1, "2")
        shortcut = x if self.stride == 1 else convolution(x, 1, self.stride, "shortcut")
        return nn.relu(y + shortcut)
