"""The warning of a network that predicts one class for all clips, and that a resumed run warns at the same step."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icegan_jax.data.folds import leave_one_subject_out
from icegan_jax.run_dir import METRICS_FILE
from icegan_jax.training.logging import open_log, write_line
from icegan_jax.training.monitor import CollapseMonitor, collapse_monitor, sparkline
from tests.training import tiny

CLASSES = ("negative", "positive", "surprise")
CALL, PASS, PASSES = 3, 7, 2  # updates of a call and of a pass: 14 updates are due, 5 calls cover them


def line(predicted: str, loss: float | None = 0.25, loss_name: str = "margin") -> dict[str, Any]:
    """The log of a call: one class was predicted for all faces, or two classes where ``predicted`` is empty."""
    shares = (
        {name: float(name == predicted) for name in CLASSES}
        if predicted
        else dict(zip(CLASSES, (0.99, 0.01, 0), strict=True))
    )
    return {f"d_real_predicted_{name}": share for name, share in shares.items()} | {
        f"d_real_{loss_name}": loss,
        "g_l1": 0.1,
    }


def a_monitor(passes: int = PASSES) -> CollapseMonitor:
    return CollapseMonitor("tiny_s1", CLASSES, PASS, passes)


def warned(lines: list[dict[str, Any]], monitor: CollapseMonitor) -> list[int]:
    """The steps at which it warns."""
    steps = range(CALL, CALL * (len(lines) + 1), CALL)
    return [step for step, values in zip(steps, lines, strict=True) if monitor.update(step, values)]


def test_it_warns_once_when_the_passes_are_covered() -> None:
    assert warned([line("positive")] * 20, a_monitor()) == [15]
    assert warned([line("")] * 2 + [line("positive")] * 20, a_monitor()) == [21]


def test_it_warns_again_only_after_another_prediction() -> None:
    recovered = [line("negative")] * 9 + [line("")] + [line("negative")] * 9
    assert warned(recovered, a_monitor()) == [15, 45]
    other_class = [line("negative")] * 9 + [line("surprise")] * 9
    assert warned(other_class, a_monitor()) == [15, 42]


def test_one_prediction_in_hundreds_is_no_collapse() -> None:
    almost = line("") | {"d_real_predicted_negative": 0.999, "d_real_predicted_positive": 0.001}
    assert warned([almost] * 30, a_monitor()) == []
    assert warned([*[line("negative")] * 4, almost] * 6, a_monitor()) == []


def test_no_passes_no_warning() -> None:
    assert warned([line("negative")] * 30, a_monitor(passes=0)) == []


def test_a_log_without_predictions_gives_no_warning() -> None:
    assert warned([{"d_real_margin": 0.3}] * 30, a_monitor()) == []


def test_the_warning() -> None:
    monitor = a_monitor()
    losses = [0.41, 0.33, 0.32, 0.32, 0.32, 0.32]
    (warning,) = filter(
        None,
        [
            monitor.update(CALL * number, line("negative" if number > 1 else "", loss))
            for number, loss in enumerate(losses, 1)
        ],
    )
    assert warning == (
        "fold tiny_s1: all training clips are predicted as 'negative' in steps 4 to 18 (2 passes): the capsules have "
        "collapsed (see config.discriminator.routing_axis, config.discriminator.capsule_std, "
        "config.model.recognition_input, config.optimizer.learning_rate); "
        "margin loss since the first step 0.41 0.33 0.32 0.32 0.32 0.32 █▂▁▁▁▁"
    )


def test_the_warning_without_capsules() -> None:
    monitor = a_monitor()
    (warning,) = filter(
        None, [monitor.update(step, line("negative", 1.1, "cross_entropy")) for step in range(3, 30, 3)]
    )
    assert (
        "(2 passes): all classes are predicted alike (see " in warning
        and "; cross entropy since the first step 1.1 " in warning
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_resumed_run_warns_at_the_same_steps(tmp_path: Path, seed: int) -> None:
    """Interrupted after every call once: the log as it is on the disk gives the monitor the state that it had."""
    rng = np.random.default_rng(seed)
    runs = [[str(rng.choice([*CLASSES, ""]))] * int(rng.integers(1, 9)) for _ in range(12)]
    lines = [line(name, None if rng.random() < 0.1 else float(rng.random())) for run in runs for name in run]
    whole, texts = a_monitor(), []
    for number, values in enumerate(lines, 1):
        texts.append(whole.update(CALL * number, values))
    assert any(texts)
    with open_log(tmp_path, 0) as log:
        for number, values in enumerate(lines, 1):
            write_line(log, CALL * number, 0.0, {name: np.nan if v is None else v for name, v in values.items()})
    for cut in range(len(lines), -1, -1):
        with open_log(tmp_path, CALL * cut):
            resumed = a_monitor()
            before = resumed.replay((tmp_path / METRICS_FILE).read_text().splitlines(), CALL * cut)
        assert before == [text for text in texts[:cut] if text]
        rest = [resumed.update(CALL * number, values) for number, values in enumerate(lines[cut:], cut + 1)]
        assert rest == texts[cut:]


def test_a_fold_s_own_pass() -> None:
    """Of three subjects' 18 pairs 12 train a fold: 4 batches of 3 are a pass."""
    pairs = tiny.pairs()
    fold = leave_one_subject_out(pairs)[0]
    train_config = tiny.train_config(collapse_after=3)
    lines = [line("negative")] * 12
    steps = range(2, 26, 2)
    monitor = collapse_monitor(fold, pairs, train_config)
    assert [step for step, values in zip(steps, lines, strict=True) if monitor.update(step, values)] == [12]
    uneven = collapse_monitor(fold, pairs, dataclasses.replace(train_config, batch_size=5))  # 3 batches of 5
    assert [step for step, values in zip(steps, lines, strict=True) if uneven.update(step, values)] == [10]


def test_a_training_set_of_one_class_never_collapses() -> None:
    pairs = tiny.pairs()
    fold = leave_one_subject_out(pairs)[0]
    alike = dataclasses.replace(fold, train=fold.train[pairs.label[fold.train] == 0])
    assert warned([line("negative")] * 50, collapse_monitor(alike, pairs, tiny.train_config(collapse_after=1))) == []
    assert warned([line("negative")] * 50, collapse_monitor(fold, pairs, tiny.train_config(collapse_after=1)))


def test_a_curve_of_many_values_is_eight_means_and_bars() -> None:
    assert sparkline([float(number) for number in range(16)]) == "0.5 2.5 4.5 6.5 8.5 10.5 12.5 14.5 ▁▂▃▄▅▆▇█"
    assert sparkline([0.3, 0.3]) == "0.3 0.3 ▁▁"
    assert sparkline([1.0, np.nan, 0.0]) == "1 nan 0 █x▁"
