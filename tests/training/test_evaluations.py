"""Evaluations during training: what they hold, and that they neither change the training nor get lost or doubled."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from icegan_jax.data.folds import Fold, hold_out_inner, leave_one_subject_out, subject_split
from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import Prediction, read_predictions
from icegan_jax.evaluation.selection import Evaluation
from icegan_jax.io import checksum_of
from icegan_jax.run_dir import EVALUATIONS_FILE
from icegan_jax.training import loop
from icegan_jax.training.evaluate import check_steps, intact_until, read_evaluations
from icegan_jax.training.loop import FoldRun, train_folds
from icegan_jax.training.parallel import ParallelPrograms
from icegan_jax.training.state import TrainConfig
from tests.training import tiny

NETWORKS = tiny.NETWORKS
PAIRS = tiny.pairs(subjects=4)
FOLDS = [hold_out_inner(fold, PAIRS, 0.5, 0) for fold in leave_one_subject_out(PAIRS)[:2]]  # 2 of 3: 6 clips
PLAN = tiny.train_config(steps=10, evaluate_every=4)  # 2 steps a call, a checkpoint every 4, two folds side by side
EVALUATED = [4, 8, 10]


@pytest.fixture(scope="module", autouse=True)
def programs() -> Iterator[ParallelPrograms]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "build_programs", lambda *_: tiny.programs())
        yield tiny.programs()


def train(run_dir: Path, folds: Sequence[Fold] = FOLDS, train_config: TrainConfig = PLAN) -> Path:
    train_folds(NETWORKS, PAIRS, folds, train_config, run_dir, jax.local_devices()[:1])
    return run_dir


def predictions(run_dir: Path, fold: Fold) -> list[Prediction]:
    return read_predictions(run_dir / "folds" / fold.name / "predictions.csv")[1]


def text(run_dir: Path, fold: Fold) -> str:
    return (run_dir / "folds" / fold.name / EVALUATIONS_FILE).read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("whole"))


def test_a_line_per_evaluation_and_one_after_the_last_step(whole: Path) -> None:
    for fold in FOLDS:
        assert (len(fold.test), len(fold.inner)) == (3, 6)
        history = read_evaluations(whole / "folds" / fold.name / EVALUATIONS_FILE, fold, 3)
        assert [evaluation.step for evaluation in history] == EVALUATED
        assert (
            intact_until(whole / "folds" / fold.name / EVALUATIONS_FILE, PLAN.evaluate_every, PLAN.steps) == PLAN.steps
        )
        assert [(evaluation.test.shape, evaluation.inner.shape) for evaluation in history] == [((3, 3), (6, 3))] * 3
        assert not np.array_equal(history[0].inner, history[1].inner)


def test_the_last_evaluation_is_what_is_predicted(whole: Path) -> None:
    for fold in FOLDS:
        last = read_evaluations(whole / "folds" / fold.name / EVALUATIONS_FILE, fold, 3)[-1]
        rows = predictions(whole, fold)
        np.testing.assert_array_equal(np.argmax(last.test, axis=1), [row.prediction for row in rows])
        np.testing.assert_array_equal(np.round(last.test, 6), [row.scores for row in rows])


def test_an_evaluation_is_what_a_shorter_training_would_predict(whole: Path, tmp_path: Path) -> None:
    """Of the test people; and of the inner people, where they are tested by the same networks."""
    swapped = [Fold(fold.name, fold.people, fold.train, test=fold.inner) for fold in FOLDS]
    for folds, name in ((FOLDS, "test"), (swapped, "inner")):
        short = train(tmp_path / name, folds, tiny.train_config(steps=4))
        for fold, other in zip(FOLDS, folds, strict=True):
            first = read_evaluations(whole / "folds" / fold.name / EVALUATIONS_FILE, fold, 3)[0]
            scores = [row.scores for row in predictions(short, other)]
            np.testing.assert_allclose(getattr(first, name), scores, atol=2e-6)
            assert not (short / "folds" / fold.name / EVALUATIONS_FILE).exists()


def test_evaluations_change_nothing(whole: Path, tmp_path: Path) -> None:
    train(tmp_path, train_config=tiny.train_config(steps=10))
    for fold in FOLDS:
        assert predictions(tmp_path, fold) == predictions(whole, fold)


@pytest.mark.parametrize("step", [6, 10])
def test_an_interrupted_run_leaves_the_same_evaluations(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Stopped in step 6, with a checkpoint of 4, or in step 10, with one of 8; a line of step 9 is half written."""
    write = FoldRun.write

    def stopping(self: FoldRun, now: int, *rest: Any) -> str | None:
        if now == step:
            raise KeyboardInterrupt
        return write(self, now, *rest)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(FoldRun, "write", stopping)
        train(tmp_path)
    for fold in FOLDS:
        before = [json.loads(line)["step"] for line in text(tmp_path, fold).splitlines()]
        assert before == [at for at in EVALUATED if at < step]
        with (tmp_path / "folds" / fold.name / EVALUATIONS_FILE).open("a") as stream:
            stream.write('{"step": 9, "test": []}\n{"step": 9, "te')
    train(tmp_path)
    for fold in FOLDS:
        assert text(tmp_path, fold) == text(whole, fold)


