"""Export the networks of a run to files that need only jax and numpy.

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
from icegan_jax.errors import UserError
from icegan_jax.evaluation.calibration import NO_EXPRESSION
from icegan_jax.inference.ensemble import Ensemble, has_generator, load_ensemble
from icegan_jax.inference.exporting import (
    PLATFORMS,
    export_generator,
    export_recognizer,
    onnx_generator,
    onnx_recognizer,
)
from icegan_jax.io import atomic_dir, check_output_dir, write_bytes, write_json

CONTENT_FILE = "model.json"
_INPUTS = {  # names and dtypes, in their order
    "recognizer": {"onset": "uint8", "apex": "uint8"},
    "generator": {"onset": "uint8", "label": "int32", "draw": "int32", "intensity": "float32"},
}
_FACES = (
    "Gray faces uint8[b, n, n]. onset: the neutral face, cropped by the box of its 68 landmarks with a margin of a "
    "tenth of its width. apex: the same box of the apex frame, moved onto the onset (rigid, sub-pixel) and scaled to "
    "its mean brightness. Both resized to n x n. What follows is in the programs: v / 127.5 - 1."
)

EPILOG = """\
what is written to DIR:
  recognizer.jax     maps (onset, apex) to the capsule length of each class; parameters and normalization included
  generator.jax      maps (onset, class, noise draw, intensity) to faces; not for a run without a generator
  *.onnx             with --onnx, of each; for one face at a time; the inputs are onset, apex, noise, label, intensity
  model.json         classes, threshold of "no expression", image size, how faces must be cropped, folds, checksums
  load.py            loads them; python DIR/load.py onset.npy apex.npy prints a prediction
  flatbuffers/       the package (Apache-2.0) with which jax.export reads its files, so that jax and numpy suffice

The .jax files are StableHLO for CPU and CUDA, for any number of faces at a time, and average the chosen folds. A file
written by jax 0.10 loads in later versions (JAX promises six months).

examples:
  python -m icegan_jax.export --workdir=RUN --out=exported
  python -m icegan_jax.export --workdir=RUN --fold=casme2_sub01 --only=recognizer --out=exported
"""


def make_parser() -> ArgumentParser:
    """Return the parser of the command."""
    parser = ArgumentParser(
        prog="python -m icegan_jax.export", description=(__doc__ or "").splitlines()[0], epilog=EPILOG
    )
    add_run_options(parser)
    group = parser.add_argument_group("output")
    text = "the folder to make; an earlier export there is replaced"
    group.add_argument("--out", required=True, metavar="DIR", help=text)
    group.add_argument("--onnx", action="store_true", help="ONNX files as well (needs the extra onnx: jax2onnx)")
    group.add_argument("--only", choices=("recognizer", "generator"), help="one of the two (default: both)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code, see --help."""
    return run_command(lambda: _run(make_parser().parse_args(argv)))


def _run(args: argparse.Namespace) -> None:
    check_output_dir(args.out, CONTENT_FILE, "export")
    if args.onnx and util.find_spec("jax2onnx") is None:
        raise UserError("--onnx needs jax2onnx; install it with: uv sync --extra onnx")
    enable_compilation_cache(args.compilation_cache)
    names = [args.only] if args.only else ["recognizer", "generator"]
    if args.only is None and not has_generator(args.workdir):
        names.remove("generator")
    with atomic_dir(args.out, CONTENT_FILE, "export") as folder:
        programs: dict[str, Any] = {}
        for name in names:
            is_generator = name == "generator"
            ensemble = load_ensemble(
                args.workdir, generator=is_generator, fold=args.fold, exclude_subject=args.exclude_subject
            )
            data = export_generator(ensemble) if is_generator else export_recognizer(ensemble)
            write_bytes(folder / f"{name}.jax", data)
            sha256 = hashlib.sha256(data).hexdigest()
            programs[name] = {"file": f"{name}.jax", "inputs": _INPUTS[name], "sha256": sha256}
            if args.onnx:
                convert = onnx_generator if is_generator else onnx_recognizer
                write_bytes(folder / f"{name}.onnx", convert(ensemble))
            folds = f"{len(ensemble.folds)} fold{'s' * (len(ensemble.folds) > 1)}"
            print(f"{name}: {len(data) / 2**20:.1f} MiB, mean over {folds}")
        loader = resources.files("icegan_jax.inference").joinpath("load_exported.py")
        write_bytes(folder / "load.py", loader.read_bytes())
        _copy_flatbuffers(folder)
        write_json(folder / CONTENT_FILE, _content(ensemble, programs))
    print(f"exported: {args.out}")


def _content(ensemble: Ensemble, programs: dict[str, Any]) -> dict[str, Any]:
    """Return the content of model.json."""
    return {
        "classes": list(ensemble.classes),
        "image_size": ensemble.image_size,
        "input": ensemble.models.recognition_input,
        "faces": _FACES,
        "synthetic": "faces of the generator are synthetic: mark them as such where they are shown",
        "run": str(ensemble.run_dir.resolve().name),
        "run_id": ensemble.run_id,
        "folds": list(ensemble.fold_names),
        "no_expression": NO_EXPRESSION,
        "threshold": ensemble.threshold,
        "cautions": [flag.sentence for flag in ensemble.flags],
        "steps": sorted({fold.step for fold in ensemble.folds}),
        "platforms": list(PLATFORMS),
        "versions": {name: metadata.version(name) for name in ("icegan-jax", "jax", "flax", "numpy")},
        "programs": programs,
    }


def _copy_flatbuffers(folder: Path) -> None:
    """Copy the package flatbuffers, and this project's license: its own license is the same, but not in its wheel."""
    spec = util.find_spec("flatbuffers")
    assert spec is not None and spec.origin is not None  # a dependency of this package
    shutil.copytree(Path(spec.origin).parent, folder / "flatbuffers", ignore=shutil.ignore_patterns("__pycache__"))
    licenses = [file for file in metadata.files("icegan-jax") or [] if file.name == "LICENSE"]
    for file in licenses:
        shutil.copy(str(file.locate()), folder / "flatbuffers" / "LICENSE")


if __name__ == "__main__":
    sys.exit(main())
