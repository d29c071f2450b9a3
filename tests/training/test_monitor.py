"""Numbers that are made non-finite and capsules that collapse: what is detected, described and recorded."""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icegan_jax.data.folds import leave_one_subject_out
from icegan_jax.run_dir import NONFINITE_FILE
from icegan_jax.training import parallel as parallel_module
from icegan_jax.training.logging import named_metrics, open_log, write_line
from icegan_jax.training.monitor import (
    CollapseMonitor,
    Failure,
    NonFiniteError,
    batch_clips,
    collapse_monitor,
    first_nonfinite,
    mean_metrics,
    write_failure,
)
from icegan_jax.training.parallel import FoldLayout, ParallelPrograms, build_programs, vmap_folds
from icegan_jax.training.state import Models, TrainState, create_state, fold_key
from icegan_jax.training.train_step import Metrics, train_step
from tests.training import tiny

STEPS, FOLDS = 3, 2
DEVICES = jax.local_devices()[:1]
LAYOUT = FoldLayout(tuple(DEVICES), FOLDS)
NAN, INF = float("nan"), float("inf")
Terms = dict[str, np.ndarray]


def breaking(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """``inner``, its change at one update, ``at``, multiplied by ``factor``: numbers of its state, a fold's own."""

    def init(params: Any) -> Any:
        return {"inner": inner.init(params), "count": jnp.int32(0), "at": jnp.int32(-1), "factor": jnp.float32(1)}

    def change(gradient: Any, state: Any, params: Any) -> Any:
        expected, kept = inner.update(gradient, state["inner"], params)
        factor = jnp.where(state["count"] == state["at"], state["factor"], 1.0)
        return jax.tree.map(lambda leaf: leaf * factor, expected), state | {"inner": kept, "count": state["count"] + 1}

    return optax.GradientTransformation(init, change)


@pytest.fixture(scope="module")
def programs() -> ParallelPrograms:
    """Two discriminators alone, side by side as on an accelerator: one program computes both."""
    models = tiny.models(generator=None, d_optimizer=breaking(tiny.adam(1e-4)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(parallel_module, "fold_map", lambda _: vmap_folds)
        return build_programs(models, DEVICES)


def begin(programs: ParallelPrograms) -> TrainState:
    return programs.create_state(
        LAYOUT.device_put(LAYOUT.shard(jnp.stack([fold_key(0, str(fold)) for fold in range(FOLDS)])))
    )


def train(programs: ParallelPrograms, states: TrainState) -> tuple[TrainState, Terms]:
    """A call: the state of fold 0 and the terms [g, s]."""
    batches = [[tiny.batch(STEPS * fold + step) for step in range(STEPS)] for fold in range(FOLDS)]
    faces = {
        name: LAYOUT.shard_batches(
            np.stack([np.stack([np.asarray(batch[name]) for batch in fold]) for fold in batches])
        )
        for name in ("onset", "apex", "label")
    }
    after, metrics = programs.train_steps(states, LAYOUT.device_put(faces))
    return LAYOUT.take_state(after, 0), {name: LAYOUT.gather(value) for name, value in jax.device_get(metrics).items()}


def break_fold_1(states: TrainState, at: int, factor: float) -> TrainState:
    marks = {"at": np.array([-1, at], np.int32), "factor": np.array([1, factor], np.float32)}
    return states.replace(d_opt_state=states.d_opt_state | LAYOUT.device_put(jax.tree.map(LAYOUT.shard, marks)))


@pytest.fixture(scope="module")
def unbroken(programs: ParallelPrograms) -> tuple[TrainState, Terms]:
    return train(programs, begin(programs))


def assert_neighbour_unmoved(actual: tuple[TrainState, Terms], unbroken: tuple[TrainState, Terms]) -> None:
    """Fold 0: the very same bytes of state and terms, all finite."""
    for mine, clean in zip(*(jax.tree.leaves(state.replace(key=None)) for state, _ in (actual, unbroken)), strict=True):
        assert np.asarray(mine).tobytes() == np.asarray(clean).tobytes()
    for name, values in unbroken[1].items():
        assert actual[1][name][0].tobytes() == values[0].tobytes(), name
    assert first_nonfinite(actual[1], 0) is None


@pytest.mark.parametrize(("at", "factor"), [(0, INF), (1, 1e34), (STEPS - 1, NAN)])
def test_the_step_that_broke_the_parameters_is_found_immediately(
    programs: ParallelPrograms, unbroken: tuple[TrainState, Terms], at: int, factor: float
) -> None:
    """No loss has read them yet; 1e34 times Adam's 1e-4 is a learning rate of 1e30, whose squares overflow."""
    actual = train(programs, break_fold_1(begin(programs), at, factor))
    broken = first_nonfinite(actual[1], 1)
    assert broken is not None
    assert broken[0] == at
    assert set(broken[1]) == {"d_parameter_norm"}
    if at + 1 < STEPS:
        assert not np.isfinite(actual[1]["d_real_margin"][1, at + 1])
    assert_neighbour_unmoved(actual, unbroken)


def test_losses_are_named_before_norms(programs: ParallelPrograms, unbroken: tuple[TrainState, Terms]) -> None:
    states = begin(programs)
    transform = np.array(states.d_params["exp_caps"]["transform"])
    transform[0, 1, 0, 0, 0] = NAN
    params = {**states.d_params, "exp_caps": {"transform": LAYOUT.device_put(transform)}}
    actual = train(programs, states.replace(d_params=params))
    broken = first_nonfinite(actual[1], 1)
    assert broken is not None
    names = list(broken[1])
    assert broken[0] == 0
    assert {"d_real_margin", "d_gradient_norm", "d_parameter_norm"} <= set(names)
    assert max(names.index(name) for name in names if name.startswith("d_real")) < names.index("d_gradient_norm")
    assert all(np.isnan(value) for value in broken[1].values())
    assert_neighbour_unmoved(actual, unbroken)


def test_nothing_is_found_where_nothing_broke(unbroken: tuple[TrainState, Terms]) -> None:
    assert [first_nonfinite(unbroken[1], fold) for fold in range(FOLDS)] == [None, None]


def test_capsules_that_collapsed_are_seen(programs: ParallelPrograms) -> None:
    """Without the votes for two of the classes, all faces of fold 1 are taken for the third."""
    states = begin(programs)
    transform = np.array(states.d_params["exp_caps"]["transform"])
    votes = transform[0, 1].reshape(*transform.shape[2:4], 3, -1)
    votes[:, :, [0, 2]] = 0
    _, terms = train(programs, states.replace(d_params={**states.d_params, "exp_caps": {"transform": transform}}))
    assert terms["d_real_predicted_1"][1].tolist() == [1.0] * STEPS
    line = {name: value[1] for name, value in named_metrics(mean_metrics(terms), ("a", "b", "c")).items()}
    warning = CollapseMonitor("tiny_s1", ("a", "b", "c"), STEPS, 1).update(STEPS, line)
    assert warning is not None and "predicted as 'b' in steps 1 to 3" in warning


# One fold.


def leaves(tree: Any) -> list[tuple[str, jax.Array]]:
    actual = [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]]
    return [(name, leaf) for name, leaf in actual if jnp.issubdtype(leaf.dtype, jnp.floating)]


def spoilt(tree: Any, name: str, value: float) -> Any:
    """The tree with ``value`` in one number of one array."""

    def spoil(path: Any, leaf: Any) -> Any:
        if jax.tree_util.keystr(path) != name:
            return leaf
        copy = np.array(leaf)
        copy.flat[0] = value
        return copy

    return jax.tree_util.tree_map_with_path(spoil, tree)


@pytest.fixture(scope="module")
def whole() -> tuple[TrainState, Any]:
    """The first state of one fold, both networks, and its update."""
    models = tiny.models()
    state = jax.jit(functools.partial(create_state, models))(fold_key(0, "a"))
    return state, jax.jit(functools.partial(train_step, models))


@pytest.mark.slow
@pytest.mark.parametrize("part", ["g_params", "g_stats", "g_opt_state", "d_params", "d_stats", "d_opt_state"])
def test_what_is_not_finite_anywhere_in_a_state_shows_at_the_next_update(
    whole: tuple[TrainState, Any], part: str
) -> None:
    """Also where no loss reads it: running statistics, the optimizer's moments."""
    state, step = whole
    names = [name for name, _ in leaves(getattr(state, part))]
    assert len(names) > 3
    hidden = {}
    for name in names:
        tree = jax.tree.map(np.asarray, getattr(state, part))
        for value in (NAN, INF) if part.endswith(("params", "stats")) else (NAN,):
            _, metrics = step(state.replace(**{part: spoilt(tree, name, value)}), tiny.batch())
            if first_nonfinite({term: np.asarray(number)[None, None] for term, number in metrics.items()}, 0) is None:
                hidden[name] = value
    assert hidden == {}


def after_one(models: Models) -> tuple[TrainState, Metrics]:
    """One update on made-up faces."""

    @jax.jit
    def run(key: jax.Array) -> tuple[TrainState, Metrics]:
        return train_step(models, create_state(models, key), tiny.batch())

    return run(fold_key(0, "a"))


@pytest.mark.slow
def test_a_gradient_beyond_float32_counts_though_every_loss_is_finite() -> None:
    """Adam would divide by infinity and never move those weights again: nothing else would show it."""
    weights = tiny.WEIGHTS._replace(recognition=1e25)
    after, metrics = after_one(tiny.models(generator=None, weights=weights))
    actual = first_nonfinite({name: np.asarray(value)[None, None] for name, value in metrics.items()}, 0)
    assert actual == (0, {"d_gradient_norm": INF})
    moments = [np.asarray(leaf) for name, leaf in leaves(after.d_opt_state) if ".nu" in name]
    assert any(np.isinf(leaf).any() for leaf in moments)
    assert all(np.isfinite(leaf).all() for _, leaf in leaves(after.d_params))


# What is described and recorded.

TERMS = {
    "g_l1": np.array([[0.1, 0.2, 0.3], [0.1, NAN, 0.3]], np.float32),
    "d_gradient_norm": np.array([[1.0, 2.0, 3.0], [1.0, INF, NAN]], np.float32),
    "d_real_margin": np.array([[0.5, 0.5, 0.5], [0.5, -INF, NAN]], np.float32),
    "d_real_accuracy": np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], np.float32),
}


