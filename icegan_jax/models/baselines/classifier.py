"""A compared network in the place of the discriminator, so that both train and test through the same programs.

Axis letters: b batch, k class, a auxiliary classifier.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from icegan_jax.models.discriminator import DiscriminatorOutput

_MAX_COUNT = 100.0  # batches in the running mean picture; with fewer updates so far, it is their mean


class BaselineClassifier(nn.Module):
    """A network that recognizes expressions, with the inputs and outputs of the discriminator.

    Attributes:
      network: the module; it maps float[b, ...] to logits float[b, k], or with ``has_capsules`` to capsule lengths. A
        module with auxiliary classifiers returns their logits float[b, a, k] as the second of two results.
      unit_scale: whether the network reads values in [0, 1]; otherwise in [-1, 1].
      center: whether the mean picture of the training batches is subtracted, as "zerocenter" of MATLAB does with the
        mean of the training set. The mean over the last 100 batches takes its place.
      has_capsules: whether ``lengths`` are lengths of capsules, for the margin loss, and not probabilities.
    """

    network: nn.Module
    unit_scale: bool = True
    center: bool = False
    has_capsules: bool = False

    @nn.compact
    def __call__(self, image: jax.Array, label: jax.Array | None, *, train: bool) -> DiscriminatorOutput:
        """Compute the output for a batch.

        Args:
          image: float[b, ...] in [-1, 1], the input of the network.
          label: unused, because there is no reconstruction.
          train: whether batch norm uses batch statistics, and dropout is active (random stream "dropout").
        """
        x = (image + 1.0) / 2.0 if self.unit_scale else image
        if self.center:
            x = self._centered(x, train)
        output = self.network(x, train=train)
        logits, auxiliary = output if isinstance(output, tuple) else (output, None)
        chex.assert_rank(logits, 2, custom_message="output of the network: float[b, k]")
        return DiscriminatorOutput(
            real_prob=jnp.zeros(logits.shape[0], logits.dtype),
            lengths=logits if self.has_capsules else nn.softmax(logits),
            reconstruction=None,
            auxiliary=None if auxiliary is None else nn.softmax(auxiliary),
        )

    def _centered(self, x: jax.Array, train: bool) -> jax.Array:
        """Subtract the mean picture of the training batches so far."""
        mean = self.variable("batch_stats", "mean_picture", jnp.zeros, x.shape[1:], x.dtype)
        count = self.variable("batch_stats", "mean_count", jnp.zeros, (), x.dtype)
        if train and not self.is_initializing():
            count.value = jnp.minimum(count.value + 1.0, _MAX_COUNT)
            mean.value = mean.value + (jnp.mean(x, axis=0) - mean.value) / count.value
        return x - mean.value[None]
