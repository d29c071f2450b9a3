"""Generator, discriminator and perceptual network in plain PyTorch, as a baseline of speed.

The networks compute the same as ``icegan_jax.models``, with PyTorch's layers and layout: images are NCHW. A network
takes its sizes from our module, and its weights from ``torch_weights``; there is no other initialization.

Axis letters: b batch, c channel, n h w image side, z noise, k class.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.torch_layers import (
    BatchNorm,
    Capsules,
    Convolution,
    GraphReasoning,
    instance_norm,
    length,
    route,
    squash,
    warp,
)
from icegan_jax.models import discriminator, generator
from icegan_jax.models.layers import LEAK, NORM_EPSILON, scale_channels
from icegan_jax.models.perceptual import PerceptualNetwork

# These numbers are not fields of our modules; tests/benchmarks/test_torch_networks.py checks that both are equal.
_GENERATOR_WIDTHS = (64, 128, 256, 512, 512, 512)
_PATCHGAN_WIDTHS = (64, 128, 256, 512, 512, 64)
_RECONSTRUCTION_WIDTHS = (512, 1024)
_PIXELS_PER_UNIT = 3.0


class Generator(nn.Module):
    """U-Net with a graph reasoning module on every skip, with the sizes of our module ``ours``."""

    def __init__(self, ours: generator.Generator, image_size: int, noise: int, classes: int) -> None:
        super().__init__()
        self.class_gain, self.motion = ours.class_gain, ours.motion
        self.levels = image_size.bit_length() - 1
        channels = [scale_channels(_GENERATOR_WIDTHS[min(index, 5)], ours.width) for index in range(self.levels - 1)]
        self.layers = nn.ModuleDict()
        inputs = [1, *channels]
        for level, outputs in enumerate([*channels, ours.embedding], start=1):
            self.layers[f"down_{level}"] = Convolution(inputs[level - 1], outputs)
            if level > 1:
                self.layers[f"grm_{level - 1}"] = GraphReasoning(inputs[level - 1])
        decoded = ours.embedding + noise + classes
        for level in range(self.levels, 1, -1):
            self.layers[f"up_{level}"] = Convolution(decoded, channels[level - 2], transposed=True)
            decoded = 2 * channels[level - 2]
        self.layers["up_1"] = Convolution(decoded, 3 if self.motion else 1, transposed=True, spectral=not self.motion)

    def forward(self, onset: Tensor, noise: Tensor, expression: Tensor, update_stats: bool = False) -> Tensor:
        """Map onset float[b, 1, n, n], noise float[b, z] and one-hot class float[b, k] to a face float[b, 1, n, n]."""
        skips: list[Tensor] = []
        x = onset
        for level in range(1, self.levels + 1):
            if level > 1:
                x = F.leaky_relu(x, LEAK)
                skips.append(self.layers[f"grm_{level - 1}"](x))
            x = self.layers[f"down_{level}"](x, update_stats)
            if 1 < level < self.levels:
                x = instance_norm(x)
        condition = torch.cat([noise, self.class_gain * expression], dim=1)
        x = torch.cat([x, condition[:, :, None, None]], dim=1)
        for level in range(self.levels, 1, -1):
            x = self.layers[f"up_{level}"](F.leaky_relu(x, LEAK), update_stats)
            x = torch.cat([instance_norm(x), skips[level - 2]], dim=1)
        x = self.layers["up_1"](F.leaky_relu(x, LEAK), update_stats)
        if not self.motion:
            return torch.tanh(x)
        return torch.clamp(warp(onset, _PIXELS_PER_UNIT * x[:, :2]) + x[:, 2:], -1.0, 1.0)


class DiscriminatorOutput(NamedTuple):
    """Probability of a real face float[b], lengths of class capsules float[b, k], reconstruction float[b, 1, n, n]."""

    real_prob: Tensor
    lengths: Tensor
    reconstruction: Tensor


class Discriminator(nn.Module):
    """PatchGAN, capsules and reconstruction, with the sizes of our module; ``inputs``: channels of the image."""

    def __init__(self, ours: discriminator.CapsuleDiscriminator, image_size: int, inputs: int) -> None:
        super().__init__()
        self.classes, self.iterations, self.dimension = ours.classes, ours.routing_iterations, ours.primary_dimension
        widths = [scale_channels(width, ours.width) for width in _PATCHGAN_WIDTHS]
        before = [inputs, *widths]
        self.layers = nn.ModuleDict()
        for index in range(1, 6):
            stride = 2 if index <= 3 else 1
            layer = Convolution(before[index - 1], before[index], stride=stride, bias=index in (1, 5))
            self.layers[f"trunk_{index}"] = layer
            if index > 1 and ours.norm == "batch":
                self.layers[f"norm_{index}"] = BatchNorm(before[index], eps=NORM_EPSILON)
        primary = ours.primary_types * ours.primary_dimension
        self.layers["trunk_6"] = Convolution(before[5], before[6], size=1, stride=2, padding=1)
        self.layers["trunk_7"] = Convolution(before[6], primary, size=1, stride=1, padding=0)
        side = ((image_size // 8 - 2) + 2 - 1) // 2 + 1  # two 4x4 kernels cut one pixel each; then 1x1, stride 2
        count = side * side * ours.primary_types
        self.layers["adv_caps"] = Capsules(count, self.dimension, ours.adversarial_dimension, summed=True)
        self.layers["exp_caps"] = Capsules(count, self.dimension, self.classes * ours.expression_dimension)
        sizes = [self.classes * ours.expression_dimension]
        sizes += [scale_channels(width, ours.reconstruction_width) for width in _RECONSTRUCTION_WIDTHS]
        for index, (wide, outputs) in enumerate(zip(sizes, [*sizes[1:], image_size**2], strict=True), start=1):
            self.layers[f"reconstruction_{index}"] = nn.Linear(wide, outputs)

    def forward(self, image: Tensor, label: Tensor | None, update_stats: bool = False) -> DiscriminatorOutput:
        """Apply to float[b, c, n, n]; ``label`` int64[b]: the reconstructed class, None for the predicted class."""
        x = F.leaky_relu(self.layers["trunk_1"](image, update_stats), LEAK)
        for index in range(2, 6):
            x = self.layers[f"trunk_{index}"](x, update_stats)
            norm = f"norm_{index}"
            x = self.layers[norm](x, update_stats) if norm in self.layers else instance_norm(x)
            x = F.leaky_relu(x, LEAK)
        x = self.layers["trunk_7"](F.leaky_relu(self.layers["trunk_6"](x, update_stats), LEAK), update_stats)
        u = squash(x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.dimension))
        adversarial = squash(self.layers["adv_caps"](u))
        votes = self.layers["exp_caps"](u).unflatten(2, (self.classes, -1))
        expression = route(votes, self.iterations)
        lengths = length(expression)
        reconstructed = lengths.argmax(dim=1) if label is None else label
        mask = F.one_hot(reconstructed, self.classes).to(x.dtype)
        x = (expression * mask[:, :, None]).flatten(1)
        for index in (1, 2):
            x = F.relu(self.layers[f"reconstruction_{index}"](x))
        x = torch.sigmoid(self.layers["reconstruction_3"](x))
        n = image.shape[2]
        return DiscriminatorOutput(length(adversarial), lengths, x.view(-1, 1, n, n))


class PerceptualFeatures(nn.Module):
    """The frozen network of the perceptual loss, with the layers of ``ours``."""

    mean: Tensor
    std: Tensor

    def __init__(self, ours: PerceptualNetwork) -> None:
        super().__init__()
        self.layer_specs = ours.layers
        self.kernels = nn.ParameterList(torch.from_numpy(k.transpose(3, 2, 0, 1).copy()) for k, _ in ours.weights)
        self.biases = nn.ParameterList(torch.from_numpy(bias.copy()) for _, bias in ours.weights)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])  # ImageNet's colors
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None])
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        """Map gray faces float[b, 1, n, n] in [-1, 1] to features float[b, c, h, w]."""
        x = ((image + 1) / 2 - self.mean) / self.std
        for layer, kernel, bias in zip(self.layer_specs, self.kernels, self.biases, strict=True):
            if layer.pool:
                x = F.max_pool2d(x, layer.pool, stride=2)
            x = F.relu(F.conv2d(x, kernel, bias, stride=layer.stride, padding=layer.padding))
        return x
