"""What a fold's training consists of: two networks, their optimizers, and the state that the update step moves on."""

import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from icegan_jax.models.discriminator import CapsuleDiscriminator, ConvolutionalDiscriminator, discriminator_input
from icegan_jax.models.generator import Generator
from icegan_jax.models.perceptual import PerceptualNetwork


class LossWeights(NamedTuple):
    """Factors of the loss terms (paper, section IV-B; docs/design.md, "Losses and the update").

    Attributes:
      adversarial: of L_gan, for both players.
      synthesis: of L_ip, the likeness to the real apex and to the onset.
      recognition: of L_cls on real faces, and on synthetic ones in what the generator pays.
      synthetic_recognition: of L_cls on synthetic faces in what the discriminator pays.
      perceptual: alpha, of the perceptual term within L_ip.
      reconstruction: beta, of the reconstruction term within L_cls.
      margin_power: of the hinges of the margin loss, 2 (the paper) or 1.
    """

    adversarial: float
    synthesis: float
    recognition: float
    synthetic_recognition: float
    perceptual: float
    reconstruction: float
    margin_power: int = 2


class Models(NamedTuple):
    """Everything about a training that is the same for every fold; nothing in it changes.

    Attributes:
      generator: the module; None trains the discriminator alone, on real faces (paper, Table III, A).
      discriminator: the module, with capsules or without.
      perceptual: the perceptual loss's network; None leaves that loss out.
      recognition_input: ``apex`` or ``pair``, see ``recognition_image``.
      pair_gain: likewise.
      image_size: pixels on a side.
      noise: length of the noise vector.
      classes: number of expressions.
      g_optimizer, d_optimizer: optax transformations.
      weights: of the losses.
      batch_axis: name of the axis of the devices over which each batch is spread; None: each batch is on one device.
    """

    generator: Generator | None
    discriminator: CapsuleDiscriminator | ConvolutionalDiscriminator
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

    def discriminator_input(self, onset: jax.Array, face: jax.Array) -> jax.Array:
        """The discriminator's input for faces float[b, n, n, 1] in [-1, 1]."""
        return discriminator_input(onset, face, self.recognition_input, self.pair_gain)


@flax.struct.dataclass
class TrainState:
    """One fold's training.

    Attributes:
      step: int32[], updates done.
      key: the fold's random key, never changed; every stream is derived from it, its name and the step.
      g_params, d_params: parameters; the generator's trees are empty where there is none.
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
    """The random key of a fold: the run's seed and the fold's name decide it, not its place among the folds."""
    return derive_key(jax.random.key(seed), fold)


def derive_key(key: jax.Array, name: str) -> jax.Array:
    """A key for one purpose, derived from ``key`` and the purpose's name."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def is_key(leaf: Any) -> bool:
    """Whether an array holds random keys, which numpy does not know."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def state_template(shapes: TrainState, key: jax.Array) -> TrainState:
    """The form of one fold's state, its arrays without memory of their own.

    Args:
      shapes: of ``create_state``, as ``jax.eval_shape`` gives them.
      key: the fold's.
    """

    def blank(leaf: jax.ShapeDtypeStruct) -> Any:
        return key if is_key(leaf) else np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)

    return cast(TrainState, jax.tree.map(blank, shapes))


def create_state(models: Models, key: jax.Array) -> TrainState:
    """A fold's state before its first update. Pure: works under ``vmap`` over keys."""
    face = jnp.zeros((1, models.image_size, models.image_size, 1))
    noise, expression = jnp.zeros((1, models.noise)), jnp.zeros((1, models.classes))
    g: Any = {"params": {}}
    if models.generator is not None:
        g = models.generator.init(derive_key(key, "generator"), face, noise, expression, train=True)
    label = jnp.zeros((1,), jnp.int32)
    d = models.discriminator.init(
        derive_key(key, "discriminator"), models.discriminator_input(face, face), label, train=True
    )
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


ON_NONFINITE = ("stop", "skip_fold")  # what a run does when a fold's loss or gradient is no finite number


@dataclass(frozen=True)
class TrainConfig:
    """How every fold is trained.

    Attributes:
      steps: updates of each fold, a multiple of ``steps_per_call``.
      steps_per_epoch: of the whole prepared set; only names the epoch in the logs.
      steps_per_call: updates per call of the compiled program, and between log lines.
      checkpoint_every: updates between checkpoints, at least.
      folds_per_device: folds side by side on a device; 0: as many as fit into its memory.
      batch_size: pairs per update.
      mirror: flips half of the training pairs.
      seed: of everything random.
      parallel: what several devices share out, ``folds`` or each ``batch``.
      process: which of several processes trains them, noted with their times.
      evaluate_every: updates between evaluations of the held-out clips during training, a multiple of
        ``steps_per_call``; 0: none.
      shift: training pairs are moved by up to this many pixels, see ``data.pipeline``.
      brightness: training pairs get brighter or darker by up to this share of white.
      on_nonfinite: one of ``ON_NONFINITE``.
      collapse_after: passes over the training set in each of which all clips are taken for one class, before that is
        reported; 0: never.
      run: the run's own name (``id`` in config.json), which its checkpoints carry.
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
    process: int = 0
    evaluate_every: int = 0
    shift: int = 0
    brightness: float = 0.0
    on_nonfinite: str = "stop"
    collapse_after: int = 0
    run: str = ""
