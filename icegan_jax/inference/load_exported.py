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
from typing import Any

sys.path.append(str(Path(__file__).parent))  # jax.export needs flatbuffers, which is in this folder

import jax  # noqa: E402
import jax.export  # noqa: E402
import numpy as np  # noqa: E402


def load(folder: str | Path) -> dict[str, Callable[..., np.ndarray]]:
    """Return the programs of the folder by name, each a function of numpy arrays.

    A program raises a TypeError for an array of another dtype, and a ValueError for another shape or range.
    """
    folder = Path(folder)
    metadata = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    programs = {}
    for name, entry in metadata["programs"].items():
        data = bytearray((folder / entry["file"]).read_bytes())
        programs[name] = _program(jax.export.deserialize(data), entry["inputs"], metadata)
    return programs


def answers(folder: str | Path, lengths: np.ndarray) -> list[str]:
    """Return the class of the longest capsule of each row, or "no expression" where none exceeds the threshold."""
    metadata = json.loads((Path(folder) / "model.json").read_text(encoding="utf-8"))
    threshold = -1.0 if metadata["threshold"] is None else metadata["threshold"]
    return [
        metadata["classes"][int(np.argmax(row))] if row.max() > threshold else metadata["no_expression"]
        for row in lengths
    ]


def _program(
    exported: jax.export.Exported, inputs: dict[str, str], metadata: dict[str, Any]
) -> Callable[..., np.ndarray]:
    call = jax.jit(exported.call)
    ranges = {"label": (0, len(metadata["classes"]) - 1), "draw": (0, 2**31 - 1), "intensity": (0, 2)}

    def program(*arrays: np.ndarray) -> np.ndarray:
        if len(arrays) != len(inputs):
            raise TypeError(f"{len(arrays)} arrays; give {len(inputs)}: {', '.join(inputs)}")
        checked = [
            _check_faces(name, np.asarray(array), metadata["image_size"])
            if dtype == "uint8"
            else _check_numbers(name, np.asarray(array), dtype, *ranges[name])
            for array, (name, dtype) in zip(arrays, inputs.items(), strict=True)
        ]
        if len({len(array) for array in checked}) > 1:
            lengths = ", ".join(f"{name} {len(array)}" for array, name in zip(checked, inputs, strict=True))
            raise ValueError(f"lengths differ ({lengths}); give a row of each per face")
        return np.asarray(call(*checked))

    return program


def _check_faces(name: str, faces: np.ndarray, n: int) -> np.ndarray:
    if faces.dtype != np.uint8:
        raise TypeError(f"{name}: dtype {faces.dtype}; give gray levels as uint8, from 0 to 255")
    if faces.ndim != 3 or faces.shape[1:] != (n, n):
        raise ValueError(f"{name}: shape {faces.shape}; give gray faces [b, {n}, {n}], cropped as model.json describes")
    return faces


def _check_numbers(name: str, values: np.ndarray, dtype: str, low: int, high: int) -> np.ndarray:
    if values.dtype.kind not in ("iu" if dtype == "int32" else "iuf"):
        raise TypeError(f"{name}: dtype {values.dtype}; give {dtype}")
    if values.ndim != 1:
        raise ValueError(f"{name}: shape {values.shape}; give one number per face: [b]")
    if not ((values >= low) & (values <= high)).all():  # NaN is refused, too
        raise ValueError(f"{name}: values from {values.min()} to {values.max()}; give {low} to {high}")
    return values.astype(dtype)


def _load_face(path: str) -> np.ndarray:
    try:
        face = np.load(path, allow_pickle=False)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); correct the path") from None
    except (ValueError, EOFError):  # EOFError: an empty file
        face = None
    if not isinstance(face, np.ndarray):  # numpy.load reads an .npz file, too
        raise ValueError(f"{path}: no .npy file; save the cropped face with numpy.save")
    return face[None] if face.ndim == 2 else face


def main() -> None:
    """Print the answers and capsule lengths of two .npy files with faces uint8[n, n] or uint8[b, n, n]."""
    folder = Path(__file__).parent
    metadata = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    onset, apex = (_load_face(path) for path in sys.argv[1:])
    lengths = load(folder)["recognizer"](onset, apex)
    for sentence in metadata["cautions"]:
        print(f"caution: {sentence}", file=sys.stderr)
    print(",".join(("answer", *metadata["classes"])))
    for answer, row in zip(answers(folder, lengths), lengths, strict=True):
        print(",".join((answer, *(f"{length:.6f}" for length in row))))


def run() -> int:
    """Run the command; return its exit code: 2 for wrong arguments, named in one line on stderr."""
    try:
        if len(sys.argv) != 3:
            raise ValueError("give two faces: python load.py onset.npy apex.npy")
        main()
    except (TypeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(run())
