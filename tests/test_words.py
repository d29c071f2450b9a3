"""Names in the code are words of machine learning and of this field; words that only this project used stay out."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("icegan_jax", "experiments", "benchmarks", "tests")

# Each word was once a name here that nobody could guess; the comment gives the standard word.
PRIVATE_WORDS = {
    "claim": "provenance",
    "conclude": "finalize",
    "meeting": "distributed",
    "sign_of_life": "status",
    "doctor": "check",
    "telling": "messages",
    "placement": "resolve_frames",
    "locating": "discover",
    "sighting": "FaceDetection",
    "look_at": "inspect",
    "verdict": "DiscriminatorOutput",
    "realness": "real_prob",
    "learn_alone": "classifier_gradients",
    "wish": "cotangent",
    "cost_network": "PerceptualNetwork",
    "in_turn": "loop_folds",
    "at_once": "vmap_folds",
    "recognise": "recognize",
    "synthesise": "synthesize",
    "painter": "Renderer",
    "footage": "FrameSource",
    "sealed": "with_checksum",
    "told": "message",
    "said": "message",
}


def names(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module defines: functions, classes, arguments and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def words(name: str) -> str:
    """Return a name as lower-case words between underscores: ``FaceCrops`` becomes ``_face_crops_``."""
    return f"_{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', name).lower().strip('_')}_"


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_name_is_a_private_word(folder: str) -> None:
    wrong = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        defined = {path.stem, *names(ast.parse(path.read_text()))}
        for name in sorted(defined):
            for word, standard in PRIVATE_WORDS.items():
                if f"_{word}_" in words(name):
                    wrong.append(f"{path.relative_to(ROOT)}: {name} (say {standard})")
    assert not wrong, "\n".join(wrong)


def test_the_words_of_a_name() -> None:
    assert words("FaceCrops") == "_face_crops_" and words("_SIGN_OF_LIFE") == "_sign_of_life_"
