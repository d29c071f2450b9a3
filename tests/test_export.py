import ast
import functools
import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import chex
import jax
import numpy as np
import onnxruntime
import pytest

from icegan_jax import export
from icegan_jax.data.dataset import load_pairs
from icegan_jax.inference.ensemble import load_ensemble
from icegan_jax.inference.recognize import recognize_crops
from icegan_jax.models.generator import to_float

pytestmark = pytest.mark.slow  # imports onnxruntime and jax2onnx

CARRIED = {"jax", "numpy", "json", "sys", "pathlib", "collections", "typing"}  # what load.py may import


@pytest.fixture(scope="module")
def exported(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "out"
    assert export.main([f"--workdir={run_dir}", f"--out={out}", "--onnx"]) == 0
    return out


@pytest.fixture(scope="module")
def loader(exported: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("load_exported", exported / "load.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def test_the_recognizer_gives_the_lengths_of_the_run(run_dir: Path, exported: Path, loader: ModuleType) -> None:
    pairs = load_pairs(run_dir.parent / "data")
    expected = load_ensemble(run_dir, generator=False).predict(pairs.onset, pairs.apex)
    program = loader.load(exported)["recognizer"]
    lengths = program(pairs.onset, pairs.apex)
    chex.assert_shape(lengths, expected.shape)
    np.testing.assert_allclose(lengths, expected, atol=1e-5)
    np.testing.assert_allclose(program(pairs.onset[:1], pairs.apex[:1]), expected[:1], atol=1e-5)


def test_the_generator_gives_the_faces_of_the_run(run_dir: Path, exported: Path, loader: ModuleType) -> None:
    onset = load_pairs(run_dir.parent / "data").onset[:3]
    label, draw, intensity = np.array([0, 1, 2], np.int32), np.array([0, 1, 0], np.int32), np.array([1, 0.5, 2])
    expected = load_ensemble(run_dir, generator=True).synthesize(onset, label, draw, intensity)
    faces = loader.load(exported)["generator"](onset, label, draw, intensity)
    chex.assert_type(faces, np.uint8)
    assert np.abs(faces.astype(int) - expected).max() <= 1  # a gray level, where rounding falls otherwise
    assert (faces != onset).any()


def test_onnx_gives_the_lengths_of_the_run(run_dir: Path, exported: Path) -> None:
    pairs = load_pairs(run_dir.parent / "data")
    expected = load_ensemble(run_dir, generator=False).predict(pairs.onset[:4], pairs.apex[:4])
    session = onnxruntime.InferenceSession(exported / "recognizer.onnx", providers=["CPUExecutionProvider"])
    for place in range(4):
        faces = {"onset": pairs.onset[[place], ..., None], "apex": pairs.apex[[place], ..., None]}
        (lengths,) = session.run(["lengths"], faces)
        np.testing.assert_allclose(lengths[0], expected[place], atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 1e-3  # answers that differ


def test_onnx_gives_the_faces_of_the_run(run_dir: Path, exported: Path) -> None:
    model = load_ensemble(run_dir, generator=True)
    onset = load_pairs(run_dir.parent / "data").onset[:1, ..., None]
    noise = np.random.default_rng(0).normal(size=(1, model.models.noise)).astype(np.float32)
    label, intensity = np.array([2], np.int32), np.array([0.7], np.float32)
    assert model.models.generator is not None
    draw = jax.jit(functools.partial(model.models.generator.apply, train=False))
    faces = []
    for state in model.states:
        variables = {"params": state.g_params, **state.g_stats}
        expression = jax.nn.one_hot(label, 3)
        faces.append(draw(variables, to_float(onset), noise, expression, intensity=intensity))
    session = onnxruntime.InferenceSession(exported / "generator.onnx", providers=["CPUExecutionProvider"])
    inputs = {"onset": onset, "noise": noise, "label": label, "intensity": intensity}
    (face,) = session.run(["face"], inputs)
    np.testing.assert_allclose(face, np.mean(faces, axis=0), atol=1e-4)
    assert np.abs(face - to_float(onset)).max() > 1e-3


def test_without_jax2onnx(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "jax2onnx", None)
        options = [f"--workdir={run_dir}", f"--out={tmp_path / 'out'}", "--only=recognizer", "--fold=tiny_s0", "--onnx"]
        assert export.main(options) == 2
    assert capsys.readouterr().err == "error: --onnx needs jax2onnx; install it with: uv sync --extra onnx\n"
    assert not list(tmp_path.iterdir())


def test_what_lies_beside_them(exported: Path) -> None:
    about = json.loads((exported / "model.json").read_text())
    assert about["classes"] == ["negative", "positive", "surprise"] and about["image_size"] == 32
    assert about["folds"] == ["tiny_s0", "tiny_s1", "tiny_s2"] and about["input"] == "pair"
    for entry in about["programs"].values():
        assert hashlib.sha256((exported / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
    assert "Apache License" in (exported / "flatbuffers" / "LICENSE").read_text()
    tree = ast.parse((exported / "load.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= CARRIED


def test_the_loader_answers_by_itself(run_dir: Path, exported: Path, tmp_path: Path) -> None:
    pairs = load_pairs(run_dir.parent / "data")
    np.save(tmp_path / "onset.npy", pairs.onset[0])
    np.save(tmp_path / "apex.npy", pairs.apex[0])
    command = [sys.executable, str(exported / "load.py"), "onset.npy", "apex.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    header, row = done.stdout.splitlines()
    assert header == "answer,negative,positive,surprise"
    expected = recognize_crops(pairs.onset[0], pairs.apex[0], load_ensemble(run_dir, generator=False))
    answer, *lengths = row.split(",")
    np.testing.assert_allclose([float(cell) for cell in lengths], expected.lengths, atol=1e-5)
    assert answer == expected.label


@pytest.mark.parametrize(("threshold", "answer"), [(None, "b"), (0.5, "b"), (0.6, "no expression")])
def test_the_loader_answers_by_the_threshold(
    loader: ModuleType, tmp_path: Path, threshold: float | None, answer: str
) -> None:
    content = {"classes": ["a", "b"], "threshold": threshold, "no_expression": "no expression"}
    (tmp_path / "model.json").write_text(json.dumps(content))
    assert loader.answers(tmp_path, np.array([[0.2, 0.6]])) == [answer]


def test_wrong_arrays_are_refused(loader: ModuleType, exported: Path) -> None:
    programs = loader.load(exported)
    faces = np.zeros((2, 32, 32), np.uint8)

    def refused(program: str, message: str, *arrays: object) -> None:
        with pytest.raises((TypeError, ValueError), match=message):
            programs[program](*arrays)

    refused("recognizer", "apex: dtype float64; give gray levels as uint8, from 0 to 255", faces, faces / 255)
    refused("recognizer", "onset: dtype uint16; give", faces.astype(np.uint16), faces)
    refused(
        "recognizer", r"onset: shape \(2, 32, 32, 3\); give gray faces \[b, 32, 32\]", np.stack([faces] * 3, -1), faces
    )
    refused("recognizer", r"apex: shape \(2, 64, 64\); give", faces, np.zeros((2, 64, 64), np.uint8))
    refused("recognizer", "1 arrays; give 2: onset, apex", faces)
    refused("recognizer", r"lengths differ \(onset 2, apex 1\)", faces, faces[:1])
    refused("generator", "label: values from 0 to 3; give 0 to 2", faces, [0, 3], [0, 0], [1.0, 1.0])
    refused("generator", "label: dtype float64; give int32", faces, [0.5, 1.0], [0, 0], [1.0, 1.0])
    refused("generator", "intensity: values from nan to nan; give 0 to 2", faces, [0, 1], [0, 0], [np.nan, 1.0])
    refused("generator", r"draw: shape \(\); give one number per face", faces, [0, 1], 0, [1.0, 1.0])


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ((), "error: give two faces: python load.py onset.npy apex.npy\n"),
        (("face.png", "face.png"), "error: face.png: no .npy file; save the cropped face with numpy.save\n"),
        (("empty.npy", "empty.npy"), "error: empty.npy: no .npy file;"),
        (("two.npz", "two.npz"), "error: two.npz: no .npy file;"),
        (("gone.npy", "gone.npy"), "error: gone.npy: cannot be read (No such file or directory); correct the path\n"),
        (("rgb.npy", "rgb.npy"), "error: onset: shape (32, 32, 3); give gray faces [b, 32, 32], cropped as model.json"),
    ],
)
def test_the_loader_names_what_is_wrong(exported: Path, tmp_path: Path, paths: tuple[str, ...], message: str) -> None:
    (tmp_path / "face.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "empty.npy").touch()
    np.savez(tmp_path / "two.npz", np.zeros((32, 32), np.uint8))
    np.save(tmp_path / "rgb.npy", np.zeros((32, 32, 3), np.uint8))
    command = [sys.executable, str(exported / "load.py"), *paths]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith(message) and done.stderr.count("\n") == 1


def test_one_program_of_one_fold(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = [f"--workdir={run_dir}", f"--out={out}", "--only=recognizer", "--fold=tiny_s1"]
    assert export.main(options) == 0
    assert not (out / "generator.jax").exists() and (out / "recognizer.jax").is_file()
    assert "mean over 1 fold\n" in capsys.readouterr().out
