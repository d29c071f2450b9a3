"""CapsuleNet on the apex face (Van Quang et al. 2019, MEGC2019).

Axis letters: b batch, n side of the picture, k class.
"""

import flax.linen as nn
import jax

from icegan_jax.models.baselines.layers import Convolution2D
from icegan_jax.models.baselines.resnet18 import ResNet18Trunk
from icegan_jax.models.capsules import RoutedCapsules, length, squash

_CHANNELS = 256
_PRIMARY_DIMENSION = 8
_DIMENSION = 16
_ITERATIONS = 3


class CapsuleNet(nn.Module):
    """ResNet18 up to its third stage, without max-pooling, and capsules: 13,842,496 parameters for three classes.

    Feature maps of 28, 20 and 6 pixels for n = 224; 1,152 primary capsules. Deviations: the authors start from ImageNet
    weights, here ResNet18 starts from Kaiming's distribution; the epsilon of squash is 1e-9 (theirs 1e-8).

    Attributes:
      classes: number of expressions k.
    """

    classes: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Return capsule lengths float[b, k] of apex faces float[b, n, n, 3] in [0, 1], or [b, n, n, 1] in gray."""
        x = ResNet18Trunk(stages=3, pooled=False, name="trunk")(x, train=train)
        x = nn.relu(Convolution2D(_CHANNELS, 9, padding=0, name="conv")(x))
        x = Convolution2D(_CHANNELS, 9, stride=2, padding=0, name="primary")(x)
        primary = squash(x.reshape(len(x), -1, _PRIMARY_DIMENSION))
        return length(RoutedCapsules(self.classes, _DIMENSION, _ITERATIONS, 0.01, name="expression")(primary))
