"""The dataset folder that training reads, prepared from licensed databases, own clips, or procedural faces.

``icegan_jax.prepare(source=..., out=...)`` and ``python -m icegan_jax.prepare --source=... --out=...`` do the same. The
module itself can be called, so that ``icegan_jax.prepare`` works whether or not something has imported the submodule of
that name, which Python then sets as the package's attribute.
"""

import argparse
import inspect
import sys
import types
from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from icegan_jax.cli import ArgumentParser, print_lines, run_command
from icegan_jax.data.apex import METHODS
from icegan_jax.data.clip_frames import CLIP_FRAMES
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.crop import REGISTRATIONS, SIZE, CropOptions
from icegan_jax.data.dataset import SUMMARY_FILE
from icegan_jax.data.ingest.annotation import RELEASES, Source
from icegan_jax.data.ingest.build import (
    BuildContext,
    check_crop_options,
    check_frames_outside,
    prepare_clips,
    prepare_procedural,
)
from icegan_jax.data.ingest.check import check_clips, report_check
from icegan_jax.data.ingest.collect_clips import (
    CLIPS_SOURCE,
    MEGC2019_SOURCE,
    SOURCE_NAMES,
    CollectedClips,
    check_source_name,
    collect_clips,
)
from icegan_jax.data.ingest.messages import finding_lines, result_lines
from icegan_jax.data.ingest.overrides import read_overrides
from icegan_jax.data.ingest.protocol import PROTOCOLS
from icegan_jax.data.ingest.summary import Summary
from icegan_jax.data.names import check_classes
from icegan_jax.data.synthetic import DATABASES
from icegan_jax.errors import UserError, did_you_mean
from icegan_jax.io import check_output_dir

AnyPath = str | Path

PROCEDURAL = "procedural"  # the source without data: faces that the program draws
_PROCEDURAL_DEFAULTS: dict[str, Any] = {"seed": 0, "like": None, "subjects": 8, "clips_per_class": 1, "frames": 16}

_DESCRIPTION = """\
Prepares the dataset folder that training reads: reads the annotation of the database, selects the
clips of the protocol, detects the face in the onset of each clip, crops it, moves every frame onto
the onset, spots the apex where none is annotated, and writes the apex and its neighbors as 128x128
gray pairs. Every change and every clip left out is listed with the reason.
"""

_EXAMPLES = """\
examples:
  faces that the program draws, to try everything without data:
    python -m icegan_jax.prepare --source=procedural --out=data/procedural
    python -m icegan_jax.prepare --source=procedural --like=megc2019 --out=data/rehearsal

  one licensed database, unpacked, its workbook anywhere in the folder:
    python -m icegan_jax.prepare --source=casme2 --raw=CASME2 --out=data/casme2
    python -m icegan_jax.prepare --source=samm --raw=SAMM --out=data/samm
    python -m icegan_jax.prepare --source=smic --raw=SMIC_all_raw --out=data/smic
    python -m icegan_jax.prepare --source=casme2 --raw=CASME2 --out=data/casme2_5 --protocol=five
    (also smic_vis, smic_nir; casme, casme_squared, casme_cubed, mmew, fourdme with a layout that is assumed)

  the 442 clips of MEGC2019 from the three:
    python -m icegan_jax.prepare --source=casme2 --raw=A --source=samm --raw=B --source=smic --raw=C --out=data/megc
    python -m icegan_jax.prepare --source=megc2019 --raw=FOLDER_OF_THE_THREE --out=data/megc --strict

  check the data first; nothing is written:
    python -m icegan_jax.prepare --source=megc2019 --raw=FOLDER_OF_THE_THREE --check

  your own clips:
    python -m icegan_jax.prepare --source=clips --raw=my_clips/clips.csv --out=data/mine

    my_clips/clips.csv (or xlsx, xls, ods):
      dataset,subject,clip,label,frames,onset,apex,offset
      mine,anna,clip1,happiness,frames/anna1,12,25,41
      mine,bob,clip1,disgust,videos/bob1.mp4,0,,38

    frames is a folder of images or a video, relative to the csv. A frame's number is the number
    that differs between the file names, in a video its position from 0. label is negative,
    positive, surprise, or an emotion such as anger or happiness; with --classes=A,B,C one of your
    own classes. Only subject, label and frames are required. Without onset or offset the first or
    last frame is used, an apex is spotted; clip and dataset are named after the frames and the table.

  frames by hand, which override every rule (--repairs=my_repairs.csv):
      clip,onset,apex,offset,reason
      samm/028/028_4_1,,1105,,the sheet's apex lies after its offset

the folder --out then holds:
  index.html          a page with every clip and every repair
  contact_sheet.png   onset, apex and their difference of each clip; check it first
  repairs.csv         every spotted apex and every departure from the annotation, with its reason
  findings.csv        every clip left out, missing or odd, with file and remedy
  clips.csv           the clips with the frames that were used
  prepared.json       counts, options, versions, and a fingerprint of the dataset
  icegan_pairs/       the dataset itself (TFDS, ArrayRecord)
  clip_frames.npz     the frames from onset to offset, with --clip_frames
  cache/              the finished clips, for the next run; may be deleted

exit code: 0 done; 2 bad input, in one line; 130 interrupted. With --check: 0 preparation would
succeed with the protocol's exact set; 1 it would succeed, but something differs; 2 it would stop.
"""


