"""The arguments of the command prepare, and its help.

Command: turns the licensed databases, or your own clips, into the prepared dataset that training reads.
"""

import argparse
import errno
import io
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from icegan_jax.data.apex import METHODS
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.crop import REGISTRATIONS, SIZE, CropOptions
from icegan_jax.data.ingest.annotation import RELEASES, Source
from icegan_jax.data.ingest.build import prepare_clips, prepare_procedural
from icegan_jax.data.ingest.check import check_clips, exit_code, format_check
from icegan_jax.data.ingest.collect_clips import CollectedClips, collect_clips
from icegan_jax.data.ingest.discover import CLIPS_SOURCE, MEGC2019_SOURCE, SOURCE_NAMES
from icegan_jax.data.ingest.messages import finding_lines, result_lines
from icegan_jax.data.ingest.overrides import read_overrides
from icegan_jax.data.ingest.protocol import PROTOCOLS
from icegan_jax.data.names import check_classes
from icegan_jax.errors import UserError
from icegan_jax.io import check_output_dir
from icegan_jax.signals import Stopped, handle_signals

# The source that is no data: faces that the program draws.
PROCEDURAL = "procedural"

# What is drawn where nothing else is asked for.
DRAWN = {"seed": 0, "subjects": 8, "clips_per_class": 1, "frames": 16}

_DESCRIPTION = """\
Turns micro-expression clips into the dataset folder that training reads: reads the database's
annotation, selects the protocol's clips, finds the face in each clip's onset, crops it, moves every
frame onto the onset, spots the apex where none is annotated, and keeps the apex and its neighbours
as 128x128 grey pairs. Whatever it changes or leaves out is named, with the reason.
"""

_EXAMPLES = """\
examples:
  faces drawn by the program, to try everything without data:
    python -m icegan_jax.prepare --source=procedural --out=data/procedural

  one licensed database, unpacked, its workbook anywhere in the folder:
    python -m icegan_jax.prepare --source=casme2 --raw=CASME2 --out=data/casme2
    python -m icegan_jax.prepare --source=samm --raw=SAMM --out=data/samm
    python -m icegan_jax.prepare --source=smic --raw=SMIC_all_raw --out=data/smic
    python -m icegan_jax.prepare --source=casme2 --raw=CASME2 --out=data/casme2_5 --protocol=five
    python -m icegan_jax.prepare --source=smic_vis --raw=SMIC_all_raw --out=data/smic_vis
    python -m icegan_jax.prepare --source=casme --raw=CASME --out=data/casme
    python -m icegan_jax.prepare --source=casme_squared --raw=CASME_squared --out=data/casme_squared
    python -m icegan_jax.prepare --source=casme_cubed --raw=CASME_cubed --out=data/casme_cubed
    python -m icegan_jax.prepare --source=mmew --raw=MMEW --out=data/mmew
    python -m icegan_jax.prepare --source=fourdme --raw=4DME --out=data/4dme

  the 442 clips of MEGC2019 from the three:
    python -m icegan_jax.prepare --source=casme2 --raw=A --source=samm --raw=B --source=smic --raw=C --out=data/megc
    python -m icegan_jax.prepare --source=megc2019 --raw=FOLDER_OF_THE_THREE --out=data/megc --strict

  first see what would happen; nothing is written:
    python -m icegan_jax.prepare --source=megc2019 --raw=FOLDER_OF_THE_THREE --check

  your own clips:
    python -m icegan_jax.prepare --source=clips --raw=my_clips/clips.csv --out=data/mine

    my_clips/clips.csv:
      dataset,subject,clip,label,frames,onset,apex,offset
      mine,anna,clip1,happiness,frames/anna1,12,25,41
      mine,bob,clip1,disgust,videos/bob1.mp4,0,,38

    frames is a folder of images or a video, relative to the csv. A frame's number is the last
    integer in its file name, in a video its position from 0. apex may be empty: it is then spotted.
    label is negative, positive, surprise, or an emotion such as anger or happiness; with
    --classes=A,B,C one of your own classes.

  frames by hand, which beat every rule (--repairs=my_repairs.csv):
      clip,onset,apex,offset,reason
      samm/028/028_4_1,,1105,,the sheet's apex lies after its offset

the folder --out then holds:
  index.html          a page to look at: every clip, every repair
  contact_sheet.png   onset, apex and their difference per clip: look at it first
  repairs.csv         every spotted apex and every departure from the annotation, with its reason
  findings.csv        every clip left out, missing or odd, with file and remedy
  clips.csv           the clips as they were used
  prepared.json       counts, options, versions, and a fingerprint of the dataset
  icegan_pairs/       the dataset itself (TFDS, ArrayRecord)
  cache/              the finished clips, for the next run; may be deleted

exit code: 0 done; 2 bad input, in one line; 130 interrupted. With --check: 0 preparation would
succeed with the protocol's exact set; 1 it would succeed, but something differs; 2 it would stop.
"""


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m icegan_jax.prepare",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_places(parser.add_argument_group("what to read and where to write"))
    _add_choice(parser.add_argument_group("which clips"))
    _add_manner(parser.add_argument_group("how"))
    drawn = parser.add_argument_group("procedural faces (--source=procedural)")
    drawn.add_argument("--seed", type=int, default=DRAWN["seed"], help="of the drawing (default: 0)")
    drawn.add_argument("--subjects", type=int, default=DRAWN["subjects"], help="persons (default: 8)")
    drawn.add_argument(
        "--clips_per_class",
        type=int,
        default=DRAWN["clips_per_class"],
        help="clips per person and expression (default: 1)",
    )
    drawn.add_argument("--frames", type=int, default=DRAWN["frames"], help="frames per clip (default: 16)")
    return parser


