"""Golden digests: proof that a change of the program changed no number.

    python -m tests.golden --faces=FACES            # compute the digests and compare them with digests.json
    python -m tests.golden --faces=FACES --write    # renew digests.json

The module runs the commands of the program on the CPU, as a user does, and computes digests of the files that the
commands write. The module imports nothing of icegan_jax, so that every module there may be renamed or moved. FACES
holds micro/clips.csv and still/clips.csv; without FACES these two digests are skipped. The exit code is 0 if all
digests are equal, else 1. Digests are equal only on the same kind of machine with the same packages, see
docs/determinism.md.
"""

import argparse
import csv
import hashlib
import html
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from PIL import Image

ROOT = Path(__file__).parents[2]
STORED = Path(__file__).with_name("digests.json")
PARTS = ("loso", "prepare", "predict", "report")

_NETWORKS = ("d_params", "g_params")  # of a checkpoint's state; its other fields may be renamed
_LOSO = {
    "data.procedural.subjects": 3,
    "data.procedural.clips_per_class": 1,
    "training.steps": 4,
    "training.steps_per_call": 2,
    "training.checkpoint_every": 2,
}
_DEMO = {"seed": 0, "subjects": 8, "clips_per_class": 2, "frames": 15}  # what configs/demo.py draws
_VARYING = {"timing", "versions", "seconds_spent", "frames_per_second"}  # keys of results and predictions

# Parts of the text of a report that vary from run to run, or from one version of the program to the next.
_MASKS = (
    (r"\b[0-9a-f]{32}\b", "ID"),  # of the run; the data's fingerprint has 64 digits, and stays
    (r"commit [0-9a-f]{12}\b", "commit COMMIT"),
    (r"\b\d+\.\d+\.\d+[\w.+]*", "VERSION"),
    (r"(?m)^(.+ s)\n[\d.]+$", r"\1\nSPEED"),  # wall s, compile s, steps per s, faces per s
    (r"(?m)^machine\n.+$", "machine\nMACHINE"),
    (r"\b\d{4}-\d\d-\d\d\b", "DATE"),
    (r"\b\d\d?:\d\d(:\d\d)?\b", "TIME"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Compute the digests, then compare them with the stored ones, or store them; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="renew digests.json; what was not computed stays there")
    parser.add_argument("--faces", type=Path, metavar="DIR", help="holds micro/clips.csv and still/clips.csv")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="new folder that keeps all files, and report.txt")
    parser.add_argument("--only", default=",".join(PARTS), metavar="PARTS", help="some of %(default)s")
    args = parser.parse_args(argv)
    parts = set(args.only.split(","))
    if parts - set(PARTS):
        parser.error(f"--only={args.only}: give some of {','.join(PARTS)}")
    if args.keep and args.keep.exists() and any(args.keep.iterdir()):
        parser.error(f"--keep={args.keep} holds files, and an earlier run would not be computed again")
    with tempfile.TemporaryDirectory() as temporary:
        digests = _compute(Path(args.keep or temporary).resolve(), parts, args.faces)
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {"machine": {}, "digests": {}}
    for name in sorted(stored["digests"].keys() - digests):
        print(f"skipped {name}")
    if not args.write:
        return _compare(digests, stored)
    renewed = {"machine": _machine(), "digests": dict(sorted({**stored["digests"], **digests}.items()))}
    STORED.write_text(json.dumps(renewed, indent=2) + "\n", encoding="utf-8")
    for name, digest in digests.items():
        print(f"written {name} {digest[:12]}")
    return 0


def _compute(folder: Path, parts: set[str], faces: Path | None) -> dict[str, str]:
    """Run the commands of the parts with their output in the folder, and return a digest for each name."""
    digests: dict[str, str] = {}
    if parts & {"loso", "predict", "report"}:
        digests |= _loso(folder)
    if "predict" in parts:
        digests |= _predict(folder)
    if "report" in parts:
        digests |= _report(folder)
    if "prepare" in parts:
        digests |= _prepare(folder, faces)
    return digests


