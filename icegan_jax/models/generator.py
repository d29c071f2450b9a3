"""The generator: a neutral face, noise and a class in; the same face with that micro-expression out."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models.graph import GraphReasoning
from icegan_jax.models.layers import Convolution, instance_norm, leaky_relu, scaled
from icegan_jax.models.motion import move

_WIDTHS = (64, 128, 256, 512, 512, 512)  # of the skips f1..f6 (DESIGN section 2)
_SMALL_INIT = nn.initializers.normal(0.002)
_PIXELS_PER_UNIT = 3.0  # a micro-expression moves skin by 1 to 3 pixels at 128x128 (DESIGN section 5)


class Generator(nn.Module):
    """U-Net with an identity embedding and a graph reasoning module on every skip (paper, section III-A).

    Halves the image until one pixel is left: ``log2(image_size)`` convolutions, the last of which gives the
    identity embedding. Embedding, noise and class make the seed, which as many transposed convolutions grow.

    Attributes:
      width: factor on the channels of the skips.
      embedding: channels of the identity embedding e.
      class_gain: factor on the one-hot class in the seed.
      adjacency_std: of the GRM's adjacency matrices.
      motion: the decoder tells how the onset's pixels move, and what is added to them, instead of drawing the
        whole face.
      dtype: of the operands of matrix products, float32 or bfloat16; everything else is float32.
    """

    width: float = 1.0
    embedding: int = 320
    class_gain: float = 1.0
    adjacency_std: float = 0.02
    motion: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, onset: jax.Array, noise: jax.Array, expression: jax.Array, *, train: bool) -> jax.Array:
        """Synthesises a face.

        Args:
          onset: float[b, n, n, 1] in [-1, 1]; n a power of 2, at least 8.
          noise: float[b, z], standard normal.
          expression: float[b, k], one-hot.
          train: moves the spectral norm's power iteration on.

        Returns:
          float[b, n, n, 1] in [-1, 1].
        """
        levels = onset.shape[1].bit_length() - 1
        channels = [scaled(_WIDTHS[min(i, 5)], self.width) for i in range(levels - 1)]
        skips = []
        x = onset
        for level, features in enumerate([*channels, self.embedding], start=1):
            if level > 1:
                x = leaky_relu(x)
                skips.append(GraphReasoning(self.adjacency_std, self.dtype, name=f"grm_{level - 1}")(x))
            x = Convolution(features, dtype=self.dtype, name=f"down_{level}")(x, train=train)
            if 1 < level < levels:
                x = instance_norm(x)
        seed = jnp.concatenate([noise, self.class_gain * expression], axis=1)
        x = jnp.concatenate([x, seed[:, None, None, :]], axis=3)
        for level, features in zip(range(levels, 1, -1), reversed(channels), strict=True):
            up = Convolution(features, transposed=True, dtype=self.dtype, name=f"up_{level}")
            x = up(leaky_relu(x), train=train)
            x = jnp.concatenate([instance_norm(x), skips[level - 2]], axis=3)
        x = leaky_relu(x)
        if not self.motion:
            return jnp.tanh(Convolution(1, transposed=True, dtype=self.dtype, name="up_1")(x, train=train))
        # A kernel of spectral norm 1 cannot draw "no change": this layer goes without, and starts near zero.
        last = Convolution(3, transposed=True, spectral=False, kernel_init=_SMALL_INIT, dtype=self.dtype, name="up_1")
        x = last(x, train=train)
        moved = move(onset, _PIXELS_PER_UNIT * x[..., :2])
        return jnp.clip(moved + x[..., 2:], -1.0, 1.0)
