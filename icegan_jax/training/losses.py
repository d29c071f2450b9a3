"""The losses of the paper (eq. 4 to 8), each one value per example of the batch, float32[b].

Axis letters: b batch, h w c image or feature map, k class.
"""

import jax
import jax.numpy as jnp

# Sabour et al. 2017, eq. 4, which the paper takes over (eq. 5).
MARGIN_PRESENT = 0.9  # m+: a present class's capsule should be at least this long
MARGIN_ABSENT = 0.1  # m-: an absent class's at most this long
ABSENT_WEIGHT = 0.5  # lambda

_TINY = 1e-6  # keeps the logarithm of a length or probability finite


def l1(synthetic: jax.Array, apex: jax.Array) -> jax.Array:
    """Mean absolute difference of two faces, float[b, h, w, c] each (first term of L_ip)."""
    return jnp.mean(jnp.abs(synthetic - apex), axis=(1, 2, 3))


def perceptual(onset_features: jax.Array, synthetic_features: jax.Array) -> jax.Array:
    """Mean squared difference of two feature maps, float[b, h, w, c] each (Johnson et al. 2016, eq. 2)."""
    return jnp.mean(jnp.square(onset_features - synthetic_features), axis=(1, 2, 3))


def margin(lengths: jax.Array, label: jax.Array, power: int = 2) -> jax.Array:
    """Margin loss (eq. 5): T max(0, m+ - l)^2 + lambda (1 - T) max(0, l - m-)^2, summed over the classes.

    Args:
      lengths: float[b, k], capsule lengths.
      label: int[b], in 0..k-1.
      power: of the two hinges; 1 leaves them unsquared, as in the authors' definitions (docs/design.md, "Networks").
    """
    present = jax.nn.one_hot(label, lengths.shape[1], dtype=lengths.dtype)
    short = jnp.maximum(0.0, MARGIN_PRESENT - lengths) ** power
    long = jnp.maximum(0.0, lengths - MARGIN_ABSENT) ** power
    return jnp.sum(present * short + ABSENT_WEIGHT * (1.0 - present) * long, axis=1)


def cross_entropy(probabilities: jax.Array, label: jax.Array) -> jax.Array:
    """Minus the logarithm of the label's probability, of float[b, k] and int[b] in 0..k-1."""
    return -jnp.log(jnp.take_along_axis(probabilities, label[:, None], axis=1)[:, 0] + _TINY)


def reconstruction(drawn: jax.Array, face: jax.Array) -> jax.Array:
    """Mean squared difference of the reconstruction and its target, float[b, h, w, c] in [0, 1] each."""
    return jnp.mean(jnp.square(drawn - face), axis=(1, 2, 3))


def adversarial(real_prob: jax.Array, real: bool) -> jax.Array:
    """Binary cross-entropy of the AdvCaps length, float[b] in [0, 1), against "real" or "fake" (L_gan)."""
    probability = real_prob if real else 1.0 - real_prob
    return -jnp.log(probability + _TINY)
