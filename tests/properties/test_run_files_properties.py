"""The files of a run's folds: any content is read, or raises UserError with one line."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from icegan_jax.data.folds import leave_one_subject_out
from icegan_jax.evaluation.synthesis.faces import read_faces
from icegan_jax.reporting.curves import read_metrics
from icegan_jax.reporting.report_figures import choose_clips
from icegan_jax.training.evaluate import read_evaluations
from tests.data.conftest import pairs_of, record
from tests.properties.strategies import edited, json_values, outcome, scratch
from tests.reporting.fabricated import write_synthesis

FOLDER = scratch()
FOLD = leave_one_subject_out(pairs_of([record("d", s, c, 0, 0) for s in "ab" for c in "xy"]))[0]
LENGTH = st.floats(0, 1, width=32).map(lambda value: float(f"{value:.9g}"))
ROWS = st.lists(st.lists(LENGTH, min_size=3, max_size=3), min_size=2, max_size=2)


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_evaluations_are_read_as_they_were_written(tests: list[list[list[float]]]) -> None:
    path = FOLDER / "evaluations.jsonl"
    lines = [json.dumps({"step": 10 * n + 10, "test": rows, "inner": []}) for n, rows in enumerate(tests)]
    path.write_text("\n".join(lines) + "\n")
    result = read_evaluations(path, FOLD, 3)
    assert [(e.step, e.test.tolist()) for e in result] == [(10 * n + 10, rows) for n, rows in enumerate(tests)]


@given(ROWS, st.data())
def test_edited_lines_are_read_or_refused(rows: list[list[float]], data: st.DataObject) -> None:
    content = {"step": 10, "test": rows, "inner": [], "g_l1": 0.5}
    if data.draw(st.booleans()):
        content[data.draw(st.sampled_from(list(content)))] = data.draw(json_values)
        text = json.dumps(content)
    else:
        text = edited(data.draw, json.dumps(content) + "\n" + json.dumps({**content, "step": 20}))
    path = FOLDER / "edited.jsonl"
    path.write_bytes(text.encode())
    for evaluation in outcome(lambda: read_evaluations(path, FOLD, 3), "edited.jsonl") or ():
        assert evaluation.test.shape == (2, 3) and np.isfinite(evaluation.test).all()
    outcome(lambda: read_metrics(path), "edited.jsonl")


write_synthesis(FOLDER / "synthesis.npz", size=8)
WHOLE = (FOLDER / "synthesis.npz").read_bytes()


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.booleans())
def test_a_damaged_array_file_is_read_or_refused(at: int, byte: int, cut: bool) -> None:
    content = WHOLE[:at] if cut else WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]
    fold = FOLDER / "damaged/folds/a_1"
    fold.mkdir(parents=True, exist_ok=True)
    (fold / "synthesis.npz").write_bytes(content)
    faces = outcome(lambda: read_faces(FOLDER / "damaged"), "synthesis.npz", "two folds hold the same clip out")
    for clip in choose_clips(faces) if faces else ():
        assert faces.onset[clip].shape == (8, 8) and len(faces.synthetic[clip]) == 3
