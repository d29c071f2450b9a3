"""Discriminators: real or synthetic, expression and, with capsules, a reconstruction (paper, section III-B).

Both discriminators start with a 70x70 PatchGAN. ``CapsuleDiscriminator`` continues with capsules (D_CE),
``ConvolutionalDiscriminator`` with two convolutions (D_CNN, paper, Table IV).

Axis letters: b batch, n image side, m feature map side, c channel, k class, i d input and output capsule dimension.
"""

import functools
from typing import NamedTuple

import chex
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

_PATCHGAN_WIDTHS = (64, 128, 256, 512, 512, 64)  # docs/design.md, "Networks"
_CNN_FEATURES = 128  # channels of D_CNN's PatchGAN, as many as PrimaryCaps has (8 x 16), and of its first convolution
_CNN_KERNEL = 4  # side of D_CNN's last kernel, if the feature map is as large
# The two convolutions of D_CNN are variance-preserving at any width and, like the capsules, have no spectral norm.
_CNN_INIT = nn.initializers.lecun_normal()


def patchgan(
    x: jax.Array,
    features: int,
    *,
    width: float,
    norm: str,
    pointwise_activation: bool,
    fixed_spectral_norm: bool,
    released_start: bool,
    dtype: DTypeLike,
    batch_axis: str | None,
    train: bool,
) -> jax.Array:
    """Compute the features of every patch; the layers become submodules of the Flax module that calls this function.

    Args:
      x: float[b, n, n, c].
      features: channels of the last layer.
      width: factor on the channels of the other layers.
      norm: ``batch`` or ``instance`` (without parameters or running statistics).
      pointwise_activation: whether there is a LeakyReLU between the two 1x1 convolutions.
      fixed_spectral_norm: whether evaluation makes no power iteration, see ``Convolution``.
      released_start: whether the scales of batch norm start from N(1, 0.02) instead of 1.
      dtype: type of the products' operands.
      batch_axis: name of the device axis over which batch norm averages its statistics; None: one device.
      train: whether batch norm uses batch statistics and spectral norm updates its power iteration.

    Returns:
      float[b, m, m, features]; m is 8 for n = 128.
    """
    chex.assert_rank(x, 4, custom_message="x: float[b, n, n, c]")
    widths = [scale_channels(c, width) for c in _PATCHGAN_WIDTHS]
    convolution = functools.partial(Convolution, fixed_norm=fixed_spectral_norm, dtype=dtype)
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
                scale_init=_released_scales if released_start else nn.initializers.ones,
                axis_name=batch_axis,
                name=f"norm_{index}",
            )
            x = batch_norm(x)
        x = leaky_relu(x)
    x = convolution(widths[5], size=1, stride=2, padding=1, name="trunk_6")(x, train=train)
    if pointwise_activation:
        x = leaky_relu(x)
    return convolution(features, size=1, stride=1, padding=0, name="trunk_7")(x, train=train)


