"""The losses of the paper (eq. 4 to 8; docs/design.md, "Losses and the update"), float32[b]: a value per example.

Axis letters: b batch, h w c image or feature map, k class.
"""

import chex
import jax
import jax.numpy as jnp

# Constants of the margin loss (Sabour et al. 2017, eq. 4; paper, eq. 5).
MARGIN_PRESENT = 0.9  # m+, minimum length of the present class's capsule
MARGIN_ABSENT = 0.1  # m-, maximum length of an absent class's capsule
ABSENT_WEIGHT = 0.5  # lambda, weight of the absent classes

NO_CLASS = -1  # label of a face without an expression

_TINY = 1e-6  # keeps the logarithm of a length or probability finite


def l1(synthetic: jax.Array, apex: jax.Array) -> jax.Array:
    """Return the mean absolute difference of two faces, float[b, h, w, c] each (first term of L_ip, eq. 4)."""
    chex.assert_rank(synthetic, 4, custom_message="synthetic: float[b, h, w, c]")
    chex.assert_shape(apex, synthetic.shape, custom_message="apex: float[b, h, w, c]")
    return jnp.mean(jnp.abs(synthetic - apex), axis=(1, 2, 3))


def perceptual(onset_features: jax.Array, synthetic_features: jax.Array) -> jax.Array:
    """Return the mean squared difference of two feature maps, float[b, h, w, c] each (Johnson et al. 2016, eq. 2)."""
    chex.assert_rank(onset_features, 4, custom_message="onset_features: float[b, h, w, c]")
    chex.assert_shape(synthetic_features, onset_features.shape, custom_message="synthetic_features: float[b, h, w, c]")
    return jnp.mean(jnp.square(onset_features - synthetic_features), axis=(1, 2, 3))


def margin(
    lengths: jax.Array,
    label: jax.Array,
    power: int = 2,
    present_length: float = MARGIN_PRESENT,
    absent_length: float = MARGIN_ABSENT,
) -> jax.Array:
    """Return the margin loss (eq. 5): T max(0, m+ - l)^2 + lambda (1 - T) max(0, l - m-)^2, summed over the classes.

    Args:
      lengths: float[b, k], capsule lengths.
      label: int[b], in 0..k-1, or ``NO_CLASS``: all classes are absent then.
      power: exponent of both hinges, 2 (the paper) or 1 (the released definitions, docs/design.md, "Networks").
      present_length, absent_length: m+ and m-.
    """
    _assert_label(label, lengths, "lengths")
    present = jax.nn.one_hot(label, lengths.shape[1], dtype=lengths.dtype)
    short = jnp.maximum(0.0, present_length - lengths) ** power
    long = jnp.maximum(0.0, lengths - absent_length) ** power
    return jnp.sum(present * short + ABSENT_WEIGHT * (1.0 - present) * long, axis=1)


def cross_entropy(probabilities: jax.Array, label: jax.Array) -> jax.Array:
    """Return minus the logarithm of the label's probability, for float[b, k] and int[b] in 0..k-1."""
    _assert_label(label, probabilities, "probabilities")
    return -jnp.log(jnp.take_along_axis(probabilities, label[:, None], axis=1)[:, 0] + _TINY)


def uniform_cross_entropy(probabilities: jax.Array) -> jax.Array:
    """Return the cross-entropy of float[b, k] with equal probabilities of all classes."""
    chex.assert_rank(probabilities, 2, custom_message="probabilities: float[b, k]")
    return -jnp.mean(jnp.log(probabilities + _TINY), axis=1)


def reconstruction(reconstructed: jax.Array, face: jax.Array) -> jax.Array:
    """Return the mean squared error of reconstructed faces, float[b, h, w, c] in [0, 1] each (term of L_cls, eq. 6)."""
    chex.assert_rank(reconstructed, 4, custom_message="reconstructed: float[b, h, w, c]")
    chex.assert_shape(face, reconstructed.shape, custom_message="face: float[b, h, w, c]")
    return jnp.mean(jnp.square(reconstructed - face), axis=(1, 2, 3))


def adversarial(real_prob: jax.Array, real: bool) -> jax.Array:
    """Return the binary cross-entropy of AdvCaps lengths float[b] in [0, 1), for target real or fake (L_gan, eq. 7)."""
    chex.assert_rank(real_prob, 1, custom_message="real_prob: float[b]")
    probability = real_prob if real else 1.0 - real_prob
    return -jnp.log(probability + _TINY)


def _assert_label(label: jax.Array, scores: jax.Array, name: str) -> None:
    chex.assert_rank(scores, 2, custom_message=f"{name}: float[b, k]")
    chex.assert_shape(label, scores.shape[:1], custom_message="label: int[b]")
    chex.assert_type(label, int, custom_message="label: int[b]")