def _loso(folder: Path) -> dict[str, str]:
    """Train a few steps on procedural faces; digest the predictions, the networks of all folds and the faces."""
    run = folder / "run"
    _command("main", "--config=configs/demo.py", f"--workdir={run}", *(f"--config.{k}={v}" for k, v in _LOSO.items()))
    networks = hashlib.sha256()
    for fold in sorted((run / "folds").iterdir()):
        last = max((fold / "checkpoints").iterdir(), key=lambda step: int(step.name))
        with ocp.PyTreeCheckpointer() as checkpointer:
            state = checkpointer.restore(last / "state")
        leaves = jax.tree_util.tree_leaves_with_path({name: state[name] for name in _NETWORKS})
        for path, array in sorted((jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in leaves):
            networks.update(f"{fold.name} {path} {array.dtype} {array.shape}\n".encode())
            networks.update(array.tobytes())
    return {
        "loso_predictions": _sha256((run / "predictions.csv").read_bytes()),
        "loso_parameters": networks.hexdigest(),
        "demo_pixels": _fingerprint(run / "data"),
    }


def _predict(folder: Path) -> dict[str, str]:
    """Recognize the first procedural clip with the networks of the run, and synthesize surprise from the onset."""
    raw, answers, face = folder / "run/data/raw", folder / "answers", folder / "face.png"
    with (raw / "clips.csv").open(encoding="utf-8", newline="") as file:
        clip = next(csv.DictReader(file))
    frames = raw / clip["frames"]
    _command("predict", f"--workdir={folder / 'run'}", f"--input={frames}", f"--out={answers}")
    onset = frames / f"img{clip['onset']}.png"
    _command("synthesize", f"--workdir={folder / 'run'}", f"--input={onset}", "--expression=surprise", f"--out={face}")
    table = (answers / "predictions.csv").read_text(encoding="utf-8").replace(str(folder), "FOLDER")
    with Image.open(face) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    return {
        "predict_csv": _sha256(table.encode()),
        "predict_numbers": _digest_numbers(answers / "predictions.json"),
        "synthesize_pixels": _sha256(f"{pixels.shape}\n".encode() + pixels.tobytes()),
    }


def _report(folder: Path) -> dict[str, str]:
    """Write the report of the run again; digest the visible text of the report, and the numbers of the results."""
    _command("report", str(folder / "run"))
    text = (folder / "run/report/index.html").read_text(encoding="utf-8")
    text = re.sub(r"(?s)<(script|style)\b.*?</\1>", "", text)
    text = html.unescape(re.sub(r"<[^>]*>", "\n", text))  # pictures are attributes of tags
    text = re.sub(r"\s*\n\s*", "\n", text).replace(str(folder), "FOLDER")
    for pattern, mask in _MASKS:
        text = re.sub(pattern, mask, text)
    (folder / "report.txt").write_text(text, encoding="utf-8")
    return {
        "report_text": _sha256(text.encode()),
        "report_numbers": _digest_numbers(folder / "run/results.json"),
    }


def _prepare(folder: Path, faces: Path | None) -> dict[str, str]:
    """Prepare the procedural faces of the demo and, if given, the recorded faces; return the fingerprints."""
    demo = folder / "demo"
    _command("prepare", "--source=procedural", f"--out={demo}", *(f"--{k}={v}" for k, v in _DEMO.items()))
    digests = {"demo_fingerprint": _fingerprint(demo)}
    for name in ("micro", "still"):
        if faces is None:
            print(f"prepare_{name} needs --faces: not computed")
            continue
        raw, out = (faces / name / "clips.csv").resolve(), folder / name
        _command("prepare", "--source=clips", f"--raw={raw}", f"--out={out}")
        digests[f"prepare_{name}"] = _fingerprint(out)[:12]
    return digests


def _command(name: str, *options: str) -> None:
    """Run a command of the program on the CPU, and print its duration; exit with its messages if the command fails."""
    start = time.perf_counter()
    command = [sys.executable, "-m", f"icegan_jax.{name}", *options]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nended with exit code {done.returncode}:\n{done.stderr[-4000:]}")
    print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)


def _compare(digests: dict[str, str], stored: dict[str, dict[str, str]]) -> int:
    """Print a line for each digest; return 0 where all are equal to the stored ones, else 1."""
    different = False
    for name, digest in digests.items():
        before = stored["digests"].get(name, "nothing")
        different |= digest != before
        print(f"equal {name} {digest[:12]}" if digest == before else f"DIFFERENT {name} stored {before} now {digest}")
    for key, now in _machine().items():
        before = stored["machine"].get(key, "nothing")
        if now != before:
            print(f"note: {key} is {now}, the digests were written with {before}: floats may differ")
    return int(different)


def _machine() -> dict[str, str]:
    """Return the properties of the machine and the versions on which floating-point numbers depend."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return {
        "cpu": cpu[1] if cpu else platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        "jax": version("jax"),
    }


def _fingerprint(prepared: Path) -> str:
    """Return the SHA-256 of all pixels, labels and names of a prepared folder, from its prepared.json."""
    return json.loads((prepared / "prepared.json").read_text(encoding="utf-8"))["fingerprint"]


def _digest_numbers(file: Path) -> str:
    """Digest all numbers of a JSON file that do not vary from run to run, each with the path of its keys."""
    numbers = _numbers(json.loads(file.read_text(encoding="utf-8")))
    return _sha256("\n".join(sorted(numbers)).encode())


def _numbers(value: Any, place: str = "") -> Iterator[str]:
    """Yield each number in a value of a JSON file, after the path of its keys, except those of ``_VARYING`` keys."""
    if isinstance(value, dict | list):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in _VARYING:
                yield from _numbers(below, f"{place}/{key}")
    elif isinstance(value, int | float):
        yield f"{place} {value!r}"


def _sha256(data: bytes) -> str:
    """Return the SHA-256 of the bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
