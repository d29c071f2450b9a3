"""Take a run's networks away, as files that need jax and numpy alone.

python -m icegan_jax.export --workdir=RUN --out=DIR
"""

import argparse
import hashlib
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata, resources, util
from pathlib import Path
from typing import Any

from icegan_jax.cli import ArgumentParser, add_run_options, run_command
from icegan_jax.compilation_cache import enable_compilation_cache
from icegan_jax.inference.ensemble import Ensemble, has_generator, load_ensemble
from icegan_jax.inference.exporting.stablehlo import PLATFORMS, export_generator, export_recognizer
from icegan_jax.io import atomic_dir, check_output_dir, write_bytes, write_json

CONTENT = "model.json"
_RECOGNIZER = ("uint8", "uint8")
_GENERATOR = ("uint8", "int32", "int32", "float32")
_FACES = (
    "Grey faces uint8[b, n, n]. onset: the neutral face, cropped by the box of its 68 landmarks with a margin of a "
    "tenth of its width. apex: the same box of the apex frame, moved onto the onset (rigid, sub-pixel) and scaled to "
    "its mean brightness. Both resized to n x n. What follows is in the programs: v / 127.5 - 1."
)

EPILOG = """\
what is written to DIR:
  recognizer.jax     (onset, apex) to the length of each class's capsule; parameters and normalization are inside
  generator.jax      (onset, class, noise draw, intensity) to faces; not of a run without generator
  *.onnx             with --onnx, of each: one face at a time; inputs are named onset, apex, noise, label, intensity
  model.json         classes, size, what the faces must look like, which networks, checksums
  load.py            loads them; python DIR/load.py onset.npy apex.npy answers
  flatbuffers/       the package (Apache-2.0) that jax.export reads its files with, so that jax and numpy suffice

The files are StableHLO for CPU and CUDA, any number of faces at a time, mean over the folds chosen. A file of jax
0.10 loads in later ones (JAX promises six months).

examples:
  python -m icegan_jax.export --workdir=RUN --out=exported
  python -m icegan_jax.export --workdir=RUN --fold=casme2_sub01 --only=recognizer --out=exported
"""


def make_parser() -> ArgumentParser:
    """The command's arguments."""
    parser = ArgumentParser(
        prog="python -m icegan_jax.export", description=(__doc__ or "").splitlines()[0], epilog=EPILOG
    )
    add_run_options(parser)
    group = parser.add_argument_group("what to write and where")
    group.add_argument(
        "--out", required=True, metavar="DIR", help="folder to make; an earlier export there is replaced"
    )
    group.add_argument("--onnx", action="store_true", help="ONNX files as well (needs the extra onnx: jax2onnx)")
    group.add_argument("--only", choices=("recognizer", "generator"), help="one of the two (default: both)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code, see --help."""
    return run_command(lambda: _run(make_parser().parse_args(argv)))


def _run(args: argparse.Namespace) -> None:
    check_output_dir(args.out, CONTENT, "export")
    enable_compilation_cache(args.compilation_cache)
    wanted = [args.only] if args.only else ["recognizer", "generator"]
    if args.only is None and not has_generator(args.workdir):
        wanted.remove("generator")
    with atomic_dir(args.out, CONTENT, "export") as folder:
        programs: dict[str, Any] = {}
        for name in wanted:
            drawn = name == "generator"
            model = load_ensemble(args.workdir, generator=drawn, fold=args.fold, exclude_subject=args.exclude_subject)
            data = export_generator(model) if drawn else export_recognizer(model)
            programs[name] = _write(folder, name, data, _GENERATOR if drawn else _RECOGNIZER)
            if args.onnx:
                from icegan_jax.inference.exporting import onnx  # takes a second

                write_bytes(
                    folder / f"{name}.onnx", onnx.onnx_generator(model) if drawn else onnx.onnx_recognizer(model)
                )
            folds = f"{len(model.folds)} fold{'s' * (len(model.folds) > 1)}"
            print(f"{name}: {len(data) / 2**20:.1f} MiB, mean over {folds}")
        write_bytes(
            folder / "load.py", resources.files("icegan_jax.inference.exporting").joinpath("load.py").read_bytes()
        )
        _copy_flatbuffers(folder)
        write_json(folder / CONTENT, _about(model, programs))
    print(f"exported: {args.out}")


def _write(folder: Path, name: str, data: bytes, dtypes: Sequence[str]) -> dict[str, Any]:
    file = f"{name}.jax"
    write_bytes(folder / file, data)
    return {"file": file, "dtypes": list(dtypes), "sha256": hashlib.sha256(data).hexdigest()}


def _about(model: Ensemble, programs: dict[str, Any]) -> dict[str, Any]:
    return {
        "classes": list(model.classes),
        "image_size": model.image_size,
        "input": model.models.recognition_input,
        "faces": _FACES,
        "synthetic": "faces of the generator are synthetic: mark them as such where they are shown",
        "run": str(model.run_dir.resolve().name),
        "run_id": model.run_id,
        "folds": [fold.name for fold in model.folds],
        "steps": sorted({fold.step for fold in model.folds}),
        "platforms": list(PLATFORMS),
        "versions": {name: metadata.version(name) for name in ("icegan-jax", "jax", "flax", "numpy")},
        "programs": programs,
    }


def _copy_flatbuffers(folder: Path) -> None:
    """Copies the installed package with its licence, which is this project's too and which its wheel leaves out."""
    found = util.find_spec("flatbuffers")
    assert found is not None and found.origin is not None  # a dependency of ours
    shutil.copytree(Path(found.origin).parent, folder / "flatbuffers", ignore=shutil.ignore_patterns("__pycache__"))
    licences = [file for file in metadata.files("icegan-jax") or [] if file.name == "LICENSE"]
    for file in licences:
        shutil.copy(str(file.locate()), folder / "flatbuffers" / "LICENSE")


if __name__ == "__main__":
    sys.exit(main())
