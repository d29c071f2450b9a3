"""Command: turns the licensed databases, or your own clips, into the prepared dataset that training reads."""

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

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.names import check_classes
from icegan_jax.data.preparing.preparation import Options, prepare_clips, prepare_procedural
from icegan_jax.data.preparing.replacement import check_replaceable
from icegan_jax.data.readers.source import Source
from icegan_jax.data.selection.doctor import examine, report, verdict
from icegan_jax.data.selection.locating import ALL_THREE, CLIPS
from icegan_jax.data.selection.overrides import read_overrides
from icegan_jax.data.selection.sources import Gathered, gather
from icegan_jax.data.selection.telling import finding_lines, result_lines
from icegan_jax.errors import UserError
from icegan_jax.prepare_arguments import DRAWN, PROCEDURAL, make_parser
from icegan_jax.stopping import Stopped, listening

# Options that mean nothing to faces that the program draws.
_NOT_DRAWN = ("raw", "protocol", "strict", "official", "repairs", "annotation", "release", "classes", "check")


def _run(args: argparse.Namespace) -> int:
    if args.workers is not None and args.workers < 1:
        raise UserError(f"--workers={args.workers}: give 1 or more")
    if not args.check and not args.out:
        raise UserError("--out is missing; name the folder to make, or use --check, which writes nothing")
    if args.strict and args.skip_damaged:
        raise UserError("--strict wants every clip and --skip_damaged leaves some out; remove one of them")
    options = Options(register=args.register, size=args.size, apex=args.apex, skip_damaged=args.skip_damaged)
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
    gathered = gather(sources, args.protocol, overrides, args.official, classes)
    if args.check:
        damaged = examine(gathered, args.workers, method=args.apex)
        _say(report(gathered, damaged, method=args.apex, strict=args.strict, skip_damaged=args.skip_damaged))
        return verdict(gathered, damaged, strict=args.strict, skip_damaged=args.skip_damaged)
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
        if args.source != [CLIPS] or raw:
            example = "give one --raw after each --source, as --source=casme2 --raw=A --source=samm --raw=B"
        raise UserError(f"{len(args.source)} --source but {len(raw)} --raw: {example}")
    alone = len(args.source) == 1 and args.source[0] not in (CLIPS, ALL_THREE)
    if args.annotation and not alone:
        raise UserError("--annotation belongs to one database; give a single --source with it, none of clips, megc2019")
    if args.release and CLIPS in args.source:
        raise UserError("--release is of databases; remove it, or name the folders in the clips.csv")
    if args.classes and args.source != [CLIPS] * len(args.source):
        raise UserError("--classes names the classes of --source=clips; remove it")
    annotation = Path(args.annotation) if args.annotation else None
    return [Source(name, Path(path), annotation, args.release) for name, path in zip(args.source, raw, strict=True)]


def _check_out(out: str, sources: Iterable[Source]) -> None:
    for source in sources:
        if source.root.resolve().is_relative_to(Path(out).resolve()):
            raise UserError(f"{out}: holds {source.root}, which it would replace; choose another --out")
    check_replaceable(out)
    there = next(path for path in Path(out).resolve().parents if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UserError(f"{out}: cannot be written in {there}; choose another --out")


def _refuse(gathered: Gathered, *, strict: bool, skip_damaged: bool) -> None:
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


def _procedural(args: argparse.Namespace, options: Options) -> int:
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
        with listening():
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