@dataclass(frozen=True)
class PreparedDataset:
    """A prepared dataset folder.

    Attributes:
        path: the folder; ``config.data.dir`` of a training run.
        summary: the counts, options, versions and fingerprint of prepared.json, and how long the preparation took.
        collected: the clips of the sources with their repairs and findings; None for procedural faces.
    """

    path: Path
    summary: Summary
    collected: CollectedClips | None


def prepare(
    source: str | Sequence[str],
    *,
    out: AnyPath,
    raw: AnyPath | Sequence[AnyPath] = (),
    annotation: AnyPath | None = None,
    release: str | None = None,
    protocol: str | None = None,
    strict: bool = False,
    official: AnyPath | None = None,
    repairs: AnyPath | None = None,
    classes: Sequence[str] | None = None,
    skip_damaged: bool = False,
    apex: str = "difference",
    register: str = "rigid",
    size: int = SIZE,
    clip_frames: int = 0,
    seed: int = _PROCEDURAL_DEFAULTS["seed"],
    like: str | None = _PROCEDURAL_DEFAULTS["like"],
    subjects: int = _PROCEDURAL_DEFAULTS["subjects"],
    clips_per_class: int = _PROCEDURAL_DEFAULTS["clips_per_class"],
    frames: int = _PROCEDURAL_DEFAULTS["frames"],
    workers: int | None = None,
    progress: bool = False,
) -> PreparedDataset:
    """Prepare the dataset folder that training reads.

    With ``workers`` other than 1, Python starts processes that import the main module again: a script must call the
    function below ``if __name__ == "__main__":``.

    Args:
        source: "procedural" (faces that the program draws), "clips" (your own), "megc2019" (three databases in one
            folder), or the name of a database, such as "casme2"; or several of these but the first.
        out: the folder to make. An earlier dataset there is replaced, and its unchanged clips are reused.
        raw: the folder of the unpacked database, or the clips.csv; for several sources one path each.
        annotation: the workbook or csv of a single database; None: the one found in its folder.
        release: "raw", "selected", "cropped" or "long": use only these folders of frames; None: for each clip the first
            of these that holds its frames.
        protocol: "megc2019", "three" or "five": which clips, in which classes; None: "megc2019" where every source is
            one of casme2, samm, smic, else "three".
        strict: refuse any set of clips but the protocol's.
        official: the organizers' combined_3class_gt.csv, with which clips and classes are compared.
        repairs: a csv of frame numbers by hand (clip,onset,apex,offset,reason), which override every rule.
        classes: your own classes in label order, for "clips"; None: negative, positive, surprise.
        skip_damaged: leave out clips with damaged frames or without a face instead of stopping.
        apex: how the apex is spotted where none is annotated: "difference", "ratio", "ratio_offset" or "middle".
        register: "rigid" moves each frame onto the onset, "none" does not.
        size: pixels on a side of a prepared face.
        clip_frames: frames from onset to offset that are written too, for LBP-TOP and 3D networks; 0: none.
        seed, subjects, clips_per_class, frames: of procedural faces: the seed, the number of people, of clips per
            person and expression, and of frames per clip.
        like: "megc2019": procedural faces in three databases with the people, clips and classes of MEGC2019; of the
            four above only the seed is then read.
        workers: processes; None: one per CPU core.
        progress: draw progress bars on stderr.

    Raises:
        UserError: an option is wrong, a source cannot be read or does not fit the protocol, clips are damaged, or
            ``out`` cannot be written.
        OSError: the file system refuses.
    """
    sources = [source] if isinstance(source, str) else list(source)
    of_databases = {"raw": raw, "protocol": protocol, "official": official, "repairs": repairs, "strict": strict}
    of_databases |= {"annotation": annotation, "release": release, "classes": classes}
    of_procedural: dict[str, Any] = {"seed": seed, "like": like, "subjects": subjects}
    of_procedural |= {"clips_per_class": clips_per_class, "frames": frames}
    _check_options(sources, of_databases, of_procedural, strict=strict, skip_damaged=skip_damaged, workers=workers)
    options = CropOptions(register=register, size=size, apex=apex, skip_damaged=skip_damaged, clip_frames=clip_frames)
    if not str(out):
        raise UserError("--out is missing; name the folder to make, or use --check, which writes nothing")
    try:
        if sources == [PROCEDURAL]:
            summary = prepare_procedural(out, **of_procedural, options=options, workers=workers, progress=progress)
            return PreparedDataset(Path(out), summary, None)
        check_output_dir(out, SUMMARY_FILE, "prepare")
        collected = _read_sources(sources, of_databases, out)
        _check_clips(collected, strict=strict, skip_damaged=skip_damaged)
        findings = [replace(f, kind="missing") if f.kind == "error" else f for f in collected.findings]
        context = BuildContext(
            collected.repairs, findings, collected.classes, collected.protocol, tuple(collected.sources)
        )
        summary = prepare_clips(
            collected.clips, out, context=context, options=options, workers=workers, progress=progress
        )
    except BrokenProcessPool:
        raise UserError("a process was ended from outside, for want of memory perhaps; use fewer --workers") from None
    return PreparedDataset(Path(out), summary, collected)


