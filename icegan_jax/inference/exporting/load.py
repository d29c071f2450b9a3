"""Loads what `python -m icegan_jax.export` wrote beside this file. Needs jax and numpy, and nothing of icegan_jax.

    python load.py onset.npy apex.npy       prints the length of each class's capsule

    from load import load
    model = load("DIR")
    lengths = model["recognizer"](onset, apex)                        # uint8[b, n, n] twice -> float32[b, k]
    faces = model["generator"](onset, label, draw, intensity)         # -> uint8[b, n, n]

onset, apex: grey faces, uint8, cropped and registered as model.json says. label: int32[b], an index into the classes of
model.json. draw: int32[b], which noise. intensity: float32[b], 0 the onset, 1 the apex.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # flatbuffers, which jax.export reads its files with, lies here too

import jax  # noqa: E402
import jax.export  # noqa: E402
import numpy as np  # noqa: E402


def load(folder: str | Path) -> dict[str, Callable[..., np.ndarray]]:
    """The programs in the folder by name, each a function of numpy arrays."""
    folder = Path(folder)
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    programs = {}
    for name, entry in about["programs"].items():
        data = bytearray((folder / entry["file"]).read_bytes())
        programs[name] = _program(jax.export.deserialize(data), [np.dtype(kind) for kind in entry["dtypes"]])
    return programs


def _program(exported: jax.export.Exported, dtypes: list[np.dtype]) -> Callable[..., np.ndarray]:
    call = jax.jit(exported.call)

    def program(*arrays: np.ndarray) -> np.ndarray:
        return np.asarray(call(*(np.asarray(array, dtype) for array, dtype in zip(arrays, dtypes, strict=True))))

    return program


def main() -> None:
    """Prints the capsule lengths of two .npy files with faces uint8[n, n] or uint8[b, n, n]."""
    folder = Path(__file__).parent
    classes = json.loads((folder / "model.json").read_text(encoding="utf-8"))["classes"]
    onset, apex = (np.load(path, allow_pickle=False) for path in sys.argv[1:3])
    if onset.ndim == 2:
        onset, apex = onset[None], apex[None]
    print(",".join(classes))
    for row in load(folder)["recognizer"](onset, apex):
        print(",".join(f"{length:.6f}" for length in row))


if __name__ == "__main__":
    main()
