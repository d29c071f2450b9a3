"""The motion field of the generator compared with its own face."""

import functools
from pathlib import Path

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Box
from icegan_jax.inference import composite
from icegan_jax.inference.composite import composite_face
from icegan_jax.inference.ensemble import Ensemble, load_ensemble
from icegan_jax.models.generator import Generator, to_float, warp
from icegan_jax.training.inference import motion_field, synthesize
from icegan_jax.training.state import TrainState
from tests.training import tiny

LABEL, DRAW = np.array([0, 2], np.int32), np.array([5, 1], np.int32)


@pytest.fixture(scope="module")
def onset() -> NDArray[np.uint8]:
    """uint8[2, 32, 32], smooth, so that both interpolations agree."""
    y, x = np.mgrid[0:32, 0:32]
    waves = [128 + 60 * np.sin(x / 5 + k) + 40 * np.cos(y / 4 - k) for k in range(2)]
    return np.array(waves).astype(np.uint8)


@pytest.fixture(scope="module")
def single(run_dir: Path) -> Ensemble:
    return load_ensemble(run_dir, generator=True, fold="tiny_s1")


@pytest.mark.parametrize("intensity", [0.4, 1.0, 2.0])
def test_the_motion_field_gives_the_face(single: Ensemble, onset: NDArray[np.uint8], intensity: float) -> None:
    change = intensity * single.motion_field(onset, LABEL, DRAW)
    assert change.shape == (2, 32, 32, 3) and change.dtype == np.float32
    assert np.abs(change[..., 2]).max() > 1
    moved = np.asarray(warp(jnp.asarray(onset, jnp.float32)[..., None], jnp.asarray(change[..., :2])))[..., 0]
    face = single.synthesize(onset, LABEL, DRAW, np.full(2, intensity, np.float32))
    np.testing.assert_allclose(np.clip(moved + change[..., 2], 0, 255), face, atol=0.51)


def test_the_composite_shows_the_face(
    single: Ensemble, onset: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crop has the picture's resolution: without blur and away from the box's edge both faces are equal."""
    monkeypatch.setattr(composite, "_MOTION_BLUR", 0.01)
    change = single.motion_field(onset, LABEL, DRAW)
    face = single.synthesize(onset, LABEL, DRAW, np.ones(2, np.float32))
    for neutral, field, expected in zip(onset, change, face, strict=True):
        picture = np.zeros((50, 60, 3), np.uint8)
        picture[10:42, 20:52] = neutral[..., None]
        result = composite_face(picture, Box(19.5, 9.5, 51.5, 41.5), field, 1.0)
        difference = np.abs(result[13:39, 23:49].astype(int) - expected[3:-3, 3:-3, None])
        assert difference.max() <= 1


def test_the_mean_of_several_folds(ensemble: Ensemble, run_dir: Path, onset: NDArray[np.uint8]) -> None:
    each = [
        load_ensemble(run_dir, generator=True, fold=fold.name).motion_field(onset, LABEL, DRAW)
        for fold in ensemble.folds
    ]
    np.testing.assert_allclose(ensemble.motion_field(onset, LABEL, DRAW), np.mean(each, axis=0), atol=1e-4)
    assert np.abs(each[0] - each[1]).max() > 0.1


def test_an_encoder_decoder_generator_has_no_motion() -> None:
    models = tiny.models(generator=Generator(width=1 / 16, embedding=6, kind="encoder_decoder"))
    onset = jnp.asarray(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), np.uint8))
    noise, expression = jnp.zeros((2, models.noise)), jnp.zeros((2, 3))
    start = jax.jit(functools.partial(models.generator.init, train=True))
    stats, params = flax.core.pop(start(jax.random.key(0), to_float(onset), noise, expression), "params")
    state = TrainState(jnp.zeros((), jnp.int32), jax.random.key(1), params, stats, {}, {}, {}, {})
    rows = (onset, jnp.asarray(LABEL), jnp.asarray(DRAW))
    change = np.asarray(jax.jit(motion_field, static_argnums=0)(models, state, *rows))
    face = jax.jit(synthesize, static_argnums=0)(models, state, *rows, jnp.ones(2))
    assert (change[..., :2] == 0).all() and np.abs(change[..., 2]).max() > 0.1
    np.testing.assert_allclose(np.asarray(to_float(onset))[..., 0] + change[..., 2], face, atol=1e-5)