def _released_scales(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
    return 1.0 + 0.02 * jax.random.normal(key, shape, dtype)


class DiscriminatorOutput(NamedTuple):
    """The discriminator's output for a batch of faces.

    Attributes:
      real_prob: float[b] in [0, 1), length of AdvCaps; of ``ConvolutionalDiscriminator`` a probability.
      lengths: float[b, k] in [0, 1), length of ExpCaps per class; of ``ConvolutionalDiscriminator`` probabilities.
      reconstruction: float[b, n, n, 1] in [0, 1]; None without capsules.
    """

    real_prob: jax.Array
    lengths: jax.Array
    reconstruction: jax.Array | None


def discriminator_input(onset: jax.Array, face: jax.Array, kind: str, gain: float) -> jax.Array:
    """Return the discriminator's input image (docs/design.md, "Onset and apex as input").

    ``apex`` is the face alone (the paper). ``pair`` has the channels (face, gain x (face - onset)): the same
    information as face and onset, with the change, a few gray levels, on the scale of the face.

    Args:
      onset, face: float[b, n, n, 1] in [-1, 1].
      kind: ``apex`` or ``pair``.
      gain: factor on the change.

    Returns:
      float[b, n, n, 1] or [b, n, n, 2].
    """
    chex.assert_shape(face, (None, None, None, 1), custom_message="face: float[b, n, n, 1]")
    chex.assert_shape(onset, face.shape, custom_message="onset: float[b, n, n, 1]")
    if kind == "apex":
        return face
    return jnp.concatenate([face, gain * (face - onset)], axis=3)


class CapsuleDiscriminator(nn.Module):
    """70x70 PatchGAN, PrimaryCaps, AdvCaps, ExpCaps, reconstruction network (paper, section III-B).

    Attributes:
      classes: number of expressions k.
      width: factor on the channels of the PatchGAN.
      primary_types, primary_dimension: number of PrimaryCaps types at each position, and their dimension.
      adversarial_dimension, expression_dimension: dimension of AdvCaps and of each ExpCaps.
      routing_iterations: iterations of ``dynamic_routing``.
      routing_axis: ``output`` or ``input``, see ``dynamic_routing``.
      exact_lengths: whether lengths and squash are ``exact``, see ``length`` and ``squash``.
      capsule_std: standard deviation of the initial capsule transformation matrices.
      reconstruction_hidden: widths of the reconstruction network's hidden layers (Sabour et al. 2017, figure 2).
      reconstruction_width: factor on these widths.
      reconstruction_spectral: whether the reconstruction network has spectral norm.
      batch_wide_mask: whether the capsule that is reconstructed is chosen by a softmax over the batch, whatever the
        label: a defect of the released definitions, by which the choice for a face depends on the other faces.
      norm, pointwise_activation, fixed_spectral_norm: see ``patchgan``.
      released_start: see ``patchgan`` and ``Dense.uniform_start``, for the reconstruction network.
      dtype: type of the products' operands in PatchGAN and reconstruction, float32 or bfloat16; everything else,
        routing included, is float32.
      batch_axis: see ``patchgan``.
    """

    classes: int = 3
    width: float = 1.0
    primary_types: int = 8
    primary_dimension: int = 16
    adversarial_dimension: int = 256
    expression_dimension: int = 32
    routing_iterations: int = 3
    routing_axis: str = "output"
    exact_lengths: bool = False
    capsule_std: float = 0.01
    reconstruction_hidden: tuple[int, ...] = (512, 1024)
    reconstruction_width: float = 1.0
    reconstruction_spectral: bool = False
    batch_wide_mask: bool = False
    norm: str = "batch"
    pointwise_activation: bool = True
    fixed_spectral_norm: bool = False
    released_start: bool = False
    dtype: DTypeLike = jnp.float32
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, image: jax.Array, label: jax.Array | None, *, train: bool) -> DiscriminatorOutput:
        """Compute the output for a batch of images.

        Args:
          image: float[b, n, n, c], from ``discriminator_input``.
          label: int[b], the class whose capsule is reconstructed; None: the predicted class. Unused with the attribute
            ``batch_wide_mask``.
          train: see ``patchgan``.
        """
        chex.assert_rank(image, 4, custom_message="image: float[b, n, n, c]")
        if label is not None:
            chex.assert_shape(label, image.shape[:1], custom_message="label: int[b]")
            chex.assert_type(label, int, custom_message="label: int[b]")
        features = patchgan(
            image,
            self.primary_types * self.primary_dimension,
            width=self.width,
            norm=self.norm,
            pointwise_activation=self.pointwise_activation,
            fixed_spectral_norm=self.fixed_spectral_norm,
            released_start=self.released_start,
            dtype=self.dtype,
            batch_axis=self.batch_axis,
            train=train,
        )
        u = self._primary_capsules(features)
        adversarial = self._routed(1, self.adversarial_dimension, "adv_caps")(u)
        expression = self._routed(self.classes, self.expression_dimension, "exp_caps")(u)
        lengths = length(expression, self.exact_lengths)
        if self.batch_wide_mask:
            label = jnp.argmax(nn.softmax(lengths, axis=0), axis=1)
        elif label is None:
            label = jnp.argmax(lengths, axis=1)
        reconstruction = self._reconstruction(expression, label, image.shape[1], train)
        return DiscriminatorOutput(length(adversarial, self.exact_lengths)[:, 0], lengths, reconstruction)

    def _primary_capsules(self, x: jax.Array) -> jax.Array:
        """Reshape float[b, m, m, types * i] to capsules float[b, m * m * types, i], squashed."""
        return squash(x.reshape(x.shape[0], -1, self.primary_dimension), self.exact_lengths)

    def _routed(self, capsules: int, dimension: int, name: str) -> RoutedCapsules:
        return RoutedCapsules(
            capsules,
            dimension,
            self.routing_iterations,
            self.capsule_std,
            self.routing_axis,
            self.exact_lengths,
            name=name,
        )

    def _reconstruction(self, capsules: jax.Array, label: jax.Array, size: int, train: bool) -> jax.Array:
        """Map float[b, k, d] and int[b] to float[b, size, size, 1] in [0, 1] (Sabour et al. 2017, section 4.1)."""
        mask = jax.nn.one_hot(label, self.classes, dtype=capsules.dtype)
        x = (capsules * mask[:, :, None]).reshape(capsules.shape[0], -1)
        dense = functools.partial(
            Dense,
            spectral=self.reconstruction_spectral,
            fixed_norm=self.fixed_spectral_norm,
            uniform_start=self.released_start,
            dtype=self.dtype,
        )
        for index, width in enumerate(self.reconstruction_hidden, start=1):
            features = scale_channels(width, self.reconstruction_width)
            x = nn.relu(dense(features, name=f"reconstruction_{index}")(x, train=train))
        last = f"reconstruction_{len(self.reconstruction_hidden) + 1}"
        x = nn.sigmoid(dense(size * size, kernel_init=WEIGHT_INIT, name=last)(x, train=train))
        return x.reshape(-1, size, size, 1)


