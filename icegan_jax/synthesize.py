"""Put a micro-expression on a neutral face: a still, a sequence, or a grid of expressions and faces.

python -m icegan_jax.synthesize --workdir=RUN --input=neutral.png --expression=surprise --out=face.png
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from icegan_jax.cli import ArgumentParser, add_run_options, run_command
from icegan_jax.compilation_cache import enable_compilation_cache
from icegan_jax.errors import UserError
from icegan_jax.inference.face_crops import list_pictures
from icegan_jax.inference.synthesize import (
    ALL_EXPRESSIONS,
    DEFAULT_APEX_AT,
    DEFAULT_FPS,
    SynthesisRequest,
    check_request,
    synthesize_file,
)
from icegan_jax.inference.synthesizer import Synthesizer

EPILOG = """\
what is written:
  a picture, one class            the picture in color and at its size, with the expression on the face
  the same with --frames          a sequence from the onset over the apex to the offset: .webp, .mp4 or .gif
  a picture, all classes          a grid: the onset, then one face for each class; with --frames a sequence
  --draws=K                       a grid with K faces for each class, each from its own noise draw
  a folder of pictures            a grid with a row for each picture
  --crop                          the faces of the generator itself: gray, at the size of the training

examples:
  python -m icegan_jax.synthesize --workdir=RUN --input=neutral.png --expression=surprise --out=face.png
  python -m icegan_jax.synthesize --workdir=RUN --input=neutral.png --expression=surprise --intensity=0.6 \\
      --frames=25 --out=clip.webp
  python -m icegan_jax.synthesize --workdir=RUN --input=neutral.png --differences --out=grid.png
  python -m icegan_jax.synthesize --workdir=RUN --input=faces --frames=25 --out=faces.mp4

The face should be neutral. FILE.json beside the output documents the request, FILE.html shows both in a browser, and
the metadata of the output says that the picture is synthetic (a description, and the digital source type of the IPTC):
leave the metadata in, and ask people before you change their faces. exit code: 0 done; 2 bad input, in one line; 130
interrupted.
"""


def make_parser() -> ArgumentParser:
    """Return the parser of the command."""
    parser = ArgumentParser(prog="python -m icegan_jax.synthesize", description=__doc__.splitlines()[0], epilog=EPILOG)
    add_run_options(parser)
    group = parser.add_argument_group("input and output")
    text = "a picture of a neutral face (jpg, png, bmp, webp), or a folder of them"
    group.add_argument("--input", required=True, type=Path, metavar="PICTURE", help=text)
    text = "the file to write: .png or .jpg; with --frames .webp, .mp4 or .gif (256 colors)"
    group.add_argument("--out", required=True, type=Path, metavar="FILE", help=text)
    text = "the number of the face in the picture, counted from the left (default: the largest face)"
    group.add_argument("--face", type=int, metavar="N", help=text)
    group = parser.add_argument_group("which expression")
    text = f"a class of the run, or {ALL_EXPRESSIONS} (default)"
    group.add_argument("--expression", default=ALL_EXPRESSIONS, metavar="CLASS", help=text)
    text = "0: the onset; 1: the expression as trained (default); up to 2: exaggerated"
    group.add_argument("--intensity", type=float, default=1.0, metavar="X", help=text)
    group.add_argument("--draws", type=int, default=1, metavar="K", help="number of noise draws (default: 1)")
    text = "the number of the first noise draw (default: 0)"
    group.add_argument("--seed", type=int, default=0, metavar="N", help=text)
    group = parser.add_argument_group("what the output shows")
    text = "the generator's own gray faces instead of the changed pictures"
    group.add_argument("--crop", action="store_true", help=text)
    text = "beside each face the difference from the onset, enlarged; red: brighter, blue: darker"
    group.add_argument("--differences", action="store_true", help=text)
    group.add_argument("--frames", type=int, metavar="N", help="a sequence of N frames instead of a still")
    text = f"the apex of the sequence, as a share of the way from onset to offset (default: {DEFAULT_APEX_AT:g})"
    group.add_argument("--apex_at", type=float, metavar="X", help=text)
    text = f"frames per second (default: {DEFAULT_FPS:g}); a .gif can play 100/2, 100/3, 100/4 ..."
    group.add_argument("--fps", type=float, metavar="N", help=text)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code, see --help."""
    return run_command(lambda: _run(make_parser().parse_args(argv)))


def _run(args: argparse.Namespace) -> None:
    request = _request(args)
    check_request(request)
    list_pictures(request.input)
    enable_compilation_cache(args.compilation_cache)
    synthesizer = Synthesizer(args.workdir, args.fold, args.exclude_subject)
    for line in synthesize_file(request, synthesizer.ensemble):
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
        apex_at=DEFAULT_APEX_AT if args.apex_at is None else args.apex_at,
        fps=DEFAULT_FPS if args.fps is None else args.fps,
        draws=args.draws,
        seed=args.seed,
        face=args.face,
        crop=args.crop,
        differences=args.differences,
    )


if __name__ == "__main__":
    sys.exit(main())