def _add_places(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    text = "a database, your own clips, or megc2019: CASME II, SAMM and SMIC in one folder; may be given several times"
    add("--source", required=True, action="append", choices=(PROCEDURAL, *SOURCE_NAMES), help=text)
    text = "the folder of the unpacked database, or your clips.csv; the first --raw belongs to the first --source"
    add("--raw", action="append", metavar="PATH", help=text)
    text = "folder to make; an earlier dataset there is replaced, and clips that did not change are taken over from it"
    add("--out", metavar="DATA", help=text)
    text = "the workbook or csv to use, with a single database (default: the one found in its folder)"
    add("--annotation", metavar="FILE", help=text)
    text = (
        "use these folders of frames only: raw: whole recordings; selected: onset to offset, uncropped; cropped: the "
        "distributors' faces; long: SMIC-E (default: per clip the first of these that holds its frames)"
    )
    add("--release", choices=RELEASES, help=text)


def _add_choice(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    text = (
        "megc2019: the composite set, 145 + 133 + 164 clips; three: every clip of a negative, positive or surprise "
        "emotion; five: the five-class set of casme2 or of samm (default: megc2019 where every source is one of "
        "casme2, samm, smic; else three)"
    )
    add("--protocol", choices=PROTOCOLS, help=text)
    text = "refuse any set but the protocol's, before any face is looked for, and list the differences by clip name"
    add("--strict", action="store_true", help=text)
    text = "the organisers' csv (combined_3class_gt.csv): compare clips and classes with it too"
    add("--official", metavar="FILE", help=text)
    text = "frames by hand: columns clip,onset,apex,offset,reason, empty cells change nothing; beats every rule"
    add("--repairs", metavar="FILE", help=text)
    text = "your own classes in label order, with --source=clips (default: negative,positive,surprise)"
    add("--classes", metavar="A,B,C", help=text)
    text = (
        "leave out clips whose frames cannot be used or that show no face, each named (default: stop; the finished "
        "clips are kept for the next run)"
    )
    add("--skip_damaged", action="store_true", help=text)


def _add_manner(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    text = (
        "the dataset doctor: read everything, decode every frame, write nothing, and say what is missing, damaged or "
        "odd, and what would be repaired"
    )
    add("--check", action="store_true", help=text)
    text = (
        "how the apex is spotted where none is annotated, as in SMIC: difference: the frame that differs most from the "
        "onset; ratio: CapsuleNet's, over ten regions of the face; ratio_offset: the same with the offset too; middle: "
        "the middle frame (default: difference)"
    )
    add("--apex", default="difference", choices=METHODS, help=text)
    text = "rigid: move each frame onto the onset, sub-pixel, and match its brightness (default: rigid)"
    add("--register", default="rigid", choices=REGISTRATIONS, help=text)
    add("--size", type=int, default=SIZE, help=f"pixels on a side of a face (default: {SIZE})")
    add("--workers", type=int, metavar="N", help="processes (default: one per CPU core)")


# Options that mean nothing to faces that the program draws.
_NOT_DRAWN = ("raw", "protocol", "strict", "official", "repairs", "annotation", "release", "classes", "check")


def _run(args: argparse.Namespace) -> int:
    if args.workers is not None and args.workers < 1:
        raise UserError(f"--workers={args.workers}: give 1 or more")
    if not args.check and not args.out:
        raise UserError("--out is missing; name the folder to make, or use --check, which writes nothing")
    if args.strict and args.skip_damaged:
        raise UserError("--strict wants every clip and --skip_damaged leaves some out; remove one of them")
    options = CropOptions(register=args.register, size=args.size, apex=args.apex, skip_damaged=args.skip_damaged)
    if PROCEDURAL in args.source:
        return _procedural(args, options)
    drawn = [name for name, default in DRAWN.items() if getattr(args, name) != default]
    if drawn:
        raise UserError(f"--{drawn[0]} is of the faces that the program draws; remove it or use --source=procedural")
    sources = _sources(args)
    if not args.check:
        _check_out(args.out, sources)
    classes = EXPRESSIONS if args.classes is None else check_classes([name.strip() for name in args.classes.split(",")])
    overrides = read_overrides(args.repairs) if args.repairs else []
    gathered = collect_clips(sources, args.protocol, overrides, args.official, classes)
    if args.check:
        damaged = check_clips(gathered, args.workers, method=args.apex)
        _say(format_check(gathered, damaged, method=args.apex, strict=args.strict, skip_damaged=args.skip_damaged))
        return exit_code(gathered, damaged, strict=args.strict, skip_damaged=args.skip_damaged)
    _refuse(gathered, strict=args.strict, skip_damaged=args.skip_damaged)
    findings = [replace(f, kind="missing") if f.kind == "error" else f for f in gathered.findings]
    summary = prepare_clips(
        gathered.clips,
        args.out,
        repairs=gathered.repairs,
        findings=findings,
        classes=gathered.classes,
        protocol=gathered.protocol,
        sources=gathered.sources,
        options=options,
        workers=args.workers,
    )
    _say(result_lines(summary, args.out.rstrip("/"), gathered))
    return 0


def _sources(args: argparse.Namespace) -> list[Source]:
    raw = args.raw or []
    if len(raw) != len(args.source):
        example = "--source=clips needs --raw=CLIPS.csv; see --help for its columns"
        if args.source != [CLIPS_SOURCE] or raw:
            example = "give one --raw after each --source, as --source=casme2 --raw=A --source=samm --raw=B"
        raise UserError(f"{len(args.source)} --source but {len(raw)} --raw: {example}")
    alone = len(args.source) == 1 and args.source[0] not in (CLIPS_SOURCE, MEGC2019_SOURCE)
    if args.annotation and not alone:
        raise UserError("--annotation belongs to one database; give a single --source with it, none of clips, megc2019")
    if args.release and CLIPS_SOURCE in args.source:
        raise UserError("--release is of databases; remove it, or name the folders in the clips.csv")
    if args.classes and args.source != [CLIPS_SOURCE] * len(args.source):
        raise UserError("--classes names the classes of --source=clips; remove it")
    annotation = Path(args.annotation) if args.annotation else None
    return [Source(name, Path(path), annotation, args.release) for name, path in zip(args.source, raw, strict=True)]


def _check_out(out: str, sources: Iterable[Source]) -> None:
    for source in sources:
        if source.root.resolve().is_relative_to(Path(out).resolve()):
            raise UserError(f"{out}: holds {source.root}, which it would replace; choose another --out")
    check_output_dir(out)
    there = next(path for path in Path(out).resolve().parents if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UserError(f"{out}: cannot be written in {there}; choose another --out")


def _refuse(gathered: CollectedClips, *, strict: bool, skip_damaged: bool) -> None:
    """Raises UserError where preparation must not begin; tells the differences first if strict."""
    fatal = [f for f in gathered.errors if not (skip_damaged and f in gathered.damaged)]
    if fatal:
        first = fatal[0]
        more = len({f.clip for f in fatal}) - 1
        others = f" ({more} more with errors)" if more else ""
        remedy = f"{first.remedy}; " if first.remedy else ""
        skip = " or leave the clips out with --skip_damaged" if all(f in gathered.damaged for f in fatal) else ""
        raise UserError(
            f"{first.where}: clip {first.clip}: {first.message}{others}; {remedy}see all with --check{skip}"
        )
    if not gathered.clips:
        reason = next((f"{f.clip}: {f.message}" for f in gathered.differences), "the protocol selects none")
        raise UserError(f"no clip of {', '.join(gathered.sources)} can be prepared ({reason}); see all with --check")
    if strict and gathered.differences:
        _say(finding_lines(gathered.differences), sys.stderr)
        raise UserError(
            f"--strict: the clips are not those of protocol {gathered.protocol}: {len(gathered.differences)} "
            "differences, above; remedy them, or remove --strict"
        )


def _procedural(args: argparse.Namespace, options: CropOptions) -> int:
    given = [name for name in _NOT_DRAWN if getattr(args, name)]
    if given:
        raise UserError(f"--{given[0]} is not read with --source=procedural; remove it or use --source=clips")
    if len(args.source) > 1:
        raise UserError("--source=procedural goes alone; prepare the other sources into another --out")
    summary = prepare_procedural(
        args.out,
        seed=args.seed,
        subjects=args.subjects,
        clips_per_class=args.clips_per_class,
        frames=args.frames,
        options=options,
        workers=args.workers,
    )
    _say(result_lines(summary, args.out.rstrip("/")))
    return 0


def _say(lines: Iterable[str], file: TextIO | None = None) -> None:
    """Prints each on one line, even where a file's name holds a line break."""
    for line in lines:
        print("".join(c if c.isprintable() else repr(c)[1:-1] for c in line), file=file)


def _of_system(error: OSError) -> str:
    """The one line for an error of the file system that nothing else explained."""
    name = error.filename or "the output"
    remedy = "check that it is there and that you may read and write it, then start the same command again"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free some space or choose --out on another disk, then start the same command again"
    elif error.errno == errno.EROFS:
        remedy = "choose --out on a disk that can be written"
    return f"{name}: {error.strerror or error}; {remedy}"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code, see --help."""
    args = make_parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names hold what a terminal cannot show
    code = 2
    try:
        with handle_signals():
            return _run(args)
    except UserError as error:
        message = str(error)
    except OSError as error:
        message = _of_system(error)
    except BrokenProcessPool:
        message = "a process was ended from outside, for want of memory perhaps; use fewer --workers"
    except Stopped as stop:
        kept = "nothing was written" if args.check else "the finished clips are kept, start the same command again"
        message, code = f"{stop}; {kept}", stop.code
    _say([f"error: {message}"], sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
