"""The capsule discriminator: is this face real, which micro-expression does it show, and what does it look like?"""

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models.capsules import RoutedCapsules, length, squash
from icegan_jax.models.correlation import product
from icegan_jax.models.layers import NORM_EPSILON, WEIGHT_INIT, Convolution, instance_norm, leaky_relu, scaled

_RECONSTRUCTION_WIDTHS = (512, 1024)  # of the hidden layers (Sabour et al. 2017, figure 2)


class Verdict(NamedTuple):
    """What the discriminator says of a batch of faces.

    Attributes:
      realness: float[b], length of AdvCaps in [0, 1).
      lengths: float[b, k], length of ExpCaps per class in [0, 1).
      reconstruction: float[b, n, n, 1] in [0, 1].
    """

    realness: jax.Array
    lengths: jax.Array
    reconstruction: jax.Array


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
      capsule_std: of the initial capsule transformation matrices.
      reconstruction_width: factor on the reconstruction network's hidden layers.
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
    capsule_std: float = 0.01
    reconstruction_width: float = 1.0
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
        u = self._primary_capsules(self._trunk(image, train))
        adversarial = self._routed(1, self.adversarial_dimension, "adv_caps")(u)
        expression = self._routed(self.classes, self.expression_dimension, "exp_caps")(u)
        lengths = length(expression)
        shown = jnp.argmax(lengths, axis=1) if label is None else label
        reconstruction = self._reconstruction(expression, shown, image.shape[1])
        return Verdict(length(adversarial)[:, 0], lengths, reconstruction)

    def _trunk(self, x: jax.Array, train: bool) -> jax.Array:
        """float[b, n, n, c] to float[b, m, m, primary_types * primary_dimension]; m is 8 for n = 128."""
        widths = [scaled(c, self.width) for c in (64, 128, 256, 512, 512, 64)]
        convolution = functools.partial(Convolution, dtype=self.dtype)
        for index, features in enumerate(widths[:5], start=1):
            x = convolution(features, stride=2 if index <= 3 else 1, use_bias=index in (1, 5), name=f"trunk_{index}")(
                x, train=train
            )
            if index > 1:
                x = self._norm(x, train, f"norm_{index}")
            x = leaky_relu(x)
        x = leaky_relu(convolution(widths[5], size=1, stride=2, padding=1, name="trunk_6")(x, train=train))
        features = self.primary_types * self.primary_dimension
        return convolution(features, size=1, stride=1, padding=0, name="trunk_7")(x, train=train)

    def _norm(self, x: jax.Array, train: bool, name: str) -> jax.Array:
        if self.norm == "instance":
            return instance_norm(x)
        norm = nn.BatchNorm(
            use_running_average=not train,
            momentum=0.9,
            epsilon=NORM_EPSILON,
            axis_name=self.batch_axis,
            name=name,
        )
        return norm(x)

    def _primary_capsules(self, x: jax.Array) -> jax.Array:
        """float[b, m, m, types * i] to float[b, m * m * types, i], squashed."""
        return squash(x.reshape(x.shape[0], -1, self.primary_dimension))

    def _routed(self, capsules: int, dimension: int, name: str) -> RoutedCapsules:
        return RoutedCapsules(capsules, dimension, self.iterations, self.capsule_std, name=name)

    def _reconstruction(self, capsules: jax.Array, shown: jax.Array, size: int) -> jax.Array:
        """float[b, k, d] and int[b] to float[b, size, size, 1] in [0, 1] (Sabour et al. 2017, section 4.1)."""
        mask = jax.nn.one_hot(shown, self.classes, dtype=capsules.dtype)
        x = (capsules * mask[:, :, None]).reshape(capsules.shape[0], -1)

        def rounded(a: jax.Array, b: jax.Array, *_: Any, **__: Any) -> jax.Array:
            """``nn.Dense``'s only product, of two matrices."""
            return product(self.dtype, a, b)

        dense = functools.partial(nn.Dense, dot_general=rounded)
        for index, width in enumerate(_RECONSTRUCTION_WIDTHS, start=1):
            features = scaled(width, self.reconstruction_width)
            x = nn.relu(dense(features, name=f"reconstruction_{index}")(x))
        x = nn.sigmoid(dense(size * size, kernel_init=WEIGHT_INIT, name="reconstruction_3")(x))
        return x.reshape(-1, size, size, 1)
