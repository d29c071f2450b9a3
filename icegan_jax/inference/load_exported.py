"""Load the exported networks in this folder. This file needs jax and numpy, and nothing of icegan_jax.

    python load.py onset.npy apex.npy       prints the answer and the capsule length of each class

    from load import load
    model = load("DIR")
    lengths = model["recognizer"](onset, apex)                        # two uint8[b, n, n] -> float32[b, k]
    names = answers("DIR", lengths)                                   # -> a class each, or "no expression"
    faces = model["generator"](onset, label, draw, intensity)         # -> uint8[b, n, n]

onset, apex: gray faces, uint8, cropped and registered as model.json describes
label: int32[b], indices into the classes of model.json
draw: int32[b], the number of the noise vector
intensity: float32[b]; 0 is the onset, 1 the apex
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # jax.export needs flatbuffers, which is in this folder

import jax  # noqa: E402
import jax.export  # noqa: E402
import numpy as np  # noqa: E402


def load(folder: str | Path) -> dict[str, Callable[..., np.ndarray]]:
    """Return the programs of the folder by name, each a function of numpy arrays."""
    folder = Path(folder)
    metadata = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    programs = {}
    for name, entry in metadata["programs"].items():
        data = bytearray((folder / entry["file"]).read_bytes())
        programs[name] = _program(jax.export.deserialize(data), [np.dtype(kind) for kind in entry["dtypes"]])
    return programs


def answers(folder: str | Path, lengths: np.ndarray) -> list[str]:
    """Return the class of the longest capsule of each row, or "no expression" where none exceeds the threshold."""
    metadata = json.loads((Path(folder) / "model.json").read_text(encoding="utf-8"))
    threshold = -1.0 if metadata["threshold"] is None else metadata["threshold"]
    return [
        metadata["classes"][int(np.argmax(row))] if row.max() > threshold else metadata["no_expression"]
        for row in lengths
    ]


def _program(exported: jax.export.Exported, dtypes: list[np.dtype]) -> Callable[..., np.ndarray]:
    call = jax.jit(exported.call)

    def program(*arrays: np.ndarray) -> np.ndarray:
        return np.asarray(call(*(np.asarray(array, dtype) for array, dtype in zip(arrays, dtypes, strict=True))))

    return program


def main() -> None:
    """Print the answers and capsule lengths of two .npy files with faces uint8[n, n] or uint8[b, n, n]."""
    folder = Path(__file__).parent
    metadata = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    for sentence in metadata["cautions"]:
        print(f"caution: {sentence}", file=sys.stderr)
    onset, apex = (np.load(path, allow_pickle=False) for path in sys.argv[1:3])
    if onset.ndim == 2:
        onset, apex = onset[None], apex[None]
    lengths = load(folder)["recognizer"](onset, apex)
    print(",".join(("answer", *metadata["classes"])))
    for answer, row in zip(answers(folder, lengths), lengths, strict=True):
        print(",".join((answer, *(f"{length:.6f}" for length in row))))


if __name__ == "__main__":
    main()
