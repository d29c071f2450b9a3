"""Models, clips and plans small enough for tests."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
import optax

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.dataset import Pairs
from icegan_jax.models.discriminator import CapsuleDiscriminator
from icegan_jax.models.generator import Generator
from icegan_jax.training.parallel import ParallelPrograms, build_programs
from icegan_jax.training.state import LossWeights, Models, TrainConfig

SIZE = 32  # pixels; the least that the discriminator's trunk takes
BATCH = 3
WEIGHTS = LossWeights(
    adversarial=0.1,
    synthesis=1.0,
    recognition=1.0,
    synthetic_recognition=0.7,
    perceptual=0.1,
    reconstruction=0.05,
)
PLAN = TrainConfig(
    steps=8,
    steps_per_epoch=4,
    steps_per_call=2,
    checkpoint_every=4,
    folds_per_device=2,
    batch_size=BATCH,
    mirror=True,
    seed=0,
    resting_share=1 / 3,
)


def adam(rate: float) -> optax.GradientTransformation:
    """Adam with a large epsilon.

    With the usual one, the rounding error of a gradient that is 0 (a bias in front of a norm) becomes a full step,
    and no two ways to compute the same thing agree.
    """
    return optax.adam(rate, eps=1e-4)


def models(**changes: Any) -> Models:
    """Both networks at a 16th and 32nd of their width, as ``loso_pair`` has them; ``changes`` to the fields."""
    tiny = Models(
        generator=Generator(width=1 / 16, embedding=6, motion=True),
        discriminator=CapsuleDiscriminator(
            width=1 / 32,
            primary_types=2,
            primary_dimension=4,
            adversarial_dimension=6,
            expression_dimension=4,
            capsule_std=1.0,
            reconstruction_width=1 / 64,
        ),
        perceptual=None,
        recognition_input="pair",
        pair_gain=4.0,
        image_size=SIZE,
        noise=4,
        classes=3,
        g_optimizer=adam(1e-4),
        d_optimizer=adam(1e-4),
        weights=WEIGHTS,
    )
    return tiny._replace(**changes)


NETWORKS = models()


@functools.cache
def programs() -> ParallelPrograms:
    """Return the programs of NETWORKS on one device, for two folds, compiled once for all tests of a process."""
    return build_programs(NETWORKS, jax.local_devices()[:1])


def pairs(subjects: int = 3) -> Pairs:
    """One clip per class and subject, each the apex and a neighbour: how much brighter, and where, tells the class."""
    rng = np.random.default_rng(0)
    onset, apex, rows = [], [], []
    for subject in range(subjects):
        face = rng.integers(60, 120, (SIZE, SIZE))
        for label in range(3):
            for shift in (0, 1):
                moved = face + 30 * label + 30
                moved[4 + 9 * label : 10 + 9 * label] += 40 - 10 * shift
                onset.append(face)
                apex.append(moved)
                rows.append((f"s{subject}", f"clip{label}", label, shift))
    return Pairs(
        onset=np.array(onset, np.uint8),
        apex=np.array(apex, np.uint8),
        rest=np.array(onset, np.uint8),
        label=np.array([row[2] for row in rows], np.int32),
        shift=np.array([row[3] for row in rows], np.int32),
        dataset=np.array(["tiny"] * len(rows)),
        subject=np.array([row[0] for row in rows]),
        clip=np.array([row[1] for row in rows]),
        classes=EXPRESSIONS,
        fingerprint="made up",
    )


def batch(seed: int = 0) -> dict[str, jax.Array]:
    """A batch with every class: uint8[3, 32, 32, 1] faces, int32[3] labels."""
    data = pairs()
    mine = np.flatnonzero((data.subject == f"s{seed % 3}") & (data.shift == 0))
    index = np.random.default_rng(seed).permutation(mine)
    return {
        "onset": jax.numpy.asarray(data.onset[index][..., None]),
        "apex": jax.numpy.asarray(data.apex[index][..., None]),
        "label": jax.numpy.asarray(data.label[index]),
    }


def train_config(**changes: Any) -> TrainConfig:
    return dataclasses.replace(PLAN, **changes)
