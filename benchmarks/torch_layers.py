"""The layers of ``torch_networks``, which compute the same as those of ``icegan_jax.models``.

Axis letters: b batch, c channel, h w n image, p primary capsule, i d dimensions of a capsule, k class.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from icegan_jax.models.layers import NORM_EPSILON

_UNIT_EPSILON = 1e-12
_LENGTH_EPSILON = 1e-9


class Convolution(nn.Module):
    """Convolution or transposed convolution, by default 4x4 with stride 2 and spectral norm.

    Each pass makes one power iteration from the vector ``direction``, and stores the new vector where ``update_stats``
    is true. The matrix is [o, k k i], the transpose of ours.
    """

    direction: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int = 4,
        stride: int = 2,
        padding: int = 1,
        transposed: bool = False,
        bias: bool = True,
        spectral: bool = True,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.transposed, self.spectral = stride, padding, transposed, spectral
        channels = (inputs, outputs) if transposed else (outputs, inputs)
        self.weight = nn.Parameter(torch.empty(*channels, size, size))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        if spectral:
            self.register_buffer("direction", torch.empty(outputs))

    def forward(self, x: Tensor, update_stats: bool = False) -> Tensor:
        """Map float[b, i, h, w] to float[b, o, h', w']."""
        weight: Tensor = self.weight
        if self.spectral:  # multiply by the reciprocal, as the backward pass of a quotient is 1.7 times as slow
            weight = weight * self._spectral_norm(update_stats).reciprocal()
        convolve = F.conv_transpose2d if self.transposed else F.conv2d
        return convolve(x, weight, self.bias, stride=self.stride, padding=self.padding)

    def _spectral_norm(self, update_stats: bool) -> Tensor:
        rows = self.weight.permute(0, 2, 3, 1)  # no copy follows in channels-last layout
        matrix = rows.flatten(0, 2).T if self.transposed else rows.flatten(1)
        with torch.no_grad():
            input_vector = F.normalize(self.direction @ matrix, dim=0, eps=_UNIT_EPSILON)
            output_vector = F.normalize(matrix @ input_vector, dim=0, eps=_UNIT_EPSILON)
            if update_stats:
                self.direction.copy_(output_vector)
        return output_vector @ (matrix @ input_vector)


class BatchNorm(nn.BatchNorm2d):
    """PyTorch's batch norm, whose running statistics change only where ``update_stats`` is true."""

    def forward(self, x: Tensor, update_stats: bool = False) -> Tensor:
        """Normalize float[b, c, h, w]; ``update_stats`` is ignored outside training."""
        statistics = (self.running_mean, self.running_var) if update_stats or not self.training else (None, None)
        return F.batch_norm(x, *statistics, self.weight, self.bias, self.training, self.momentum or 0.0, self.eps)


def instance_norm(x: Tensor) -> Tensor:
    """Normalize each channel of each image, without affine parameters.

    Group norm with one channel per group is 1.5 times as fast on a CPU, and preserves a channels-last layout.
    """
    return F.group_norm(x, x.shape[1], eps=NORM_EPSILON)


class GraphReasoning(nn.Module):
    """The graph reasoning module of a skip; channels are the graph's nodes."""

    identity: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transform = nn.Conv2d(channels, channels, 1)
        self.phi = nn.Conv2d(channels, channels, 1)
        self.theta = nn.Conv2d(channels, channels, 1)
        self.back_projection = nn.Conv2d(channels, channels, 1)
        self.adjacency = nn.Parameter(torch.empty(channels, channels))
        self.weight = nn.Parameter(torch.empty(channels, channels))
        self.register_buffer("identity", torch.eye(channels), persistent=False)

    def forward(self, f: Tensor) -> Tensor:
        """Map float[b, c, h, w] to the same shape."""
        t = self.transform(f)
        phi, theta = self.phi(t).flatten(2), self.theta(t).flatten(2)
        nodes = phi @ theta.transpose(1, 2) / theta.shape[2]
        reasoned = F.relu((self.adjacency + self.identity) @ nodes @ self.weight)
        return f + self.back_projection((reasoned @ theta).view_as(f))


class Capsules(nn.Module):
    """The votes of input capsules; ``summed``: summed over the input capsules, as for routing to a single capsule."""

    def __init__(self, count: int, inputs: int, outputs: int, summed: bool = False) -> None:
        super().__init__()
        self.summed = summed
        self.transform = nn.Parameter(torch.empty(count, inputs, outputs))

    def forward(self, u: Tensor) -> Tensor:
        """Map float[b, p, i] to float[b, p, d] or, if summed, to float[b, d]."""
        if self.summed:
            return u.flatten(1) @ self.transform.flatten(0, 1)
        return torch.einsum("bpi,pid->bpd", u, self.transform)


def length(capsules: Tensor) -> Tensor:
    """Return the lengths float[...] of capsules float[..., d]."""
    return torch.sqrt(capsules.square().sum(dim=-1) + _LENGTH_EPSILON)


def squash(s: Tensor) -> Tensor:
    """Scale capsules float[..., d] to lengths below 1."""
    square = s.square().sum(dim=-1, keepdim=True)
    return s * (torch.sqrt(square + _LENGTH_EPSILON) / (1.0 + square))


def route(votes: Tensor, iterations: int) -> Tensor:
    """Route votes float[b, p, k, d] to capsules float[b, k, d], with a gradient of the last iteration only."""
    fixed = votes.detach()
    logits = votes.new_zeros(votes.shape[:3])
    for _ in range(iterations - 1):
        output = squash(torch.einsum("bpk,bpkd->bkd", logits.softmax(dim=2), fixed))
        logits = logits + torch.einsum("bpkd,bkd->bpk", fixed, output)
    return squash(torch.einsum("bpk,bpkd->bkd", logits.softmax(dim=2), votes))


def warp(image: Tensor, motion: Tensor) -> Tensor:
    """Sample float[b, 1, n, n] bilinearly at every pixel shifted by ``motion`` float[b, 2, n, n] (rows, columns)."""
    n = image.shape[2]
    position = torch.arange(n, dtype=image.dtype)
    rows, columns = position[:, None] + motion[:, 0], position + motion[:, 1]
    grid = torch.stack([columns, rows], dim=3) * (2 / (n - 1)) - 1
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)
