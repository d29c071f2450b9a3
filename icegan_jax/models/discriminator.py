"""The capsule discriminator: is this face real, which micro-expression does it show, and what does it look like?"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models.capsules import RoutedCapsules, length, squash
from icegan_jax.models.layers import WEIGHT_INIT, Dense, scaled
from icegan_jax.models.trunk import trunk


class Verdict(NamedTuple):
    """What the discriminator says of a batch of faces.

    Attributes:
      realness: float[b], length of AdvCaps in [0, 1).
      lengths: float[b, k], length of ExpCaps per class in [0, 1).
      reconstruction: float[b, n, n, 1] in [0, 1]; None of a discriminator that draws none.

    One without capsules gives probabilities in the place of lengths (see ``cnn``).
    """

    realness: jax.Array
    lengths: jax.Array
    reconstruction: jax.Array | None


def recognition_image(onset: jax.Array, face: jax.Array, kind: str, gain: float) -> jax.Array:
    """What the discriminator looks at.

    ``apex``: the face alone (the paper). ``pair``: the onset beside it, in the basis (face, gain (face - onset)):
    the same information as the two pictures, with the change, a few grey levels in size, on the scale of the face.

    Args:
      onset, face: float[b, n, n, 1] in [-1, 1].
      kind: ``apex`` or ``pair``.
      gain: factor on the change.

    Returns:
      float[b, n, n, 1] or [b, n, n, 2].
    """
    if kind == "apex":
        return face
    return jnp.concatenate([face, gain * (face - onset)], axis=3)


class Discriminator(nn.Module):
    """70x70 PatchGAN trunk, PrimaryCaps, AdvCaps, ExpCaps, reconstruction network (paper, section III-B).

    Attributes:
      classes: number of expressions k.
      width: factor on the channels of the trunk.
      primary_types, primary_dimension: PrimaryCaps, types of capsule at each position and their dimension.
      adversarial_dimension, expression_dimension: of AdvCaps and of each ExpCaps.
      iterations: routing iterations.
      routing_axis: over which capsules the couplings sum to 1, ``output`` or ``input``, see ``route``.
      capsule_std: of the initial capsule transformation matrices.
      reconstruction_hidden: widths of the reconstruction network's hidden layers (Sabour et al. 2017, figure 2).
      reconstruction_width: factor on them.
      reconstruction_spectral: spectral norm on all of its layers.
      norm: ``batch`` or ``instance`` (without parameters or running statistics), in the trunk.
      dtype: of the operands of matrix products, float32 or bfloat16, in trunk and reconstruction; routing and
        everything else is float32.
      batch_axis: name of the axis of the devices that share a batch, over which batch norm takes its statistics.
    """

    classes: int = 3
    width: float = 1.0
    primary_types: int = 8
    primary_dimension: int = 16
    adversarial_dimension: int = 256
    expression_dimension: int = 32
    iterations: int = 3
    routing_axis: str = "output"
    capsule_std: float = 0.01
    reconstruction_hidden: tuple[int, ...] = (512, 1024)
    reconstruction_width: float = 1.0
    reconstruction_spectral: bool = False
    norm: str = "batch"
    dtype: DTypeLike = jnp.float32
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, image: jax.Array, label: jax.Array | None, *, train: bool) -> Verdict:
        """Judges a batch.

        Args:
          image: float[b, n, n, c], from ``recognition_image``.
          label: int[b], the class whose capsule is reconstructed; None: the predicted one.
          train: batch statistics in batch norm, and a power iteration in spectral norm.
        """
        features = trunk(
            image,
            self.primary_types * self.primary_dimension,
            width=self.width,
            norm=self.norm,
            dtype=self.dtype,
            batch_axis=self.batch_axis,
            train=train,
        )
        u = self._primary_capsules(features)
        adversarial = self._routed(1, self.adversarial_dimension, "adv_caps")(u)
        expression = self._routed(self.classes, self.expression_dimension, "exp_caps")(u)
        lengths = length(expression)
        shown = jnp.argmax(lengths, axis=1) if label is None else label
        reconstruction = self._reconstruction(expression, shown, image.shape[1], train)
        return Verdict(length(adversarial)[:, 0], lengths, reconstruction)

    def _primary_capsules(self, x: jax.Array) -> jax.Array:
        """float[b, m, m, types * i] to float[b, m * m * types, i], squashed."""
        return squash(x.reshape(x.shape[0], -1, self.primary_dimension))

    def _routed(self, capsules: int, dimension: int, name: str) -> RoutedCapsules:
        return RoutedCapsules(capsules, dimension, self.iterations, self.capsule_std, self.routing_axis, name=name)

    def _reconstruction(self, capsules: jax.Array, shown: jax.Array, size: int, train: bool) -> jax.Array:
        """float[b, k, d] and int[b] to float[b, size, size, 1] in [0, 1] (Sabour et al. 2017, section 4.1)."""
        mask = jax.nn.one_hot(shown, self.classes, dtype=capsules.dtype)
        x = (capsules * mask[:, :, None]).reshape(capsules.shape[0], -1)
        dense = functools.partial(Dense, spectral=self.reconstruction_spectral, dtype=self.dtype)
        for index, width in enumerate(self.reconstruction_hidden, start=1):
            features = scaled(width, self.reconstruction_width)
            x = nn.relu(dense(features, name=f"reconstruction_{index}")(x, train=train))
        last = f"reconstruction_{len(self.reconstruction_hidden) + 1}"
        x = nn.sigmoid(dense(size * size, kernel_init=WEIGHT_INIT, name=last)(x, train=train))
        return x.reshape(-1, size, size, 1)
