"""The generator: a neutral face, noise and a class in; the same face with that micro-expression out."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models.layers import Convolution, instance_norm, leaky_relu, scaled
from icegan_jax.models.motion import move
from icegan_jax.models.skips import skip

KINDS = ("dcgan", "encoder_decoder", "skips", "se", "grm")  # of the paper's Table III, B to F

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
        """Synthesises a face.

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
        if self.kind not in KINDS or (self.kind == "dcgan" and self.motion):
            raise ValueError(f"no generator is a {self.kind!r} with motion={self.motion}")
        levels = onset.shape[1].bit_length() - 1
        channels = [scaled(_WIDTHS[min(i, 5)], self.width) for i in range(levels - 1)]
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
        return jnp.clip(move(onset, motion) + added, -1.0, 1.0)

    def _encode(self, x: jax.Array, channels: list[int], train: bool) -> tuple[jax.Array, list[jax.Array]]:
        """A face float[b, n, n, 1] to its embedding float[b, 1, 1, e] and what the skips pass on, if there are any."""
        pass_on = functools.partial(
            skip, kind=self.kind, compact=self.compact, adjacency_std=self.adjacency_std, dtype=self.dtype
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
