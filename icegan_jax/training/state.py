"""Models, optimizers and losses of a run (``Models``), its settings (``TrainConfig``) and a fold's ``TrainState``."""

import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import chex
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from icegan_jax.models.baselines.classifier import BaselineClassifier
from icegan_jax.models.discriminator import CapsuleDiscriminator, ConvolutionalDiscriminator, discriminator_input
from icegan_jax.models.generator import Generator
from icegan_jax.models.perceptual import PerceptualNetwork
from icegan_jax.training.losses import MARGIN_ABSENT, MARGIN_PRESENT

ON_NONFINITE = ("stop", "skip_fold")  # reactions to a fold's loss or gradient that is not a finite number


class LossWeights(NamedTuple):
    """Weights of the loss terms (paper, section IV-B; docs/design.md, "Losses and the update").

    Attributes:
      adversarial: weight of L_gan, for both networks.
      synthesis: weight of L_ip, the identity-preserving loss.
      recognition: weight of L_cls, in the discriminator's loss on real faces and in the generator's loss.
      synthetic_recognition: weight of L_cls in the discriminator's loss on synthetic faces.
      perceptual: alpha, weight of the perceptual term within L_ip.
      reconstruction: beta, weight of the reconstruction term within L_cls.
      margin_power: exponent of the margin loss's hinges, 2 (the paper) or 1.
      margin_present, margin_absent: m+ and m- of the margin loss.
    """

    adversarial: float
    synthesis: float
    recognition: float
    synthetic_recognition: float
    perceptual: float
    reconstruction: float
    margin_power: int = 2
    margin_present: float = MARGIN_PRESENT
    margin_absent: float = MARGIN_ABSENT


class Models(NamedTuple):
    """Modules, optimizers and loss weights, which are constant and the same for every fold.

    Attributes:
      generator: the module; None trains the discriminator alone, on real faces (paper, Table III, A).
      discriminator: the module, with capsules or without, or a compared network in its place.
      perceptual: the network of the perceptual loss; None for no such loss.
      recognition_input: ``apex`` or ``pair``, see ``models.discriminator.discriminator_input``.
      pair_gain: factor on the change, see the same function.
      image_size: n, pixels on a side.
      noise: z, length of the noise vector.
      classes: k, number of expressions.
      g_optimizer, d_optimizer: optax transformations.
      weights: weights of the losses.
      batch_axis: name of the device axis over which each batch is sharded; None: each batch is on one device.
      input_shape: shape of what a compared network reads in place of faces, see ``data.baseline_input``; None: faces.
    """

    generator: Generator | None
    discriminator: CapsuleDiscriminator | ConvolutionalDiscriminator | BaselineClassifier
    perceptual: PerceptualNetwork | None
    recognition_input: str
    pair_gain: float
    image_size: int
    noise: int
    classes: int
    g_optimizer: optax.GradientTransformation
    d_optimizer: optax.GradientTransformation
    weights: LossWeights
    batch_axis: str | None = None
    input_shape: tuple[int, ...] | None = None

    @property
    def picture_shape(self) -> tuple[int, ...]:
        """The shape of one input of the discriminator on disk: a face (n, n, 1), or ``input_shape``."""
        return self.input_shape or (self.image_size, self.image_size, 1)

    def assert_faces(self, **faces: jax.Array | np.ndarray) -> None:
        """Assert that each face array, passed by its name, is uint8[b, n, n, 1], with the same b for all.

        With a compared network, assert uint8[b, *input_shape].
        """
        batch = next(iter(faces.values())).shape[:1]
        for name, face in faces.items():
            message = f"{name}: uint8[b, {', '.join(map(str, self.picture_shape))}]"
            chex.assert_shape(face, (*batch, *self.picture_shape), custom_message=message)
            chex.assert_type(face, jnp.uint8, custom_message=message)

    def discriminator_input(self, onset: jax.Array, face: jax.Array) -> jax.Array:
        """Return the discriminator's input for onset and face, float[b, n, n, 1] in [-1, 1] each.

        A compared network has one input, float[b, *input_shape], which stands for both.
        """
        if self.input_shape is not None:
            return face
        return discriminator_input(onset, face, self.recognition_input, self.pair_gain)


