"""Command: turns clips into the prepared dataset folder that training reads."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from icegan_jax.data.clips import read_clips
from icegan_jax.data.preparation import (
    REGISTRATIONS,
    SIZE,
    Options,
    Summary,
    prepare_clips,
    prepare_procedural,
)
from icegan_jax.errors import UserError

_DESCRIPTION = """\
Turns micro-expression clips into the dataset folder that training reads: finds the face in each
clip's onset, crops it, moves every frame onto the onset, spots the apex where it is not given, and
keeps the apex and its neighbours as 128x128 grey pairs.
"""

_EXAMPLES = """\
examples:
  faces drawn by the program, to try everything without data:
    python -m icegan_jax.prepare --source=procedural --out=data/procedural

  your own clips:
    python -m icegan_jax.prepare --source=clips --raw=my_clips/clips.csv --out=data/mine

    my_clips/clips.csv:
      dataset,subject,clip,label,frames,onset,apex,offset
      mine,anna,clip1,happiness,frames/anna1,12,25,41
      mine,bob,clip1,disgust,videos/bob1.mp4,0,,38

    frames is a folder of images or a video, relative to the csv. A frame's number is the last
    integer in its file name, in a video its position from 0. apex may be empty: it is then spotted.
    label is negative, positive, surprise, or an emotion such as anger or happiness.

the folder --out then holds:
  contact_sheet.png   onset, apex and their difference per clip: look at it first
  repairs.csv         every spotted apex and every departure from clips.csv, with its reason
  clips.csv           the clips as they were used
  prepared.json       counts, options, and a fingerprint of the dataset
  icegan_pairs/       the dataset itself (TFDS, ArrayRecord)
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m icegan_jax.prepare",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--source", required=True, choices=("clips", "procedural"), help="where the clips come from")
    add("--raw", metavar="CLIPS.CSV", help="the annotation of your clips (--source=clips)")
    add("--out", required=True, metavar="DATA", help="folder to make; an earlier one is replaced")
    add("--register", default="rigid", choices=REGISTRATIONS,
        help="rigid: move each frame onto the onset, sub-pixel, and match its brightness "
        "(default: rigid)")  # fmt: skip
    add("--size", type=int, default=SIZE, help=f"pixels on a side of a face (default: {SIZE})")
    add("--workers", type=int, metavar="N", help="processes (default: one per CPU core)")
    drawn = parser.add_argument_group("procedural faces (--source=procedural)")
    drawn.add_argument("--seed", type=int, default=0, help="of the drawing (default: 0)")
    drawn.add_argument("--subjects", type=int, default=8, help="persons (default: 8)")
    drawn.add_argument("--clips_per_class", type=int, default=1,
                       help="clips per person and expression (default: 1)")  # fmt: skip
    drawn.add_argument("--frames", type=int, default=16, help="frames per clip (default: 16)")
    return parser


def _prepare(args: argparse.Namespace) -> Summary:
    if args.workers is not None and args.workers < 1:
        raise UserError(f"--workers={args.workers}: give 1 or more")
    options = Options(register=args.register, size=args.size)
    if args.source == "clips":
        if not args.raw:
            raise UserError("--source=clips needs --raw=CLIPS.csv; see --help for its columns")
        if Path(args.raw).resolve().is_relative_to(Path(args.out).resolve()):
            raise UserError(f"{args.out}: holds {args.raw}, which it would replace; choose another --out")
        return prepare_clips(read_clips(args.raw), args.out, options=options, workers=args.workers)
    if args.raw:
        raise UserError("--raw is not read with --source=procedural; remove it or use --source=clips")
    return prepare_procedural(
        args.out,
        seed=args.seed,
        subjects=args.subjects,
        clips_per_class=args.clips_per_class,
        frames=args.frames,
        options=options,
        workers=args.workers,
    )


def _print(summary: Summary, out: str) -> None:
    counts = ", ".join(f"{n} {word}" for word, n in summary.classes.items())
    print(f"{summary.faces_found} of {summary.clips} faces found")
    print(f"{summary.clips} clips of {summary.subjects} subjects: {counts}")
    print(f"{summary.pairs} pairs of onset and frame, {summary.size}x{summary.size} grey, "
          f"register={summary.register}")  # fmt: skip
    print(f"{summary.repairs} spotted apexes and repairs, each with its reason: {out}/repairs.csv")
    print(f"look at the faces: {out}/contact_sheet.png")
    print(f"dataset: {out}  (fingerprint {summary.fingerprint[:12]})")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 2 for bad input, 130 where interrupted."""
    args = _parser().parse_args(argv)
    try:
        summary = _prepare(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted; nothing was written, start the same command again", file=sys.stderr)
        return 130
    _print(summary, args.out.rstrip("/"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
