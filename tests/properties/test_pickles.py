"""No file that the program reads can run code: one module unpickles, and only arrays."""

import ast
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from icegan_jax.models.perceptual import ArrayUnpickler

ROOT = Path(__file__).parents[2]
FILES = sorted(path for part in ("icegan_jax", "experiments", "benchmarks") for path in (ROOT / part).rglob("*.py"))
OWNER = "icegan_jax/models/perceptual.py"
# Modules that unpickle, or run what a file holds.
UNPICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "h5py"}
RUNNERS = {"eval", "exec", "compile", "execfile", "__import__"}
CONFIGS = "icegan_jax/config.py"  # runs the config file that the user names


def calls(tree: ast.AST) -> Iterator[tuple[str, str, ast.Call]]:
    """Yield (object, name, call) of each call: ("np", "load", ...), ("", "eval", ...)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield ast.unparse(node.func.value), node.func.attr, node
            elif isinstance(node.func, ast.Name):
                yield "", node.func.id, node


def violations(place: str, source: str) -> list[str]:
    """Return the parts of a source file that could run code from another file."""
    tree = ast.parse(source)
    imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    imported += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    result = [name for name in imported if name.split(".")[0] in UNPICKLERS and place != OWNER]
    for on, name, call in calls(tree):
        if on in ("np", "numpy", "jnp", "jax.numpy") and name == "load":
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            if given.get("allow_pickle", "False") != "False" or None in given or len(call.args) > 2:
                result.append(f"{on}.{name} may unpickle")
        if on in ("torch", "joblib", "pickle") and name in ("load", "loads"):
            result.append(f"{on}.{name}")
        if on == "" and name in RUNNERS and place != CONFIGS:
            result.append(name)
        if name in ("read_pickle", "read_hdf"):  # of pandas
            result.append(f"{on}.{name}")
        if on == "yaml" and name in ("load", "full_load", "unsafe_load"):
            result.append(f"{on}.{name}")
    return result


def test_no_file_unpickles() -> None:
    assert len(FILES) > 100
    for file in FILES:
        place = file.relative_to(ROOT).as_posix()
        assert violations(place, file.read_text()) == [], place


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import load",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, None, True)",
        "import numpy as np\nnp.load(path, **options)",
        "import torch\ntorch.load(path)",
        "import joblib",
        "eval(text)",
        "exec(text)",
        "yaml.load(text)",
    ],
)
def test_an_unpickling_file_is_found(source: str) -> None:
    assert violations("icegan_jax/new.py", source)
    assert not violations("icegan_jax/new.py", "import numpy as np\nnp.load(path)\nnp.load(path, allow_pickle=False)")


def test_the_unpickler_allows_arrays_only() -> None:
    tree = ast.parse((ROOT / OWNER).read_text())
    used = [ast.unparse(call) for on, name, call in calls(tree) if on == "pickle" or "Unpickler" in name]
    assert used and all(call.startswith(("ArrayUnpickler(", "pickle.UnpicklingError(")) for call in used), used
    assert set(ArrayUnpickler._ALLOWED) == {
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
    }


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "name", ["os system", "builtins eval", "subprocess Popen", "numpy load", "copyreg _reconstructor"]
)
def test_other_names_are_not_allowed(tmp_path: Path, protocol: int, name: str) -> None:
    path, (module, function) = tmp_path / "ran", name.split()
    payload = f"c{module}\n{function}\n(S'touch {path}'\ntR.".encode()
    (tmp_path / "weights").write_bytes((b"\x80" + bytes([protocol]) if protocol > 1 else b"") + payload)
    with (tmp_path / "weights").open("rb") as stream, pytest.raises(pickle.UnpicklingError, match="is not allowed"):
        ArrayUnpickler(stream).load()
    assert not path.exists()


def test_an_array_of_objects_in_an_npz_is_refused(tmp_path: Path) -> None:
    """allow_pickle=False is also the default of numpy."""
    np.savez(tmp_path / "a.npz", a=np.array([{"a": 1}], object))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as content, pytest.raises(ValueError, match="allow_pickle"):
        content["a"]
