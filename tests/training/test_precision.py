"""Training in bfloat16: states and metrics are float32, and the scores agree with those of float32."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from icegan_jax.data.folds import leave_one_subject_out
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.evaluation.results import Score, score
from icegan_jax.run_dir import fold_dir
from icegan_jax.training.loop import train_folds
from icegan_jax.training.state import Models, create_state
from icegan_jax.training.train_step import train_step
from tests.training import tiny

PLAN = dataclasses.replace(tiny.PLAN, steps=120, steps_per_call=20, checkpoint_every=120, folds_per_device=6)


def models(dtype: str) -> Models:
    fast = tiny.models(g_optimizer=tiny.adam(3e-3), d_optimizer=tiny.adam(3e-3))
    halved = {"dtype": jnp.dtype(dtype)}
    return fast._replace(generator=fast.generator.clone(**halved), discriminator=fast.discriminator.clone(**halved))


def test_states_and_metrics_are_float32_and_products_bfloat16() -> None:
    half = models("bfloat16")
    state = jax.eval_shape(lambda key: create_state(half, key), jax.random.key(0))
    batch = tiny.batch(0)
    lowered = jax.jit(lambda state, batch: train_step(half, state, batch)).lower(state, batch)
    after, metrics = lowered.out_info
    kept = jax.tree.leaves((after.replace(key=None, step=None), metrics))
    assert {str(leaf.dtype) for leaf in kept} == {"float32", "int32"}  # int32: the optimizers' counts
    assert "bf16" in lowered.as_text()


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Score]:
    """Leave one subject out over the tiny faces, in both precisions."""
    pairs = tiny.pairs(6)
    folds = leave_one_subject_out(pairs)

    def run(dtype: str) -> Score:
        folder: Path = tmp_path_factory.mktemp(dtype)
        train_folds(models(dtype), pairs, folds, PLAN, folder, jax.local_devices()[:1])
        rows = [row for fold in folds for row in read_predictions(fold_dir(folder, fold) / "predictions.csv")[1]]
        people = [(row.dataset, row.subject) for row in rows]
        return score([row.label for row in rows], [row.prediction for row in rows], people, len(pairs.classes))

    return {dtype: run(dtype) for dtype in ("float32", "bfloat16")}


@pytest.mark.slow
def test_both_precisions_learn_and_their_intervals_overlap(scores: dict[str, Score]) -> None:
    full, half = scores["float32"], scores["bfloat16"]
    assert min(full["uf1"], half["uf1"]) > 0.6, "little was learnt, so little is compared"
    full_low, full_high = full["uf1_ci95"] or []
    half_low, half_high = half["uf1_ci95"] or []
    assert full_low <= half_high and half_low <= full_high
