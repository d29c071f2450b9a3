import os
import shutil
from pathlib import Path

import chex
import numpy as np
import pytest

from icegan_jax.data.dataset import Pairs, load_pairs
from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.inference.ensemble import Ensemble, has_generator, load_ensemble
from icegan_jax.io import read_json_with_checksum, write_json_with_checksum
from tests.training.tiny_run import FOLDS, STEPS


@pytest.fixture(scope="module")
def pairs(run_dir: Path) -> Pairs:
    loaded: Pairs = load_pairs(run_dir.parent / "data")
    return loaded


@pytest.fixture(scope="module")
def recognizer(run_dir: Path) -> Ensemble:
    return load_ensemble(run_dir, generator=False)


@pytest.fixture(scope="module")
def generator(run_dir: Path) -> Ensemble:
    return load_ensemble(run_dir, generator=True)


def test_a_held_out_subject_gets_the_lengths_of_the_run(run_dir: Path, pairs: Pairs) -> None:
    rows = read_predictions(run_dir / "predictions.csv")[1]
    for subject in ("s0", "s1", "s2"):
        rows_of_subject = (pairs.subject == subject) & (pairs.shift == 0)
        lengths = load_ensemble(run_dir, generator=False, exclude_subject=subject).predict(
            pairs.onset[rows_of_subject], pairs.apex[rows_of_subject]
        )
        chex.assert_shape(lengths, (3, 3))
        np.testing.assert_allclose(lengths, [row.scores for row in rows if row.subject == subject], atol=2e-6)


def test_the_ensemble_is_the_mean_over_the_folds(run_dir: Path, recognizer: Ensemble, pairs: Pairs) -> None:
    single = [load_ensemble(run_dir, generator=False, fold=name).predict(pairs.onset, pairs.apex) for name in FOLDS]
    chex.assert_trees_all_close(recognizer.predict(pairs.onset, pairs.apex), np.mean(single, 0), atol=1e-6)
    assert np.abs(single[0] - single[1]).max() > 1e-3  # otherwise the test of the mean proves nothing


def test_the_prediction_does_not_depend_on_the_batch(recognizer: Ensemble, pairs: Pairs) -> None:
    together = recognizer.predict(pairs.onset[:17], pairs.apex[:17])  # more than a batch
    chex.assert_shape(together, (17, 3))
    for position in (0, 16):
        alone = recognizer.predict(pairs.onset[position : position + 1], pairs.apex[position : position + 1])
        np.testing.assert_allclose(alone[0], together[position], atol=1e-6)


def test_faces_of_another_dtype_or_shape_are_refused(recognizer: Ensemble, generator: Ensemble, pairs: Pairs) -> None:
    with pytest.raises(TypeError, match="apex: dtype float64; give gray levels as uint8, from 0 to 255"):
        recognizer.predict(pairs.onset, pairs.apex / 255)
    with pytest.raises(ValueError, match=r"onset: shape \(32, 32\); give prepared gray crops \[b, 32, 32\]"):
        generator.synthesize(pairs.onset[0], np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones(1, np.float32))


def test_faces_are_synthesized_by_class_draw_and_intensity(generator: Ensemble, pairs: Pairs) -> None:
    onset = np.repeat(pairs.onset[:1], 5, axis=0)
    label, draw = np.array([0, 1, 0, 0, 0], np.int32), np.array([0, 0, 1, 0, 0], np.int32)
    faces = generator.synthesize(onset, label, draw, np.array([1, 1, 1, 0, 3], np.float32))
    chex.assert_shape(faces, (5, 32, 32))
    chex.assert_type(faces, np.uint8)
    np.testing.assert_array_equal(faces[3], onset[3])  # at intensity 0
    change = np.abs(faces.astype(int) - onset).mean((1, 2))
    assert change[0] > 0 and change[4] > change[0]
    assert (faces[0] != faces[1]).any() and (faces[0] != faces[2]).any()
    again = generator.synthesize(onset[:1], label[:1], draw[:1], np.ones(1, np.float32))
    np.testing.assert_allclose(again[0].astype(int), faces[0], atol=1)


def test_only_one_network_is_in_memory(recognizer: Ensemble, generator: Ensemble) -> None:
    assert not recognizer.states[0].g_params and recognizer.states[0].d_params
    assert not generator.states[0].d_params and generator.states[0].g_params
    assert not recognizer.states[0].d_opt_state and not generator.states[0].g_opt_state


def test_a_read_only_run(run_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run_dir, copy)
    for folder, _, _ in os.walk(copy):
        os.chmod(folder, 0o555)
    try:
        assert load_ensemble(copy, generator=False, fold="tiny_s0").classes == ("negative", "positive", "surprise")
    finally:
        for folder, _, _ in os.walk(copy):
            os.chmod(folder, 0o755)


def copy_run(run_dir: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "run"
    shutil.copytree(run_dir, copy)
    return copy


def refused(run: Path, generator: bool = False) -> str:
    with pytest.raises(UserError) as caught:
        load_ensemble(run, generator=generator, fold="tiny_s0").load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_damaged_checkpoint_is_named(run_dir: Path, tmp_path: Path) -> None:
    copy = copy_run(run_dir, tmp_path)
    folder = copy / "folds" / "tiny_s0" / "checkpoints" / str(STEPS)
    (folder / "manifest.json").unlink()
    message = refused(copy)
    assert message.startswith(str(folder)) and "manifest.json is missing" in message and "--fold" in message


def test_a_checkpoint_of_another_run_is_refused(run_dir: Path, tmp_path: Path) -> None:
    copy = copy_run(run_dir, tmp_path)
    config = read_json_with_checksum(copy / "config.json")
    write_json_with_checksum(copy / "config.json", config | {"id": "0" * 32})
    assert "of another run, fold or step" in refused(copy)


def test_a_config_of_another_version_is_refused(run_dir: Path, tmp_path: Path) -> None:
    copy = copy_run(run_dir, tmp_path)
    config = read_json_with_checksum(copy / "config.json")
    del config["generator"]["motion"]
    write_json_with_checksum(copy / "config.json", config)
    message = refused(copy)
    assert message.startswith(str(copy / "config.json")) and "config.generator.motion is missing" in message


def test_a_run_without_generator(run_dir: Path, tmp_path: Path) -> None:
    copy = copy_run(run_dir, tmp_path)
    config = read_json_with_checksum(copy / "config.json")
    config["generator"]["kind"] = "none"
    write_json_with_checksum(copy / "config.json", config)
    assert "trained without a generator" in refused(copy, generator=True)
    assert not has_generator(copy) and has_generator(run_dir)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere").startswith(f"{tmp_path / 'nowhere'}: no such run directory")
    assert "it has no config.json" in refused(tmp_path)
