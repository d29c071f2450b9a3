"""Capsules (Sabour et al. 2017): squash, dynamic routing, and the layer that maps capsules to capsules.

Axis letters: b batch, p primary capsule, k output capsule, i and d input and output capsule dimension.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

_TINY = 1e-9  # keeps the length of a zero capsule differentiable


def length(capsules: jax.Array) -> jax.Array:
    """Euclidean length over the last axis: float[..., d] to float[...]."""
    return jnp.sqrt(jnp.sum(jnp.square(capsules), axis=-1) + _TINY)


def squash(s: jax.Array) -> jax.Array:
    """Shrinks each capsule to a length below 1, keeping its direction (Sabour et al. 2017, eq. 1).

    float[..., d] to the same shape; length l becomes l^2 / (1 + l^2).
    """
    square = jnp.sum(jnp.square(s), axis=-1, keepdims=True)
    return s * (jnp.sqrt(square + _TINY) / (1.0 + square))


_AXES = {"input": 1, "output": 2}  # of the votes [b, p, k, d]


def dynamic_routing(votes: jax.Array, iterations: int, axis: str = "output") -> jax.Array:
    """Dynamic routing by agreement (Sabour et al. 2017, procedure 1).

    The couplings are a softmax: over the output capsules an input capsule shares itself out among them (Sabour); over
    the input capsules an output capsule is a weighted mean of their votes, and much shorter (the authors'
    definitions, docs/design.md, "Networks").

    The coupling coefficients of the inner iterations carry no gradient; the last weighted sum does.

    Args:
      votes: float[b, p, k, d], what each input capsule predicts for each output capsule.
      iterations: number of routing iterations, at least 1.
      axis: over which the couplings sum to 1, ``output`` or ``input`` capsules.

    Returns:
      float[b, k, d], squashed.
    """
    coupling = functools.partial(nn.softmax, axis=_AXES[axis])
    fixed = jax.lax.stop_gradient(votes)
    logits = jnp.zeros(votes.shape[:3], votes.dtype)
    for _ in range(iterations - 1):
        output = squash(jnp.einsum("bpk,bpkd->bkd", coupling(logits), fixed))
        logits = logits + jnp.einsum("bpkd,bkd->bpk", fixed, output)
    return squash(jnp.einsum("bpk,bpkd->bkd", coupling(logits), votes))


class RoutedCapsules(nn.Module):
    """A layer of capsules fed by routing: AdvCaps (one capsule) and ExpCaps (one per class).

    Attributes:
      capsules: number of output capsules k.
      dimension: dimension d of an output capsule.
      iterations: routing iterations.
      init_std: standard deviation of the initial transformation matrices.
      axis: of the routing, see ``route``.
    """

    capsules: int
    dimension: int
    iterations: int
    init_std: float
    axis: str = "output"

    @nn.compact
    def __call__(self, u: jax.Array) -> jax.Array:
        """float[b, p, i] to float[b, k, d]."""
        p, i = u.shape[1:]
        init = nn.initializers.normal(self.init_std)
        transform = self.param("transform", init, (p, i, self.capsules * self.dimension))
        if self.capsules == 1 and self.axis == "output":  # a softmax over one is 1: routing is the plain sum of votes
            return squash(u.reshape(-1, p * i) @ transform.reshape(p * i, -1))[:, None, :]
        votes = jnp.einsum("bpi,pid->bpd", u, transform)
        return dynamic_routing(
            votes.reshape(*votes.shape[:2], self.capsules, self.dimension), self.iterations, self.axis
        )
