"""The generator: onset face, noise and class to the same face with that micro-expression (paper, section III-A).

The file also holds the generator's skip connections and the warp of the onset's pixels.

Axis letters: b batch, n image side, h w feature map or image, c channel, z noise, k class, e embedding.
"""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from icegan_jax.models.convolution import matrix_product
from icegan_jax.models.graph_reasoning import CompactGraphReasoning, GraphReasoning
from icegan_jax.models.layers import Convolution, instance_norm, leaky_relu, scale_channels

GENERATOR_KINDS = ("dcgan", "encoder_decoder", "skips", "se", "grm")  # paper, Table III, B to F

_WIDTHS = (64, 128, 256, 512, 512, 512)  # channels of the skips f1..f6 (docs/design.md, "Networks")

_SE_REDUCTION = 16  # r, reduction ratio of squeeze-and-excitation (Hu et al. 2018, section 3.4)

_MOTION_INIT = nn.initializers.normal(0.002)

_PIXELS_PER_UNIT = 3.0  # skin moves by 1 to 3 pixels at 128x128 (docs/design.md, "Crop and registration")


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation: a factor in (0, 1) for each channel of a feature map (Hu et al. 2018, eq. 2 to 4).

    The factors are computed by mean over pixels, matrix to c / 16 channels (at least 1), ReLU, matrix to c channels and
    sigmoid. There are no biases, as in equation 3.

    Attributes:
      dtype: type of the products' operands.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, f: jax.Array) -> jax.Array:
        """Map a feature map float[b, h, w, c] to one of the same shape."""
        chex.assert_rank(f, 4, custom_message="f: float[b, h, w, c]")
        c = f.shape[3]
        squeezed = max(1, c // _SE_REDUCTION)
        init = nn.initializers.lecun_normal()
        squeeze = self.param("squeeze", init, (c, squeezed))
        excite = self.param("excite", init, (squeezed, c))
        hidden = nn.relu(matrix_product(self.dtype, jnp.mean(f, axis=(1, 2)), squeeze))
        return f * nn.sigmoid(matrix_product(self.dtype, hidden, excite))[:, None, None, :]


def skip_features(
    f: jax.Array,
    level: int,
    *,
    kind: str,
    compact_grm: bool,
    adjacency_std: float,
    released_start: bool,
    dtype: DTypeLike,
) -> jax.Array:
    """Compute a level's skip features; the module becomes a submodule of the Flax module that calls this function.

    Args:
      f: float[b, h, w, c], the encoder's features.
      level: 1, 2, ...; part of the submodule's name.
      kind: ``skips`` (f itself), ``se`` (squeeze-and-excitation) or ``grm`` (graph reasoning).
      compact_grm: whether the graph reasoning is ``CompactGraphReasoning``.
      adjacency_std: see ``GraphReasoning``.
      released_start: see ``CompactGraphReasoning``.
      dtype: type of the products' operands.

    Returns:
      float[b, h, w, c].
    """
    if kind == "skips":
        return f
    if kind == "se":
        return SqueezeExcitation(dtype, name=f"se_{level}")(f)
    name = f"grm_{level}"
    if compact_grm:
        return CompactGraphReasoning(adjacency_std, dtype, released_start, name=name)(f)
    return GraphReasoning(adjacency_std, dtype, name=name)(f)


class Generator(nn.Module):
    """U-Net with an identity embedding and a graph reasoning module on every skip (paper, section III-A).

    The encoder has ``log2(image_size)`` convolutions, each of which halves the image; the last one outputs the identity
    embedding, one pixel. Embedding, noise and class are the seed of the decoder, as many transposed convolutions.

    The other kinds (paper, Table III) leave parts out: ``se`` has squeeze-and-excitation instead of graph reasoning,
    ``skips`` has plain skips, ``encoder_decoder`` has no skips, and ``dcgan`` has no encoder either: its face depends
    on noise and class alone, and the onset gives only the size.

    Attributes:
      kind: one of ``GENERATOR_KINDS``.
      width: factor on the channels of the skips.
      embedding: channels of the identity embedding e.
      class_gain: factor on the one-hot class in the seed.
      adjacency_std: standard deviation of the GRM's initial adjacency matrices.
      compact_grm: whether the GRM is ``CompactGraphReasoning``.
      motion: whether the decoder outputs the motion of the onset's pixels and a residual, instead of the whole face.
      fixed_spectral_norm: whether evaluation makes no power iteration, see ``Convolution``.
      released_start: see ``CompactGraphReasoning``.
      dtype: type of the products' operands, float32 or bfloat16; everything else is float32.
    """

    kind: str = "grm"
    width: float = 1.0
    embedding: int = 320
    class_gain: float = 1.0
    adjacency_std: float = 0.02
    compact_grm: bool = False
    motion: bool = False
    fixed_spectral_norm: bool = False
    released_start: bool = False
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
        """Synthesize faces.

        Args:
          onset: float[b, n, n, 1] in [-1, 1]; n a power of 2, at least 8.
          noise: float[b, z], standard normal.
          expression: float[b, k], one-hot.
          train: whether the power iteration of spectral norm is updated.
          intensity: float[b], factor on the change from the onset: 0 gives the onset, 1 (or None) the face as trained.
            With ``motion`` the factor scales motion and residual, otherwise onset and face are interpolated.

        Returns:
          float[b, n, n, 1] in [-1, 1]. The collection ``intermediates`` has the change at intensity 1: ``added``
          float[b, n, n, 1] and, with the attribute ``motion``, ``motion`` float[b, n, n, 2] (see ``warp``).

        Raises:
          AssertionError: an argument has another shape.
          ValueError: the kind is unknown, or is ``dcgan``, which has no encoder, with ``motion``.
        """
        chex.assert_rank(onset, 4, custom_message="onset: float[b, n, n, 1]")
        b, n = onset.shape[:2]
        chex.assert_shape(onset, (b, n, n, 1), custom_message="onset: float[b, n, n, 1]")
        chex.assert_shape(noise, (b, None), custom_message="noise: float[b, z]")
        chex.assert_shape(expression, (b, None), custom_message="expression: float[b, k]")
        if intensity is not None:
            chex.assert_shape(intensity, (b,), custom_message="intensity: float[b]")
        if self.kind not in GENERATOR_KINDS or (self.kind == "dcgan" and self.motion):
            raise ValueError(f"no generator is a {self.kind!r} with motion={self.motion}")
        levels = n.bit_length() - 1
        channels = [scale_channels(_WIDTHS[min(i, 5)], self.width) for i in range(levels - 1)]
        convolution = functools.partial(Convolution, fixed_norm=self.fixed_spectral_norm, dtype=self.dtype)
        x = jnp.concatenate([noise, self.class_gain * expression], axis=1)[:, None, None, :]
        skips: list[jax.Array] = []
        if self.kind != "dcgan":
            embedding, skips = self._encode(onset, [*channels, self.embedding], train)
            x = jnp.concatenate([embedding, x], axis=3)
        for level, features in zip(range(levels, 1, -1), reversed(channels), strict=True):
            up = convolution(features, transposed=True, name=f"up_{level}")
            x = instance_norm(up(leaky_relu(x), train=train))
            if skips:
                x = jnp.concatenate([x, skips[level - 2]], axis=3)
        x = leaky_relu(x)
        scale = None if intensity is None else intensity[:, None, None, None]
        if not self.motion:
            face = jnp.tanh(convolution(1, transposed=True, name="up_1")(x, train=train))
            self.sow("intermediates", "added", face - onset)
            return face if scale is None else onset + scale * (face - onset)
        # With spectral norm the last layer could not output "no change": it has none, and starts near zero.
        last = convolution(3, transposed=True, spectral=False, kernel_init=_MOTION_INIT, name="up_1")
        x = last(x, train=train)
        motion, added = _PIXELS_PER_UNIT * x[..., :2], x[..., 2:]
        self.sow("intermediates", "motion", motion)
        self.sow("intermediates", "added", added)
        if scale is not None:
            motion, added = scale * motion, scale * added
        return jnp.clip(warp(onset, motion) + added, -1.0, 1.0)

    def _encode(self, x: jax.Array, channels: list[int], train: bool) -> tuple[jax.Array, list[jax.Array]]:
        """Return embedding float[b, 1, 1, e] and skip features, if there are any, of faces float[b, n, n, 1]."""
        skip = functools.partial(
            skip_features,
            kind=self.kind,
            compact_grm=self.compact_grm,
            adjacency_std=self.adjacency_std,
            released_start=self.released_start,
            dtype=self.dtype,
        )
        skips = []
        for level, features in enumerate(channels, start=1):
            if level > 1:
                x = leaky_relu(x)
                if self.kind != "encoder_decoder":
                    skips.append(skip(x, level - 1))
            layer = Convolution(features, fixed_norm=self.fixed_spectral_norm, dtype=self.dtype, name=f"down_{level}")
            x = layer(x, train=train)
            if 1 < level < len(channels):
                x = instance_norm(x)
        return x, skips


def warp(image: jax.Array, motion: jax.Array) -> jax.Array:
    """Warp an image by a backward motion field, with bilinear interpolation and the border repeated.

    The function is differentiable in both arguments. Where a source position is a whole pixel, the derivative is that
    of the interval to its lower right.

    Args:
      image: float[b, h, w, 1], h and w at least 2.
      motion: float[b, h, w, 2], rows and columns from each pixel to its source position, in pixels.

    Returns:
      float[b, h, w, 1].
    """
    chex.assert_shape(image, (None, None, None, 1), custom_message="image: float[b, h, w, 1]")
    b, h, w, _ = image.shape
    chex.assert_shape(motion, (b, h, w, 2), custom_message="motion: float[b, h, w, 2]")
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


def to_float(pixels: jax.Array | np.ndarray) -> jax.Array:
    """Scale uint8 gray levels of any shape to float32 in [-1, 1], the generator's scale."""
    chex.assert_type(pixels, jnp.uint8, custom_message="pixels: uint8")
    return jnp.asarray(pixels, jnp.float32) / 127.5 - 1.0


def to_uint8(face: jax.Array) -> jax.Array:
    """Scale floats in [-1, 1] of any shape to uint8 gray levels, clipped and rounded."""
    chex.assert_type(face, float, custom_message="face: float in [-1, 1]")
    return jnp.round((jnp.clip(face, -1.0, 1.0) + 1.0) * 127.5).astype(jnp.uint8)
