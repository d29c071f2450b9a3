"""ME-Recognizer, also EMR or NMER: ResNet18 on optical flow, upper and lower face apart (Liu et al. 2019).

Axis letters: b batch, n side of the picture, k class.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from icegan_jax.models.baselines.layers import dense, dropout
from icegan_jax.models.baselines.resnet18 import ResNet18Trunk

_UPPER_ROWS = 3  # of the 7 rows of the last feature map
_FEATURES = 64  # of each part of the face
_XAVIER = nn.initializers.glorot_normal()


class MERecognizer(nn.Module):
    """ResNet18, one feature vector of each half of the face, and three classifiers: 11,242,953 parameters.

    Deviations: the authors start from ImageNet weights, here ResNet18 starts from Kaiming's distribution; their domain
    branch needs clips of CK+ and is left out (``DomainDiscriminator``).

    Attributes:
      classes: number of expressions k.
    """

    classes: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array]:
        """Return logits float[b, k] of motion pictures float[b, 224, 224, 3], and auxiliary logits float[b, 2, k].

        The auxiliary classifiers see the upper and the lower face alone. Training adds their cross-entropies to the
        loss; recognition uses the first result only.
        """
        maps = ResNet18Trunk(name="trunk")(x, train=train)
        parts = {"upper": maps[:, :_UPPER_ROWS], "lower": maps[:, _UPPER_ROWS:]}
        features, auxiliary = [], []
        for part, rows in parts.items():
            y = nn.tanh(dense(_FEATURES, jnp.mean(rows, axis=(1, 2)), f"{part}_dense", _XAVIER))
            features.append(dropout(y, 0.1, train))
            auxiliary.append(dense(self.classes, features[-1], f"{part}_output", _XAVIER))
        logits = dense(self.classes, jnp.concatenate(features, axis=1), "output", _XAVIER)
        return logits, jnp.stack(auxiliary, axis=1)


class DomainDiscriminator(nn.Module):
    """Macro- or micro-expression, from the 128 features of ``MERecognizer``: 10,369 parameters.

    Only the authors' training with macro-expressions (CK+) uses it, behind a reversed gradient.
    """

    @nn.compact
    def __call__(self, features: jax.Array, *, train: bool) -> jax.Array:
        """Return logits float[b] of features float[b, 128]."""
        for width in (64, 32):
            features = dropout(nn.relu(dense(width, features, f"dense_{width}", _XAVIER)), 0.5, train)
        return dense(1, features, "output", _XAVIER)[:, 0]