def test_the_first_bad_step_and_its_terms() -> None:
    assert first_nonfinite(TERMS, 0) is None
    assert str(first_nonfinite(TERMS, 1)) == "(1, {'g_l1': nan, 'd_real_margin': -inf, 'd_gradient_norm': inf})"


def test_means_of_a_call() -> None:
    actual = mean_metrics(TERMS | {"large": np.full((2, 3), 3e38, np.float32)})
    np.testing.assert_allclose(actual["g_l1"], [0.2, NAN], rtol=1e-6)
    np.testing.assert_allclose(actual["large"], np.float32(3e38))  # their sum is beyond float32


def test_a_failure_is_described_and_recorded(tmp_path: Path) -> None:
    """Each clip of the batch is named once with its frames; the message names sixteen of them, the file all."""
    pairs = tiny.pairs(2)  # rows: a subject's three clips, each the apex and the frame after it
    clips = batch_clips(pairs, np.array([7, 0, 1, 7, 1], np.int32))
    assert clips == ("tiny s1 clip0 (apex+1)", "tiny s0 clip0 (apex, apex+1)")
    failure = Failure("tiny_s1", 37, {"d_real_margin": NAN, "d_gradient_norm": INF}, clips * 10, 30)
    line = str(NonFiniteError(failure))
    assert line.startswith(
        "fold tiny_s1: step 37: d_real_margin is nan, d_gradient_norm is inf; clips of the batch: tiny"
    )
    assert line.count("tiny s") == 16 and " and 4 more; its checkpoint of step 30 is kept: lower " in line
    assert "learning_rate" in line and "on_nonfinite=skip_fold" in line
    assert "; in an evaluation; it has no checkpoint yet" in failure._replace(clips=(), checkpoint=0).describe()
    write_failure(tmp_path, failure, "skip_fold")
    assert json.loads((tmp_path / NONFINITE_FILE).read_text()) == {
        "fold": "tiny_s1",
        "step": 37,
        "terms": {"d_real_margin": "nan", "d_gradient_norm": "inf"},
        "clips": list(clips * 10),
        "checkpoint": 30,
        "policy": "skip_fold",
    }