def _check_options(
    sources: Sequence[str],
    of_databases: Mapping[str, object],
    of_procedural: Mapping[str, Any],
    *,
    strict: bool,
    skip_damaged: bool,
    workers: int | None,
) -> None:
    """Refuse options that contradict each other, or that the sources do not read."""
    for name in sources:
        check_source_name(name, (PROCEDURAL, *SOURCE_NAMES))
    if workers is not None and workers < 1:
        raise UserError(f"--workers={workers}: give 1 or more")
    if strict and skip_damaged:
        raise UserError("--strict wants every clip and --skip_damaged leaves some out; remove one of them")
    is_procedural = PROCEDURAL in sources
    if is_procedural and len(sources) > 1:
        raise UserError("--source=procedural goes alone; prepare the other sources into another --out")
    given = [name for name, value in of_procedural.items() if value != _PROCEDURAL_DEFAULTS[name]]
    if is_procedural:
        given = [name for name, value in of_databases.items() if value]
    if given:
        other = "is not read with --source=procedural" if is_procedural else "is of --source=procedural"
        raise UserError(f"--{given[0]} {other}; remove it, or change --source")
    if is_procedural:
        _check_like(of_procedural)


def _check_like(of_procedural: Mapping[str, Any]) -> None:
    """Refuse an unknown set of databases to draw, and options that it does not read."""
    like = of_procedural.get("like")
    if like is None:
        return
    if like not in DATABASES:
        raise UserError(f"--like={like} is unknown{did_you_mean(like, DATABASES.keys())}; use {', '.join(DATABASES)}")
    others = ("subjects", "clips_per_class", "frames")
    given = [name for name in others if of_procedural[name] != _PROCEDURAL_DEFAULTS[name]]
    if given:
        raise UserError(f"--{given[0]} is not read with --like={like}, which has its own numbers; remove one of them")


