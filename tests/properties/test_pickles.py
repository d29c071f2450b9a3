"""The one module that unpickles, for the weights of a package, loads arrays only."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from icegan_jax.models.perceptual import ArrayUnpickler


@pytest.mark.parametrize("name", ["os system", "builtins eval", "numpy load", "copyreg _reconstructor"])
def test_other_names_are_not_allowed(tmp_path: Path, name: str) -> None:
    path, (module, function) = tmp_path / "ran", name.split()
    (tmp_path / "weights").write_bytes(f"c{module}\n{function}\n(S'touch {path}'\ntR.".encode())
    with (tmp_path / "weights").open("rb") as stream, pytest.raises(pickle.UnpicklingError, match="is not allowed"):
        ArrayUnpickler(stream).load()
    assert not path.exists()


def test_an_array_of_objects_in_an_npz_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([{"a": 1}], object))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as content, pytest.raises(ValueError, match="allow_pickle"):
        content["a"]
