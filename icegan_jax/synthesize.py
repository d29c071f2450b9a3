"""Put a micro-expression on a neutral face: a still, a sequence, or a sheet of expressions and faces.

python -m icegan_jax.synthesize --workdir=RUN --input=neutral.png --expression=surprise --out=face.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from icegan_jax.cli import ArgumentParser, add_run_options, run_command
from icegan_jax.compilation_cache import enable_compilation_cache
from icegan_jax.errors import UserError
from icegan_jax.inference.ensemble import load_ensemble
from icegan_jax.inference.neutral_faces import list_pictures
from icegan_jax.inference.synthesize import ALL_EXPRESSIONS, SynthesisRequest, check_request, synthesize_file

_RATE = 25.0  # frames per second; 4 of the hundredths of a second that a GIF counts in
_APEX_AT = 0.5

EPILOG = """\
what comes out:
  a picture, one class            the picture itself, in colour and at its size, with the face changed
  the same with --frames          a sequence from the onset over the apex to the offset: .gif, .webp or .mp4
  a picture, all classes          a sheet: the onset, then one face for each class; with --frames it moves
  --draws=K                       a sheet with K faces for each class, each from noise of its own
  a folder of pictures            a sheet with a row for each
  --crop                          instead the faces that the networks draw: grey, the size they were trained at

examples:
  python -m icegan_jax.synthesize --workdir=RUN --input=neutral.png --expression=surprise --out=face.png
  python -m icegan_jax.synthesize --workdir=RUN --input=neutral.png --expression=surprise --intensity=0.6 \\
      --frames=25 --out=clip.gif
  python -m icegan_jax.synthesize --workdir=RUN --input=neutral.png --differences --out=sheet.png
  python -m icegan_jax.synthesize --workdir=RUN --input=faces --frames=25 --out=faces.mp4

The onset ought to be neutral. Beside the file lies FILE.json, which says how it was made, and the file itself says that
it is synthetic (XMP with the IPTC's digital source type, and a description): leave that in, and ask people before
you change their faces. exit code: 0 done; 2 bad input, in one line; 130 interrupted.
"""


def make_parser() -> ArgumentParser:
    """The command's arguments."""
    parser = ArgumentParser(prog="python -m icegan_jax.synthesize", description=__doc__.splitlines()[0], epilog=EPILOG)
    add_run_options(parser)
    group = parser.add_argument_group("what to read and where to write")
    text = "a picture of a neutral face (jpg, png, bmp, webp), or a folder of them"
    group.add_argument("--input", required=True, type=Path, metavar="PICTURE", help=text)
    text = "file to write: .png or .jpg; with --frames .gif, .webp or .mp4"
    group.add_argument("--out", required=True, type=Path, metavar="FILE", help=text)
    text = "which face of the picture, counted from the left (default: the largest)"
    group.add_argument("--face", type=int, metavar="N", help=text)
    group = parser.add_argument_group("which expression")
    group.add_argument(
        "--expression",
        default=ALL_EXPRESSIONS,
        metavar="CLASS",
        help=f"a class of the run, or {ALL_EXPRESSIONS} (default)",
    )
    text = "0: the onset; 1: the expression as trained (default); up to 2: exaggerated"
    group.add_argument("--intensity", type=float, default=1.0, metavar="X", help=text)
    text = "noise draws side by side (default: 1)"
    group.add_argument("--draws", type=int, default=1, metavar="K", help=text)
    text = "number of the first draw: another number, another noise (default: 0)"
    group.add_argument("--seed", type=int, default=0, metavar="N", help=text)
    group = parser.add_argument_group("how it is shown")
    group.add_argument(
        "--crop", action="store_true", help="the networks' own faces, grey, instead of the picture changed"
    )
    group.add_argument(
        "--differences", action="store_true", help="what changed beside each face, red brighter, enlarged"
    )
    group.add_argument("--frames", type=int, metavar="N", help="a sequence of N frames instead of a still")
    text = f"where its apex lies, a share of the way from onset to offset (default: {_APEX_AT:g})"
    group.add_argument("--apex_at", type=float, metavar="X", help=text)
    text = f"frames per second (default: {_RATE:g}); a .gif holds 100/2, 100/3, 100/4 ..."
    group.add_argument("--fps", type=float, metavar="N", help=text)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code, see --help."""
    return run_command(lambda: _run(make_parser().parse_args(argv)))


def _run(args: argparse.Namespace) -> None:
    request = _request(args)
    check_request(request)
    list_pictures(request.input)  # before the networks are read
    enable_compilation_cache(args.compilation_cache)
    model = load_ensemble(args.workdir, generator=True, fold=args.fold, exclude_subject=args.exclude_subject)
    for line in synthesize_file(request, model):
        print(line)


def _request(args: argparse.Namespace) -> SynthesisRequest:
    if args.frames is None:
        for name in ("apex_at", "fps"):
            if getattr(args, name) is not None:
                raise UserError(f"--{name} is of a sequence; give --frames=25 too, for example")
    return SynthesisRequest(
        input=args.input,
        out=args.out,
        expression=args.expression,
        intensity=args.intensity,
        frames=args.frames,
        apex_at=_APEX_AT if args.apex_at is None else args.apex_at,
        fps=_RATE if args.fps is None else args.fps,
        draws=args.draws,
        seed=args.seed,
        face=args.face,
        crop=args.crop,
        differences=args.differences,
    )


if __name__ == "__main__":
    sys.exit(main())