class ConvolutionalDiscriminator(nn.Module):
    """PatchGAN, 4x4 convolution of stride 2, 4x4 convolution to a logit for real and one for each class.

    The paper has only the words "two CNN layers". The first convolution here halves the 8x8 feature map of a 128x128
    face; the kernel of the second one is as large as the map. For smaller faces the last kernel is as large as the map;
    for larger faces the logits are averaged over the map.

    Attributes:
      classes: number of expressions k.
      width: factor on all channels except the outputs.
      cnn_width: another such factor, to match the parameter count of a capsule discriminator.
      norm, pointwise_activation, fixed_spectral_norm, released_start, dtype, batch_axis: see ``patchgan``.
    """

    classes: int = 3
    width: float = 1.0
    cnn_width: float = 1.0
    norm: str = "batch"
    pointwise_activation: bool = True
    fixed_spectral_norm: bool = False
    released_start: bool = False
    dtype: DTypeLike = jnp.float32
    batch_axis: str | None = None

    @nn.compact
    def __call__(self, image: jax.Array, label: jax.Array | None, *, train: bool) -> DiscriminatorOutput:
        """Compute the output for a batch of images.

        Args:
          image: float[b, n, n, c], from ``discriminator_input``.
          label: unused, because there is no reconstruction.
          train: see ``patchgan``.
        """
        chex.assert_rank(image, 4, custom_message="image: float[b, n, n, c]")
        width = self.width * self.cnn_width
        features = scale_channels(_CNN_FEATURES, width)
        x = patchgan(
            image,
            features,
            width=width,
            norm=self.norm,
            pointwise_activation=self.pointwise_activation,
            fixed_spectral_norm=self.fixed_spectral_norm,
            released_start=self.released_start,
            dtype=self.dtype,
            batch_axis=self.batch_axis,
            train=train,
        )
        first = Convolution(features, spectral=False, kernel_init=_CNN_INIT, dtype=self.dtype, name="head_1")
        x = leaky_relu(first(leaky_relu(x), train=train))
        last = Convolution(
            1 + self.classes,
            size=min(_CNN_KERNEL, x.shape[1]),
            stride=1,
            padding=0,
            spectral=False,
            kernel_init=_CNN_INIT,
            dtype=self.dtype,
            name="head_2",
        )
        logits = jnp.mean(last(x, train=train), axis=(1, 2))
        return DiscriminatorOutput(nn.sigmoid(logits[:, 0]), nn.softmax(logits[:, 1:]), None)
