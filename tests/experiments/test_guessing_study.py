import csv
import subprocess
import sys

import numpy as np
import pytest

from experiments import guessing_study
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.predictions import Prediction, write_predictions

QUICK = ("--epochs=5", "--draws=4")
# Nothing but numpy, scipy and the standard library may be needed.
BLOCKED = """
import importlib.abc, runpy, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {"jax", "jaxlib", "flax", "optax", "orbax", "grain", "tensorflow_datasets", "cv2",
                                  "face_recognition", "skimage", "sklearn", "matplotlib", "ml_collections"}:
            raise ImportError(name)
sys.meta_path.insert(0, Block())
command, *sys.argv[1:] = sys.argv[1:]
runpy.run_module(command, run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def clips(tmp_path):
    """A clips.csv with emotions, as `prepare` reads it."""
    lines = ["dataset,subject,clip,label,frames,onset,apex,offset"]
    for number, word in enumerate(("disgust", "happiness", "surprise", "disgust", "sadness", "happy")):
        lines.append(f"own,{number // 2},{number},{word},folder,1,,9")
    (tmp_path / "clips.csv").write_text("\n".join(lines))
    return tmp_path / "clips.csv"


def test_table_of_a_clips_csv(clips, tmp_path, capsys):
    assert guessing_study.main([str(clips), *QUICK, f"--out={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    assert "6 clips in 3 folds (3 negative, 2 positive, 1 surprise)." in printed
    with (tmp_path / "guessing_study.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["guesser"], row["rule"]) for row in rows] == [
        (guesser, rule) for guesser in ("prior random", "uniform") for rule in guessing_study.RULES
    ]
    labels, folds = np.array([0, 1, 2, 0, 0, 1]), [0, 0, 1, 1, 2, 2]
    for start, chances in ((0, np.array([3, 2, 1]) / 6), (len(guessing_study.RULES), np.full(3, 1 / 3))):
        expected = guessing_study.simulate_guessing(labels, folds, chances, epochs=5, draws=4)
        for row, ranges in zip(rows[start:], expected.values(), strict=False):
            for name in guessing_study.SCORES:
                assert float(row[name]) == pytest.approx(ranges[name].mean, abs=1e-6)
                assert float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"])
    markdown = (tmp_path / "guessing_study.md").read_text()
    assert markdown.count("| prior random |") == markdown.count("| uniform |") == len(guessing_study.RULES)


def test_numbers_from_1_have_no_class_0(tmp_path, capsys):
    """As the same clips with the labels 0, 1 and 2: the same guessers reach the same scores."""
    printed = []
    for first in (0, 1):
        path = tmp_path / f"from{first}.csv"
        path.write_text("subject,label,prediction\n" + "".join(f"{n // 3},{n % 3 + first},{first}\n" for n in range(9)))
        assert guessing_study.main([str(path), *QUICK]) == 0
        printed.append(capsys.readouterr().out.splitlines())
    assert "(3 1, 3 2, 3 3)" in printed[1][0]
    assert printed[0][1:] == printed[1][1:]


def test_predictions_stand_beside_the_guessers(tmp_path, capsys):
    rows = [Prediction("a", str(n // 3), str(n), n % 3, (n % 3 + (n > 6)) % 3, (0.1, 0.2, 0.3)) for n in range(12)]
    write_predictions(tmp_path / "predictions.csv", rows)
    assert guessing_study.main([str(tmp_path), *QUICK]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    counts = metrics.confusion([row.label for row in rows], [row.prediction for row in rows])
    uf1, uar, accuracy = metrics.uf1(counts), metrics.uar(counts), metrics.accuracy(counts)
    assert f"pooled over the folds {uf1:.3f} {uar:.3f} {accuracy:.3f}" in lines
    # Two people are all right, the third has one of three (clip 6) and the fourth none; F1 of the third: 1/3.
    third = metrics.uf1(metrics.confusion([0, 1, 2], [0, 2, 0]))
    assert f"mean over folds {(2 + third) / 4:.3f} {(2 + 1 / 3) / 4:.3f} {(2 + 1 / 3) / 4:.3f}" in lines


@pytest.mark.parametrize(
    "options,message",
    [
        (["--epochs=0"], "--epochs=0 --draws=200: give at least one of each"),
        (["--correlation=-1"], "--correlation=-1.0: it is a share"),
        (["--seed=-1"], "--seed=-1: give a number from 0"),
        (["--classes=a,b"], "label 'disgust' has no class"),
        (["--epochs=9999999"], "6 clips allow 1666666: give fewer"),
    ],
)
def test_refuses(clips, capsys, options, message):
    assert guessing_study.main([str(clips), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_missing_file(tmp_path, capsys):
    assert guessing_study.main([str(tmp_path / "absent.csv")]) == 2
    assert "absent.csv: no such file" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["experiments.guessing_study", "icegan_jax.compare"])
def test_commands_need_no_jax(tmp_path, command):
    (tmp_path / "a.csv").write_text("subject,clip,label,prediction\ns,a,happy,sad\nt,b,sad,sad\n")
    files = [str(tmp_path / "a.csv")] * (2 if command.endswith("compare") else 1)
    done = subprocess.run([sys.executable, "-c", BLOCKED, command, *files], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout
