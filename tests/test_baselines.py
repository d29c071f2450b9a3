"""The compared systems through the main command: their settings, files, report, and what they refuse."""

import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax import api
from icegan_jax.compare import main as compare
from icegan_jax.config import build_models, load_config, validate
from icegan_jax.config_fields import CONFIGS_DIR, flatten, repeat_command
from icegan_jax.data.clip_frames import CLIP_FRAMES_FILE
from icegan_jax.data.dataset import load_pairs, select_apexes
from icegan_jax.data.folds import build_folds
from icegan_jax.data.pipeline import fold_batches
from icegan_jax.errors import UserError
from icegan_jax.io import write_arrays
from icegan_jax.methods import METHODS
from icegan_jax.predict import main as predict
from icegan_jax.training.optimizer import build_optimizer
from tests.in_process import run_main
from tests.training import tiny, tiny_run

BASELINES = "--config=configs/baselines.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared pairs of three people, with frames of the clips."""
    folder = tmp_path_factory.mktemp("data")
    tiny_run.write_data(folder)
    pairs = load_pairs(folder)
    names = ["/".join(key) for key in zip(pairs.dataset, pairs.subject, pairs.clip, strict=True)]
    frames = np.linspace(pairs.onset, pairs.apex, 10, axis=1).astype(np.uint8)
    write_arrays(folder / CLIP_FRAMES_FILE, clip=np.array(names), frames=frames)
    return folder


def run(method: str, data: Path, workdir: Path, *options: str) -> int:
    return run_main(
        [BASELINES, f"--config.method={method}", f"--config.data.dir={data}", f"--workdir={workdir}", *options]
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_settings_of_each_system_are_valid(method: str) -> None:
    config = api.get_config(f"baselines:{method}")
    validate(config)
    assert config.method == method
    command = repeat_command(flatten(config), "runs/x")
    assert command == f"python -m icegan_jax.main {BASELINES} --workdir=runs/x --config.method={method}"
    if METHODS[method].network is not None:
        assert build_models(config, 4).input_shape[0] == config.input.size  # type: ignore[index]


@pytest.mark.parametrize("method", ["ststnet", "flow_svm", "lbp_top"])
def test_a_system_runs_on_the_folds_of_the_network(
    method: str, data: Path, run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--config.training.steps=2", "--config.training.evaluate_every=1", "--config.evaluation.oracle=True"]
    options = options if METHODS[method].network else []
    assert run(method, data, tmp_path / "run", "--config.input.flow=farneback", *options) == 0
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results["num_folds"] == 3 and results["selection"] == "last"
    assert ("oracle" in results) == bool(options)
    assert not (tmp_path / "run/resting.csv").exists()
    page = (tmp_path / "run/report/index.html").read_text()
    assert METHODS[method].title in page and f"--config.method={method}" in page
    before = (tmp_path / "run/predictions.csv").read_bytes()
    assert run(method, data, tmp_path / "run", "--config.input.flow=farneback", *options) == 0
    assert (tmp_path / "run/predictions.csv").read_bytes() == before
    capsys.readouterr()
    assert compare([str(tmp_path / "run"), str(tmp_path / "run")]) == 0
    assert "McNemar" in capsys.readouterr().out
    assert predict(["--workdir", str(tmp_path / "run"), "--input", "x.png", "--out", str(tmp_path / "out")]) == 2
    assert f"compared system {method!r}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "field", "remedy"),
    [
        ([BASELINES, "--config.method=ststnett"], "config.method", "ststnet"),
        (["--config=configs/loso.py", "--config.method=ststnet"], "config.method", "configs/baselines.py"),
        ([BASELINES, "--config.method=ststnet", "--config.augmentation.mirror=True"], "augmentation", "leave"),
        ([BASELINES, "--config.method=ststnet", "--config.protocol=cross_database"], "protocol", "several databases"),
        ([BASELINES, "--config.method=flow_svm", "--parameters"], "config.method", "no network"),
    ],
)
def test_wrong_settings_name_the_field_and_the_remedy(
    options: list[str], field: str, remedy: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main([*options, f"--config.data.dir={data}", f"--workdir={tmp_path / 'run'}"]) == 2
    message = capsys.readouterr().err
    assert field in message and remedy in message and message.count("\n") == 1
    assert not (tmp_path / "run" / "folds").exists()


def test_lbp_top_without_frames_names_the_database(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_run.write_data(tmp_path / "data")
    assert run("lbp_top", tmp_path / "data", tmp_path / "run") == 2
    assert "tiny was prepared without the frames" in capsys.readouterr().err


def test_cross_database_trains_on_the_other_databases_alone() -> None:
    pairs = select_apexes(tiny.pairs())
    halves = np.where(pairs.subject == "s0", "one", "two")
    pairs = dataclasses.replace(pairs, dataset=halves)
    folds = build_folds(pairs, protocol="cross_database", share=0.5, inner_share=0.0, seed=0)
    for fold in folds:
        ((dataset, subject),) = fold.people
        assert set(pairs.dataset[fold.train]) == {"one", "two"} - {dataset}
        assert set(pairs.dataset[fold.inner]) <= {dataset} and subject not in set(pairs.subject[fold.inner])
        assert set(pairs.subject[fold.test]) == {subject}


def test_batches_of_a_compared_system_hold_every_clip_once_per_epoch_and_resume() -> None:
    pairs = select_apexes(tiny.pairs())
    pairs = dataclasses.replace(pairs, input=np.arange(len(pairs.label), dtype=np.uint8)[:, None, None, None])
    indices = np.arange(1, 8)

    def batches() -> object:
        return fold_batches(pairs, indices, batch_size=3, seed=5, mirror=False)

    iterator = batches()
    drawn = [next(iterator) for _ in range(7)]  # type: ignore[call-overload]
    index = np.concatenate([batch["index"] for batch in drawn])
    for epoch in range(3):
        assert sorted(index[7 * epoch : 7 * epoch + 7]) == indices.tolist()
    assert all((batch["input"].ravel() == batch["index"]).all() for batch in drawn)
    again = batches()
    for _ in range(3):
        next(again)  # type: ignore[call-overload]
    resumed = batches()
    resumed.set_state(again.get_state())  # type: ignore[attr-defined]
    np.testing.assert_array_equal(next(resumed)["index"], drawn[3]["index"])  # type: ignore[call-overload]


def test_learning_rates_of_each_schedule() -> None:
    def rates(**changes: object) -> list[float]:
        settings = {**flatten(load_config(str(CONFIGS_DIR / "loso.py")).optimizer), "kind": "sgd", "b1": 0.0}
        optimizer = build_optimizer(4, **{**settings, "learning_rate": 1.0, **changes})  # type: ignore[arg-type]
        state, taken = optimizer.init(jnp.zeros(())), []
        for _ in range(4):
            update, state = optimizer.update(jnp.ones(()), state, jnp.ones(()))
            taken.append(round(-float(update), 4))
        return taken

    assert rates(schedule="constant") == [1, 1, 1, 1]
    assert rates(schedule="stages", stages=2, stage_factor=0.1) == [1, 1, 0.1, 0.1]
    assert rates(schedule="cosine")[0] == 1 and rates(schedule="cosine")[-1] < 0.2
    assert rates(schedule="constant", weight_decay=0.5) == [1.5, 1.5, 1.5, 1.5]


def test_unknown_methods_in_python_have_the_nearest_name() -> None:
    with pytest.raises(UserError, match="did you mean rcn_a"):
        api.get_config("baselines:rcn")