# Collapse.

CLASSES = ("negative", "positive", "surprise")
CALL, PASS, PASSES = 3, 7, 2  # updates of a call and of a pass: 14 updates are due, 5 calls cover them


def log_line(predicted: str) -> dict[str, Any]:
    """The log of a call: one class was predicted for all faces, or two classes where ``predicted`` is empty."""
    shares = dict(zip(CLASSES, (0.999, 0.001, 0), strict=True))
    if predicted:
        shares = {name: float(name == predicted) for name in CLASSES}
    return {f"d_real_predicted_{name}": share for name, share in shares.items()} | {"d_real_margin": 0.25}


def warned(predicted: list[str], monitor: CollapseMonitor | None = None) -> list[int]:
    """The steps at which the monitor warns."""
    monitor = monitor or CollapseMonitor("tiny_s1", CLASSES, PASS, PASSES)
    steps = range(CALL, CALL * (len(predicted) + 1), CALL)
    return [step for step, name in zip(steps, predicted, strict=True) if monitor.update(step, log_line(name))]


def test_the_monitor_warns_once_when_the_passes_are_covered_and_again_after_another_prediction() -> None:
    assert warned(["positive"] * 20) == [15]
    assert warned([""] * 2 + ["positive"] * 20) == [21]
    assert warned(["negative"] * 9 + [""] + ["negative"] * 9) == [15, 45]
    assert warned(["negative"] * 9 + ["surprise"] * 9) == [15, 42]
    assert warned([*["negative"] * 4, ""] * 6) == []  # one other prediction in a thousand is no collapse
    assert warned(["negative"] * 30, CollapseMonitor("tiny_s1", CLASSES, PASS, 0)) == []


