"""The layers of ``torch_networks``, as those of ``icegan_jax.models`` compute them.

Axis letters: b batch, c channel, h w n image, p primary capsule, i d dimensions of a capsule, k class.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from icegan_jax.models.layers import NORM_EPSILON

_UNIT_EPSILON = 1e-12
_LENGTH_EPSILON = 1e-9


class Convolution(nn.Module):
    """4x4 stride-2 convolution, unless told otherwise, or its transpose, with spectral norm.

    One power iteration a pass, from the vector ``direction``; ``keep`` stores the vector it ends at. The matrix is
    [o, k k i]: ours transposed.
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

    def forward(self, x: Tensor, keep: bool = False) -> Tensor:
        """float[b, i, h, w] to float[b, o, h', w']."""
        weight: Tensor = self.weight
        if self.spectral:  # times the reciprocal: a quotient's backward pass is 1.7 times as slow
            weight = weight * self._spectral_norm(keep).reciprocal()
        convolve = F.conv_transpose2d if self.transposed else F.conv2d
        return convolve(x, weight, self.bias, stride=self.stride, padding=self.padding)

    def _spectral_norm(self, keep: bool) -> Tensor:
        rows = self.weight.permute(0, 2, 3, 1)  # where channels are last, what follows copies nothing
        matrix = rows.flatten(0, 2).T if self.transposed else rows.flatten(1)
        with torch.no_grad():
            left = F.normalize(self.direction @ matrix, dim=0, eps=_UNIT_EPSILON)
            right = F.normalize(matrix @ left, dim=0, eps=_UNIT_EPSILON)
            if keep:
                self.direction.copy_(right)
        return right @ (matrix @ left)


class BatchNorm(nn.BatchNorm2d):
    """PyTorch's batch norm, whose running statistics move only where ``keep`` says so."""

    def forward(self, x: Tensor, keep: bool = False) -> Tensor:
        """Any float[b, c, h, w]; ``keep``: ignored outside training."""
        statistics = (self.running_mean, self.running_var) if keep or not self.training else (None, None)
        return F.batch_norm(x, *statistics, self.weight, self.bias, self.training, self.momentum or 0.0, self.eps)


def instance_norm(x: Tensor) -> Tensor:
    """Instance norm without affine.

    As group norm with a channel per group: 1.5 times as fast on a CPU, and channels stay last where they are.
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
        """float[b, c, h, w] to the same shape."""
        t = self.transform(f)
        phi, theta = self.phi(t).flatten(2), self.theta(t).flatten(2)
        nodes = phi @ theta.transpose(1, 2) / theta.shape[2]
        reasoned = F.relu((self.adjacency + self.identity) @ nodes @ self.weight)
        return f + self.back_projection((reasoned @ theta).view_as(f))


class Capsules(nn.Module):
    """What input capsules predict, their votes; ``summed``: over the input capsules, routing to a single one."""

    def __init__(self, count: int, inputs: int, outputs: int, summed: bool = False) -> None:
        super().__init__()
        self.summed = summed
        self.transform = nn.Parameter(torch.empty(count, inputs, outputs))

    def forward(self, u: Tensor) -> Tensor:
        """float[b, p, i] to float[b, p, d] or, summed, float[b, d]."""
        if self.summed:
            return u.flatten(1) @ self.transform.flatten(0, 1)
        return torch.einsum("bpi,pid->bpd", u, self.transform)


def length(capsules: Tensor) -> Tensor:
    """float[..., d] to float[...]."""
    return torch.sqrt(capsules.square().sum(dim=-1) + _LENGTH_EPSILON)


def squash(s: Tensor) -> Tensor:
    """float[..., d] to the same shape, shorter than 1."""
    square = s.square().sum(dim=-1, keepdim=True)
    return s * (torch.sqrt(square + _LENGTH_EPSILON) / (1.0 + square))


def route(votes: Tensor, iterations: int) -> Tensor:
    """Votes float[b, p, k, d] to capsules float[b, k, d]; gradient through the last iteration only."""
    fixed = votes.detach()
    logits = votes.new_zeros(votes.shape[:3])
    for _ in range(iterations - 1):
        output = squash(torch.einsum("bpk,bpkd->bkd", logits.softmax(dim=2), fixed))
        logits = logits + torch.einsum("bpkd,bkd->bpk", fixed, output)
    return squash(torch.einsum("bpk,bpkd->bkd", logits.softmax(dim=2), votes))


def warp(image: Tensor, motion: Tensor) -> Tensor:
    """Fetch every pixel of float[b, 1, n, n] from float[b, 2, n, n] (rows, columns) away, bilinearly."""
    n = image.shape[2]
    place = torch.arange(n, dtype=image.dtype)
    rows, columns = place[:, None] + motion[:, 0], place + motion[:, 1]
    grid = torch.stack([columns, rows], dim=3) * (2 / (n - 1)) - 1
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)
