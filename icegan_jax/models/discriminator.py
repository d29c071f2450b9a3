"""The 70x70 PatchGAN trunk that every discriminator begins with (docs/design.md, "Networks").

The capsule discriminator: is this face real, which micro-expression does it show, and what does it look like?

The discriminator without capsules: two convolutions after the trunk (paper, Table IV, D_CNN).
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models.capsules import RoutedCapsules, length, squash
from icegan_jax.models.layers import (
    NORM_EPSILON,
    WEIGHT_INIT,
    Convolution,
    Dense,
    instance_norm,
    leaky_relu,
    scale_channels,
)

_PATCHGAN_WIDTHS = (64, 128, 256, 512, 512, 64)


def patchgan(
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
    widths = [scale_channels(c, width) for c in _PATCHGAN_WIDTHS]
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


class DiscriminatorOutput(NamedTuple):
    """What the discriminator says of a batch of faces.

    Attributes:
      realness: float[b], length of AdvCaps in [0, 1).
      lengths: float[b, k], length of ExpCaps per class in [0, 1).
      reconstruction: float[b, n, n, 1] in [0, 1]; None of a discriminator that draws none.

    One without capsules gives probabilities in the place of lengths (see ``cnn``).
    """

    real_prob: jax.Array
    lengths: jax.Array
    reconstruction: jax.Array | None


def discriminator_input(onset: jax.Array, face: jax.Array, kind: str, gain: float) -> jax.Array:
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


class CapsuleDiscriminator(nn.Module):
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
    def __call__(self, image: jax.Array, label: jax.Array | None, *, train: bool) -> DiscriminatorOutput:
        """Judges a batch.

        Args:
          image: float[b, n, n, c], from ``recognition_image``.
          label: int[b], the class whose capsule is reconstructed; None: the predicted one.
          train: batch statistics in batch norm, and a power iteration in spectral norm.
        """
        features = patchgan(
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
        return DiscriminatorOutput(length(adversarial)[:, 0], lengths, reconstruction)

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
            features = scale_channels(width, self.reconstruction_width)
            x = nn.relu(dense(features, name=f"reconstruction_{index}")(x, train=train))
        last = f"reconstruction_{len(self.reconstruction_hidden) + 1}"
        x = nn.sigmoid(dense(size * size, kernel_init=WEIGHT_INIT, name=last)(x, train=train))
        return x.reshape(-1, size, size, 1)


_CNN_FEATURES = 128  # of the trunk, as many as PrimaryCaps has (8 types of 16), and of the first convolution

_CNN_LAST = 4  # side of the last kernel, where the map is as large

# Variance-preserving at any width; like the capsules they stand for, these two layers have no spectral norm.
_CNN_INIT = nn.initializers.lecun_normal()


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
    def __call__(self, image: jax.Array, label: jax.Array | None, *, train: bool) -> DiscriminatorOutput:
        """Judges a batch.

        Args:
          image: float[b, n, n, c], from ``recognition_image``.
          label: not looked at; there is nothing to reconstruct.
          train: see ``trunk``.
        """
        width = self.width * self.cnn_width
        features = scale_channels(_CNN_FEATURES, width)
        x = patchgan(
            image,
            features,
            width=width,
            norm=self.norm,
            dtype=self.dtype,
            batch_axis=self.batch_axis,
            train=train,
        )
        first = Convolution(features, spectral=False, kernel_init=_CNN_INIT, dtype=self.dtype, name="head_1")
        x = leaky_relu(first(leaky_relu(x), train=train))
        last = Convolution(
            1 + self.classes,
            size=min(_CNN_LAST, x.shape[1]),
            stride=1,
            padding=0,
            spectral=False,
            kernel_init=_CNN_INIT,
            dtype=self.dtype,
            name="head_2",
        )
        logits = jnp.mean(last(x, train=train), axis=(1, 2))
        return DiscriminatorOutput(nn.sigmoid(logits[:, 0]), nn.softmax(logits[:, 1:]), None)