@flax.struct.dataclass
class TrainState:
    """The training state of one fold.

    Attributes:
      step: int32[], number of updates done.
      key: the fold's random key, which is constant: every stream's key is derived from it, a name and the step.
      g_params, d_params: parameters; the generator's trees are empty without a generator.
      g_stats, d_stats: power iteration vectors and batch-norm statistics.
      g_opt_state, d_opt_state: optimizer states.
    """

    step: jax.Array
    key: jax.Array
    g_params: Any
    g_stats: Any
    g_opt_state: Any
    d_params: Any
    d_stats: Any
    d_opt_state: Any


def fold_key(seed: int, fold: str) -> jax.Array:
    """Return the random key of a fold, which depends on the run's seed and the fold's name, not on the fold's index."""
    return derive_key(jax.random.key(seed), fold)


def derive_key(key: jax.Array, name: str) -> jax.Array:
    """Derive the key of one stream of random numbers from ``key`` and the stream's name."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def is_key(leaf: Any) -> bool:
    """Return whether an array holds random keys, a dtype that NumPy lacks."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def state_template(shapes: TrainState, key: jax.Array) -> TrainState:
    """Return a state of zeros that allocates no memory, as the template of a restored checkpoint.

    Args:
      shapes: shapes and dtypes of one fold's state, from ``jax.eval_shape`` of ``create_state``.
      key: the fold's key.
    """

    def zeros(leaf: jax.ShapeDtypeStruct) -> Any:
        return key if is_key(leaf) else np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)

    return cast(TrainState, jax.tree.map(zeros, shapes))


def create_state(models: Models, key: jax.Array) -> TrainState:
    """Initialize the state of one fold; the function is pure and supports ``vmap`` over keys."""
    chex.assert_shape(key, (), custom_message="key: a random key, shape []")
    face = jnp.zeros((1, *models.picture_shape))
    noise, expression = jnp.zeros((1, models.noise)), jnp.zeros((1, models.classes))
    g: Any = {"params": {}}
    if models.generator is not None:
        g = models.generator.init(derive_key(key, "generator"), face, noise, expression, train=True)
    label = jnp.zeros((1,), jnp.int32)
    d_key = derive_key(key, "discriminator")
    rngs = {"params": d_key, "dropout": d_key}
    d = models.discriminator.init(rngs, models.discriminator_input(face, face), label, train=True)
    g_stats, g_params = flax.core.pop(g, "params")
    d_stats, d_params = flax.core.pop(d, "params")
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=key,
        g_params=g_params,
        g_stats=g_stats,
        g_opt_state=models.g_optimizer.init(g_params),
        d_params=d_params,
        d_stats=d_stats,
        d_opt_state=models.d_optimizer.init(d_params),
    )


@dataclass(frozen=True)
class TrainConfig:
    """Training settings, the same for every fold.

    Attributes:
      steps: updates of each fold.
      steps_per_epoch: updates per epoch of the whole prepared set; used only for the epoch in the logs.
      steps_per_call: updates per call of the compiled program, and between log lines; at most so many.
      checkpoint_every: minimum number of updates between checkpoints.
      folds_per_device: folds trained in parallel on a device; 0: as many as fit into the device's memory.
      batch_size: pairs per update.
      mirror: whether half of the training pairs are mirrored.
      seed: seed of all random numbers.
      parallel: what several devices share, ``folds`` or each ``batch``.
      evaluate_every: updates between evaluations of the held-out clips during training; 0: no such evaluations.
      shift: maximum random shift of training pairs, in pixels, see ``data.pipeline``.
      brightness: maximum random change of the training pairs' brightness, as a share of white.
      resting_share: resting pairs per update, as a share of ``batch_size``, see ``data.pipeline``.
      on_nonfinite: one of ``ON_NONFINITE``.
      collapse_after: number of passes over a fold's training pairs, all predicted as the same class, before a warning;
        0: no warning.
      run: the run's name (``id`` in config.json), which is stored in the checkpoints.
    """

    steps: int
    steps_per_epoch: int
    steps_per_call: int
    checkpoint_every: int
    folds_per_device: int
    batch_size: int
    mirror: bool
    seed: int
    parallel: str = "folds"
    evaluate_every: int = 0
    shift: int = 0
    brightness: float = 0.0
    resting_share: float = 0.0
    on_nonfinite: str = "stop"
    collapse_after: int = 0
    run: str = ""

    @property
    def resting_pairs(self) -> int:
        """Resting pairs per update."""
        return max(1, round(self.resting_share * self.batch_size)) if self.resting_share else 0