def test_a_checkpoint_comes_after_the_evaluation(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped just before the evaluation of step 8, which is a checkpoint's step too."""
    write = loop.write_evaluations

    def stopping(programs: Any, states: Any, step: int, *rest: Any) -> list[int]:
        if step == 8:
            raise KeyboardInterrupt
        return write(programs, states, step, *rest)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(loop, "write_evaluations", stopping)
        train(tmp_path)
    train(tmp_path)
    for fold in FOLDS:
        assert text(tmp_path, fold) == text(whole, fold)


def test_the_clips_of_a_split_keep_their_people(tmp_path: Path) -> None:
    (fold,) = subject_split(PAIRS, 0.5, seed=0)
    train(tmp_path, [fold], tiny.train_config(steps=2, evaluate_every=2))
    rows = predictions(tmp_path, fold)
    expected = [("tiny", subject, f"clip{label}", label) for _, subject in fold.people for label in range(3)]
    assert [(row.dataset, row.subject, row.clip, row.label) for row in rows] == expected
    with np.load(tmp_path / "folds" / fold.name / "synthesis.npz") as sheet:
        actual = zip(*(sheet[name].tolist() for name in ("dataset", "subject", "clip", "label")), strict=True)
        assert list(actual) == expected
        assert len(sheet["synthetic"]) == 6
    assert json.loads(text(tmp_path, fold))["inner"] == []
    (evaluation,) = read_evaluations(tmp_path / "folds" / fold.name / EVALUATIONS_FILE, fold, 3)
    assert evaluation.inner.shape == (0, 3)


ONE = Fold("d_s", (("d", "s"),), np.arange(3), np.array([3]), np.array([4]))
LINE = '{"step": 4, "test": [[0.1, 0.2, 0.3]], "inner": [[0.4, 0.5, 0.6]]}'


def test_read(tmp_path: Path) -> None:
    (tmp_path / "e").write_text(LINE + "\n")
    (actual,) = read_evaluations(tmp_path / "e", ONE, 3)
    assert (actual.step, actual.test.tolist(), actual.inner.tolist()) == (4, [[0.1, 0.2, 0.3]], [[0.4, 0.5, 0.6]])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "e: cannot be read as text; remove the fold's folder"),
        ("", "e: not one evaluation; remove"),
        (LINE + '\n{"step"', 'e:2: not a line like {"step": 10'),
        (LINE.replace("0.3]", "0.3, 0.3]"), "e:1: not a line like"),
        (LINE.replace("[[0.4, 0.5, 0.6]]", "[]"), "e:1: 1 test and 0 inner clips, but the fold has 1 and 1; remove"),
        (LINE.replace("0.5", "NaN"), "e:1: a capsule length is not a finite number: the training diverged, lower"),
        ("[" * 99999, "e:1: not a line like"),
        (LINE + "\n" + LINE, "e:2: step 4 after step 4; remove"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "e").write_text(content)
    with pytest.raises(UserError) as caught:
        read_evaluations(tmp_path / "e", ONE, 3)
    assert words in str(caught.value)


def histories(*steps: Sequence[int]) -> list[list[Evaluation]]:
    return [[Evaluation(step, np.ones((1, 3)), np.ones((0, 3))) for step in fold] for fold in steps]


def line_with_checksum(step: int) -> str:
    line = {"step": step, "test": [[0.25, 0.5, 0.75]], "inner": []}
    return json.dumps({**line, "checksum": checksum_of(line)})


@pytest.mark.parametrize(
    ("steps", "until"),
    [([], 3), ([4], 7), ([4, 8], 9), ([4, 8, 10], 10), ([8, 10], 3), ([4, 10], 7), ([10, 8, 4, 4], 10), ([5, 8], 3)],
)
def test_where_a_fold_can_go_on_without_a_gap(tmp_path: Path, steps: list[int], until: int) -> None:
    """Due are 4, 8 and, at the end, 10."""
    (tmp_path / "e").write_text("".join(line_with_checksum(step) + "\n" for step in steps))
    assert intact_until(tmp_path / "e", 4, 10) == until


def test_lines_that_are_not_as_written_are_gaps(tmp_path: Path) -> None:
    lines = [line_with_checksum(step) for step in (4, 8, 10)]
    assert intact_until(tmp_path / "none", 4, 10) == 3
    for damaged in (lines[1][:-3], LINE, lines[1].replace("8", "9", 1)):
        (tmp_path / "e").write_text("\n".join([lines[0], damaged, lines[2]]) + "\n")
        assert intact_until(tmp_path / "e", 4, 10) == 7


def test_folds_of_different_steps_are_named() -> None:
    paths = [Path(f"folds/{name}/{EVALUATIONS_FILE}") for name in "abc"]
    check_steps(histories([4, 8, 10], [4, 8, 10], [4, 8, 10]), paths, 10)
    for steps, message in (
        (([4, 8, 10], [4, 8], [4, 8, 10]), "folds/b/evaluations.jsonl: no evaluation after step 10; remove"),
        (([4, 8], [4, 8], [4, 8]), "folds/a/evaluations.jsonl: no evaluation after step 10"),
        (([4, 8, 10], [4, 8, 10], [4, 10]), "folds/c/evaluations.jsonl: no evaluation after step 8"),
    ):
        with pytest.raises(UserError, match=message):
            check_steps(histories(*steps), paths, 10)