def _read_sources(names: Sequence[str], options: Mapping[str, Any], out: AnyPath | None = None) -> CollectedClips:
    """Return the clips of the sources.

    Args:
        names: names of the sources.
        options: arguments of ``prepare`` about the sources; those that are missing have their defaults.
        out: the folder that is going to be replaced, which must not hold a source.

    Raises:
        UserError: an option belongs to other sources, a source lies in ``out``, or a source cannot be read.
    """
    raw, annotation, classes = options.get("raw", ()), options.get("annotation"), options.get("classes")
    paths = [Path(raw)] if isinstance(raw, str | Path) else [Path(path) for path in raw]
    if len(paths) != len(names):
        example = "give one --raw after each --source, as --source=casme2 --raw=A --source=samm --raw=B"
        raise UserError(f"{len(names)} --source but {len(paths)} --raw: {example}")
    if annotation and (len(names) > 1 or names[0] in (CLIPS_SOURCE, MEGC2019_SOURCE)):
        raise UserError("--annotation belongs to one database; give a single --source with it, none of clips, megc2019")
    if options.get("release") and CLIPS_SOURCE in names:
        raise UserError("--release is of databases; remove it, or name the folders in the clips.csv")
    if classes and set(names) != {CLIPS_SOURCE}:
        raise UserError("--classes names the classes of --source=clips; remove it")
    for path in paths:
        if out is not None and path.resolve().is_relative_to(Path(out).resolve()):
            raise UserError(f"{out}: holds {path}, which it would replace; choose another --out")
    table = Path(annotation) if annotation else None
    return collect_clips(
        [Source(name, path, table, options.get("release")) for name, path in zip(names, paths, strict=True)],
        options.get("protocol"),
        read_overrides(options["repairs"]) if options.get("repairs") else [],
        options.get("official"),
        EXPRESSIONS if classes is None else check_classes([name.strip() for name in classes]),
    )


def _check_clips(collected: CollectedClips, *, strict: bool, skip_damaged: bool) -> None:
    """Refuse clips with errors, an empty set and, if strict, any set but the protocol's."""
    fatal = [f for f in collected.errors if not (skip_damaged and f in collected.damaged)]
    if fatal:
        first = fatal[0]
        more = len({f.clip for f in fatal}) - 1
        others = f" ({more} more with errors)" if more else ""
        remedy = f"{first.remedy}; " if first.remedy else ""
        skip = " or leave the clips out with --skip_damaged" if all(f in collected.damaged for f in fatal) else ""
        raise UserError(
            f"{first.where}: clip {first.clip}: {first.message}{others}; {remedy}see all with --check{skip}"
        )
    if not collected.clips:
        reason = next((f"{f.clip}: {f.message}" for f in collected.differences), "the protocol selects none")
        raise UserError(f"no clip of {', '.join(collected.sources)} can be prepared ({reason}); see all with --check")
    if strict and collected.differences:
        raise UserError(
            f"--strict: the clips are not those of protocol {collected.protocol}: {len(collected.differences)} "
            "differences, listed below; remedy them, or remove --strict",
            *finding_lines(collected.differences),
        )


