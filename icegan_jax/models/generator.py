"""Moving the pixels of a face: what a micro-expression does to skin.

What a skip connection of the U-Net passes on: features as they are, weighed, or reasoned on.

The generator: a neutral face, noise and a class in; the same face with that micro-expression out.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models.convolution import matrix_product
from icegan_jax.models.graph_reasoning import CompactGraphReasoning, GraphReasoning
from icegan_jax.models.layers import Convolution, instance_norm, leaky_relu, scale_channels


def warp(image: jax.Array, motion: jax.Array) -> jax.Array:
    """Fetches every pixel from where ``motion`` points, bilinearly; beyond the border lies the border.

    Differentiable in both arguments; where a pixel is fetched from a whole position, the derivative is that of
    the interval to its lower right.

    Args:
      image: float[b, h, w, 1], h and w at least 2.
      motion: float[b, h, w, 2], rows and columns from each pixel to the one it is fetched from, in pixels.

    Returns:
      float[b, h, w, 1].
    """
    b, h, w, _ = image.shape
    row = jnp.clip(jnp.arange(h, dtype=motion.dtype)[None, :, None] + motion[..., 0], 0, h - 1)
    column = jnp.clip(jnp.arange(w, dtype=motion.dtype)[None, None, :] + motion[..., 1], 0, w - 1)
    top = jnp.minimum(jnp.floor(row), h - 2).astype(jnp.int32)
    left = jnp.minimum(jnp.floor(column), w - 2).astype(jnp.int32)
    down, right = row - top, column - left
    pixels = image.reshape(b, h * w)

    def fetch(rows: int, columns: int) -> jax.Array:
        index = ((top + rows) * w + left + columns).reshape(b, h * w)
        return jnp.take_along_axis(pixels, index, axis=1).reshape(b, h, w)

    upper = fetch(0, 0) * (1.0 - right) + fetch(0, 1) * right
    lower = fetch(1, 0) * (1.0 - right) + fetch(1, 1) * right
    return (upper * (1.0 - down) + lower * down)[..., None]


_SE_REDUCTION = 16  # r, of the squeezed channels (Hu et al. 2018, section 3.4)


class SqueezeExcitation(nn.Module):
    """Weighs the channels of a feature map by what they are on average (Hu et al. 2018, eq. 2 to 4).

    Mean over pixels, a matrix to c / 16 channels (at least 1), ReLU, a matrix back to c, sigmoid: a factor in (0, 1)
    for each channel. No biases, as in equation 3.

    Attributes:
      dtype: of the operands of the products.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, f: jax.Array) -> jax.Array:
        """float[b, h, w, c] to the same shape."""
        c = f.shape[3]
        squeezed = max(1, c // _SE_REDUCTION)
        init = nn.initializers.lecun_normal()
        squeeze = self.param("squeeze", init, (c, squeezed))
        excite = self.param("excite", init, (squeezed, c))
        hidden = nn.relu(matrix_product(self.dtype, jnp.mean(f, axis=(1, 2)), squeeze))
        return f * nn.sigmoid(matrix_product(self.dtype, hidden, excite))[:, None, None, :]


def skip_features(
    f: jax.Array, level: int, *, kind: str, compact: bool, adjacency_std: float, dtype: DTypeLike
) -> jax.Array:
    """What the skip of a level passes on; its module becomes a part of the flax module that calls this.

    Args:
      f: float[b, h, w, c], the encoder's features.
      level: from 1, names the module.
      kind: ``skips`` (f itself), ``se`` (squeeze and excitation) or ``grm`` (graph reasoning).
      compact: the form of the graph reasoning, see ``compact_graph``.
      adjacency_std: see ``GraphReasoning``.
      dtype: of the operands of the products.

    Returns:
      The same shape.
    """
    if kind == "skips":
        return f
    if kind == "se":
        return SqueezeExcitation(dtype, name=f"se_{level}")(f)
    reasoning = CompactGraphReasoning if compact else GraphReasoning
    return reasoning(adjacency_std, dtype, name=f"grm_{level}")(f)


GENERATOR_KINDS = ("dcgan", "encoder_decoder", "skips", "se", "grm")  # of the paper's Table III, B to F

_WIDTHS = (64, 128, 256, 512, 512, 512)  # of the skips f1..f6 (docs/design.md, "Networks")

_SMALL_INIT = nn.initializers.normal(0.002)

_PIXELS_PER_UNIT = 3.0  # skin moves by 1 to 3 pixels at 128x128 (docs/design.md, "Crop and registration")


class Generator(nn.Module):
    """U-Net with an identity embedding and a graph reasoning module on every skip (paper, section III-A).

    Halves the image until one pixel is left: ``log2(image_size)`` convolutions, the last of which gives the
    identity embedding. Embedding, noise and class make the seed, which as many transposed convolutions grow.

    The other kinds leave parts out (paper, Table III): ``se`` weighs the skips' channels instead of reasoning,
    ``skips`` passes them on as they are, ``encoder_decoder`` has none, and ``dcgan`` has no encoder either: it draws
    a face from noise and class alone, and of the onset it takes the size.

    Attributes:
      kind: one of ``KINDS``.
      width: factor on the channels of the skips.
      embedding: channels of the identity embedding e.
      class_gain: factor on the one-hot class in the seed.
      adjacency_std: of the GRM's adjacency matrices.
      compact: the GRM's form, see ``compact_graph``.
      motion: the decoder tells how the onset's pixels move, and what is added to them, instead of drawing the
        whole face.
      dtype: of the operands of matrix products, float32 or bfloat16; everything else is float32.
    """

    kind: str = "grm"
    width: float = 1.0
    embedding: int = 320
    class_gain: float = 1.0
    adjacency_std: float = 0.02
    compact: bool = False
    motion: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        onset: jax.Array,
        noise: jax.Array,
        expression: jax.Array,
        *,
        train: bool,
        intensity: jax.Array | None = None,
    ) -> jax.Array:
        """Synthesizes a face.

        Args:
          onset: float[b, n, n, 1] in [-1, 1]; n a power of 2, at least 8.
          noise: float[b, z], standard normal.
          expression: float[b, k], one-hot.
          train: moves the spectral norm's power iteration on.
          intensity: float[b], share of the change from the onset: 0 gives the onset, 1 the face as trained. With
            ``motion`` pixels move so much of their way, otherwise the two faces are mixed. None: 1.

        Returns:
          float[b, n, n, 1] in [-1, 1]. Whoever asks for the collection ``intermediates`` gets the change at intensity
          1, too: ``added`` float[b, n, n, 1] and, with ``motion``, that (float[b, n, n, 2], see ``move``).

        Raises:
          ValueError: the kind is not known, or is ``dcgan`` and ought to move the onset that it does not see.
        """
        if self.kind not in GENERATOR_KINDS or (self.kind == "dcgan" and self.motion):
            raise ValueError(f"no generator is a {self.kind!r} with motion={self.motion}")
        levels = onset.shape[1].bit_length() - 1
        channels = [scale_channels(_WIDTHS[min(i, 5)], self.width) for i in range(levels - 1)]
        x = jnp.concatenate([noise, self.class_gain * expression], axis=1)[:, None, None, :]
        skips: list[jax.Array] = []
        if self.kind != "dcgan":
            embedding, skips = self._encode(onset, [*channels, self.embedding], train)
            x = jnp.concatenate([embedding, x], axis=3)
        for level, features in zip(range(levels, 1, -1), reversed(channels), strict=True):
            up = Convolution(features, transposed=True, dtype=self.dtype, name=f"up_{level}")
            x = instance_norm(up(leaky_relu(x), train=train))
            if skips:
                x = jnp.concatenate([x, skips[level - 2]], axis=3)
        x = leaky_relu(x)
        share = None if intensity is None else intensity[:, None, None, None]
        if not self.motion:
            face = jnp.tanh(Convolution(1, transposed=True, dtype=self.dtype, name="up_1")(x, train=train))
            self.sow("intermediates", "added", face - onset)
            return face if share is None else onset + share * (face - onset)
        # A kernel of spectral norm 1 cannot draw "no change": this layer goes without, and starts near zero.
        last = Convolution(3, transposed=True, spectral=False, kernel_init=_SMALL_INIT, dtype=self.dtype, name="up_1")
        x = last(x, train=train)
        motion, added = _PIXELS_PER_UNIT * x[..., :2], x[..., 2:]
        self.sow("intermediates", "motion", motion)
        self.sow("intermediates", "added", added)
        if share is not None:
            motion, added = share * motion, share * added
        return jnp.clip(warp(onset, motion) + added, -1.0, 1.0)

    def _encode(self, x: jax.Array, channels: list[int], train: bool) -> tuple[jax.Array, list[jax.Array]]:
        """A face float[b, n, n, 1] to its embedding float[b, 1, 1, e] and what the skips pass on, if there are any."""
        pass_on = functools.partial(
            skip_features, kind=self.kind, compact=self.compact, adjacency_std=self.adjacency_std, dtype=self.dtype
        )
        skips = []
        for level, features in enumerate(channels, start=1):
            if level > 1:
                x = leaky_relu(x)
                if self.kind != "encoder_decoder":
                    skips.append(pass_on(x, level - 1))
            x = Convolution(features, dtype=self.dtype, name=f"down_{level}")(x, train=train)
            if 1 < level < len(channels):
                x = instance_norm(x)
        return x, skips
