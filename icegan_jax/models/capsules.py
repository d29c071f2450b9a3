"""Capsules (Sabour et al. 2017): squash, dynamic routing, and the layer from input to output capsules.

Axis letters: b batch, p primary capsule, k output capsule, i and d input and output capsule dimension.
"""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

_TINY = 1e-9  # keeps the length of a zero capsule differentiable
_RELEASED_TINY = 1e-12  # the same in the released definitions, in squash alone
_VOTE_AXES = {"input": 1, "output": 2}  # axes of the votes [b, p, k, d]


def length(capsules: jax.Array, exact: bool = False) -> jax.Array:
    """Return the Euclidean length of each capsule: float[..., d] to float[...].

    ``exact``: without an epsilon, as in the released definitions. The derivative at length 0, where theirs is not a
    number, is 0.
    """
    square = jnp.sum(jnp.square(capsules), axis=-1)
    if exact:
        # The square root of 1 replaces that of 0, whose infinite derivative times 0 would not be a number.
        return jnp.where(square > 0.0, jnp.sqrt(jnp.where(square > 0.0, square, 1.0)), 0.0)
    return jnp.sqrt(square + _TINY)


def squash(s: jax.Array, exact: bool = False) -> jax.Array:
    """Scale each capsule float[..., d] to a length below 1, with the same direction (Sabour et al. 2017, eq. 1).

    Length l becomes l^2 / (1 + l^2), above 1e-6 if ``exact`` (the released definitions), else above 3e-5; shorter
    capsules become shorter still (exact), or are multiplied by 3e-5.
    """
    square = jnp.sum(jnp.square(s), axis=-1, keepdims=True)
    if exact:
        return s * (square / (1.0 + square)) / jnp.sqrt(square + _RELEASED_TINY)
    return s * (jnp.sqrt(square + _TINY) / (1.0 + square))


def dynamic_routing(votes: jax.Array, iterations: int, axis: str = "output", exact: bool = False) -> jax.Array:
    """Compute output capsules by dynamic routing by agreement (Sabour et al. 2017, procedure 1).

    The coupling coefficients are a softmax over the output capsules (Sabour et al.), or over the input capsules (the
    released definitions, docs/design.md, "Networks"). Over the input capsules each output capsule is a weighted mean of
    the votes, and much shorter.

    Args:
      votes: float[b, p, k, d], the prediction of each input capsule for each output capsule.
      iterations: number of routing iterations, at least 1.
      axis: ``output`` or ``input``, the capsules over which the coupling coefficients sum to 1.
      exact: see ``squash``.

    Returns:
      float[b, k, d], squashed.
    """
    chex.assert_rank(votes, 4, custom_message="votes: float[b, p, k, d]")
    coupling = functools.partial(nn.softmax, axis=_VOTE_AXES[axis])
    fixed = jax.lax.stop_gradient(votes)  # only the last weighted sum has a gradient, the inner iterations have none
    logits = jnp.zeros(votes.shape[:3], votes.dtype)
    for _ in range(iterations - 1):
        output = squash(jnp.einsum("bpk,bpkd->bkd", coupling(logits), fixed), exact)
        logits = logits + jnp.einsum("bpkd,bkd->bpk", fixed, output)
    return squash(jnp.einsum("bpk,bpkd->bkd", coupling(logits), votes), exact)


class RoutedCapsules(nn.Module):
    """A layer of capsules with routing: AdvCaps (one capsule) or ExpCaps (one capsule per class).

    Attributes:
      capsules: number of output capsules k.
      dimension: dimension d of an output capsule.
      iterations: routing iterations.
      init_std: standard deviation of the initial transformation matrices.
      axis: routing axis, see ``dynamic_routing``.
      exact: see ``squash``.
    """

    capsules: int
    dimension: int
    iterations: int
    init_std: float
    axis: str = "output"
    exact: bool = False

    @nn.compact
    def __call__(self, u: jax.Array) -> jax.Array:
        """Map input capsules float[b, p, i] to output capsules float[b, k, d]."""
        chex.assert_rank(u, 3, custom_message="u: float[b, p, i]")
        p, i = u.shape[1:]
        init = nn.initializers.normal(self.init_std)
        transform = self.param("transform", init, (p, i, self.capsules * self.dimension))
        if self.capsules == 1 and self.axis == "output":  # a softmax over one capsule is 1: the votes are summed
            return squash(u.reshape(-1, p * i) @ transform.reshape(p * i, -1), self.exact)[:, None, :]
        votes = jnp.einsum("bpi,pid->bpd", u, transform)
        votes = votes.reshape(-1, p, self.capsules, self.dimension)
        return dynamic_routing(votes, self.iterations, self.axis, self.exact)