def make_parser() -> ArgumentParser:
    """Return the parser of the command. Options that are not given keep the defaults of ``prepare``."""
    parser = ArgumentParser(
        prog="python -m icegan_jax.prepare",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument_group("what to read and where to write").add_argument
    text = f"{', '.join((PROCEDURAL, *SOURCE_NAMES))}; can be given several times"
    add("--source", required=True, action="append", metavar="NAME", help=text)
    text = "the folder of the unpacked database, or your clips.csv; the first --raw belongs to the first --source"
    add("--raw", action="append", metavar="PATH", help=text)
    text = "the folder to make; an earlier dataset there is replaced, and its unchanged clips are reused"
    add("--out", metavar="DATA", help=text)
    text = "the workbook or csv of a single database (default: the one found in its folder)"
    add("--annotation", metavar="FILE", help=text)
    text = (
        "use only these folders of frames: raw: whole recordings; selected: onset to offset, uncropped; cropped: the "
        "distributors' crops; long: SMIC-E (default: for each clip the first of these that holds its frames)"
    )
    add("--release", choices=RELEASES, help=text)

    add = parser.add_argument_group("which clips").add_argument
    text = (
        "megc2019: the composite set, 145 + 133 + 164 clips; three: every clip of a negative, positive or surprise "
        "emotion; five: the five-class set of casme2 or of samm (default: megc2019 where every source is one of "
        "casme2, samm, smic; else three)"
    )
    add("--protocol", choices=PROTOCOLS, help=text)
    text = "stop at any set but the protocol's before a face is detected, and list the differences by clip name"
    add("--strict", action="store_true", help=text)
    text = "the organizers' csv (combined_3class_gt.csv), with which clips and classes are compared"
    add("--official", metavar="FILE", help=text)
    text = "frames by hand: columns clip,onset,apex,offset,reason; empty cells change nothing; overrides every rule"
    add("--repairs", metavar="FILE", help=text)
    text = "your own classes in label order, for --source=clips (default: negative,positive,surprise)"
    add("--classes", metavar="A,B,C", help=text)
    text = (
        "leave out clips whose frames are damaged or show no face, and name each (default: stop; the finished clips "
        "are kept for the next run)"
    )
    add("--skip_damaged", action="store_true", help=text)

    add = parser.add_argument_group("how").add_argument
    text = "decode every frame, list what is missing, damaged or would be repaired, and write nothing"
    add("--check", action="store_true", help=text)
    text = (
        "how the apex is spotted where none is annotated, as in SMIC: difference: the frame that differs most from the "
        "onset; ratio: the method of CapsuleNet, over ten regions of the face; ratio_offset: the same with the offset "
        "too; middle: the middle frame (default: difference)"
    )
    add("--apex", choices=METHODS, help=text)
    text = "rigid: move each frame onto the onset, sub-pixel, and match its brightness (default: rigid)"
    add("--register", choices=REGISTRATIONS, help=text)
    add("--size", type=int, help=f"pixels on a side of a face (default: {SIZE})")
    text = (
        f"write so many frames from onset to offset of each clip, too, for LBP-TOP and 3D networks, which read "
        f"{CLIP_FRAMES}; they are interpolated in time (default: 0, none)"
    )
    add("--clip_frames", type=int, metavar="N", help=text)
    add("--workers", type=int, metavar="N", help="processes (default: one per CPU core)")

    add = parser.add_argument_group("procedural faces (--source=procedural)").add_argument
    add("--seed", type=int, help="seed of the faces (default: 0)")
    text = (
        "megc2019: three drawn databases with the 68 people, 442 clips and classes of the protocol, each with a camera "
        "and frame rate of its own, SMIC's without an apex; --subjects and the like are then not read"
    )
    add("--like", metavar="NAME", help=text)
    add("--subjects", type=int, help="people (default: 8)")
    add("--clips_per_class", type=int, help="clips per person and expression (default: 1)")
    add("--frames", type=int, help="frames per clip (default: 16)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code, see --help."""
    options = vars(make_parser().parse_args(argv))
    kept = "the finished clips are kept, start the same command again"
    return run_command(lambda: _run(options), stopped="nothing was written" if "check" in options else kept)


def _run(options: dict[str, Any]) -> int:
    if "classes" in options:
        options["classes"] = options["classes"].split(",")
    if options.pop("check", False):
        return _check(options)
    dataset = prepare(**{"out": "", **options}, progress=True)
    print_lines(result_lines(dataset.summary, str(dataset.path), dataset.collected))
    return 0


def _check(options: Mapping[str, Any]) -> int:
    """Print the clips of the sources, their errors and the repairs that would be made; return the exit code."""
    given = {"strict": options.get("strict", False), "skip_damaged": options.get("skip_damaged", False)}
    workers, method = options.get("workers"), options.get("apex", METHODS[0])
    of_procedural = {name: value for name, value in options.items() if name in _PROCEDURAL_DEFAULTS}
    _check_options(options["source"], {"check": True}, of_procedural, workers=workers, **given)
    check_crop_options(CropOptions(size=options.get("size", SIZE), clip_frames=options.get("clip_frames", 0)))
    out = options.get("out")
    if out:
        check_output_dir(out, SUMMARY_FILE, "prepare")
    collected = _read_sources(options["source"], options, out)
    if out:
        check_frames_outside(collected.clips, out)
    damaged, shared = check_clips(collected, workers, method=method)
    code, lines = report_check(collected, damaged, shared, method=method, **given)
    print_lines(lines)
    return code


class _CallableModule(types.ModuleType):
    """The class of the module, which makes ``icegan_jax.prepare(...)`` a call of ``prepare``."""

    __call__ = staticmethod(prepare)
    __signature__ = inspect.signature(prepare)


sys.modules[__name__].__class__ = _CallableModule


if __name__ == "__main__":
    sys.exit(main())