def test_the_warning_names_the_fold_the_class_the_loss_and_the_fields() -> None:
    monitor = CollapseMonitor("tiny_s1", CLASSES, PASS, PASSES)
    (warning,) = filter(None, [monitor.update(CALL * call, log_line("positive")) for call in range(1, 6)])
    assert warning.startswith("fold tiny_s1: all training clips are predicted as 'positive' in steps 1 to 15, 2 passes")
    assert "d_real_margin 0.25; see config.discriminator.routing_axis" in warning and "learning_rate" in warning


def test_a_resumed_run_warns_at_the_same_steps(tmp_path: Path) -> None:
    """Interrupted after every call once: the log as it is on the disk gives the monitor the state that it had."""
    rng = np.random.default_rng(0)
    lines = [log_line(name) for _ in range(12) for name in [str(rng.choice([*CLASSES, ""]))] * int(rng.integers(1, 9))]
    whole = CollapseMonitor("tiny_s1", CLASSES, PASS, PASSES)
    texts = [whole.update(CALL * number, values) for number, values in enumerate(lines, 1)]
    assert any(texts)
    with open_log(tmp_path / "log", 0) as log:
        for number, values in enumerate(lines, 1):
            write_line(log, CALL * number, 0.0, values)
    written = (tmp_path / "log").read_text().splitlines()
    for cut in range(len(lines) + 1):
        resumed = CollapseMonitor("tiny_s1", CLASSES, PASS, PASSES)
        assert resumed.replay(written[:cut], CALL * cut) == [text for text in texts[:cut] if text]
        rest = [resumed.update(CALL * number, values) for number, values in enumerate(lines[cut:], cut + 1)]
        assert rest == texts[cut:]


def test_the_monitor_of_a_fold() -> None:
    """Of three subjects' 18 pairs 12 train a fold: 4 batches of 3 are a pass. One class alone never collapses."""
    pairs = tiny.pairs()
    fold = leave_one_subject_out(pairs)[0]
    config = tiny.train_config(collapse_after=3)
    assert warned(["negative"] * 12, collapse_monitor(fold, pairs, config)) == [12]
    alike = dataclasses.replace(fold, train=fold.train[pairs.label[fold.train] == 0])
    assert warned(["negative"] * 50, collapse_monitor(alike, pairs, config)) == []
