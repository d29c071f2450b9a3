"""Error of apex spotting in frames: each method spots the apex of clips whose apex is annotated.

    python -m experiments.apex_spotting --raw=clips.csv --out=runs/apex [--exclude=SUBJECT/CLIP ...] [--whole]

Every method of `icegan_jax.data.apex` is applied to crops that are registered to the onset and to crops that are not.
Clips without an annotated apex, or without the frame of the apex, are left out. Without --raw, faces are drawn
(--subjects, --frames, --seed). --whole adds whole frames with landmarks detected on each frame, as in CapsuleNet's
code, which is slower. Writes OUT/scores.csv and OUT/scores.md, a row per method: the absolute error in frames over all
clips, and over those that are not excluded; and OUT/spotted.csv, a row per method and clip.
"""

import argparse
import itertools
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from experiments.shared.tables import markdown_table
from icegan_jax.cli import ArgumentParser, run_command
from icegan_jax.data.align import IDENTITY, crop_face, crop_frame, to_gray
from icegan_jax.data.apex import METHODS, points_in_crop, spot_apex
from icegan_jax.data.clips import Clip, frames_after_onset, read_clips
from icegan_jax.data.ingest.repairs import repair_annotation
from icegan_jax.data.landmarks import Box, Face, Gray, Points, find_face
from icegan_jax.data.synthetic import draw_clips
from icegan_jax.data.video import list_frames, read_frames
from icegan_jax.errors import UserError
from icegan_jax.io import write_text

SIZE = 128  # pixels on a side of a crop, as prepared
REGISTERED, CROPPED, WHOLE, NUMBERS = "crop, registered", "crop", "whole frame", "numbers only"


@dataclass(frozen=True)
class SpottedApex:
    """The annotated and the spotted apex of one clip; a row of spotted.csv."""

    clip: str
    method: str
    frames: str
    given: int
    spotted: int
    error: int


@dataclass(frozen=True)
class MethodScore:
    """The absolute error of one method in frames; a row of scores.csv."""

    method: str
    frames: str
    excluded: str
    clips: int
    mean: float
    median: float
    within_1: float
    most: int
    worst: str


def main(argv: Sequence[str] | None = None) -> int:
    """Run the experiment and return the exit code: 0, or 2 for invalid input."""
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--raw", type=Path, metavar="CLIPS.CSV", help="clips with their apex (default: drawn faces)")
    add("--out", required=True, type=Path, help="folder of the tables")
    add("--exclude", action="append", default=[], metavar="SUBJECT/CLIP", help="a clip that does not move; repeatable")
    add("--whole", action="store_true", help="whole frames as well, with landmarks detected on each")
    add("--subjects", type=int, default=2, help="drawn persons, three clips each (default: 2)")
    add("--frames", type=int, default=25, help="frames per drawn clip (default: 25)")
    add("--seed", type=int, default=0, help="seed of the drawn faces (default: 0)")
    args = parser.parse_args(argv)
    return run_command(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    rows = _spot_all(args)
    kept = [row for row in rows if row.clip.split("/", 1)[1] not in args.exclude]
    tables = {"all clips": _scores(rows, "")}
    if args.exclude:
        excluded = " ".join(args.exclude)
        tables[f"without {excluded}"] = _scores(kept, excluded)
    text = "\n".join(f"Absolute error in frames, {title}:\n\n{_markdown(table)}" for title, table in tables.items())
    write_text(args.out / "scores.md", text)
    write_text(args.out / "scores.csv", pd.DataFrame(itertools.chain(*tables.values())).to_csv(index=False))
    write_text(args.out / "spotted.csv", pd.DataFrame(rows).to_csv(index=False))
    print(text)


def _spot_all(args: argparse.Namespace) -> list[SpottedApex]:
    raw = args.raw
    if raw is None:
        raw = args.out / f"drawn_{args.seed}_{args.subjects}_{args.frames}" / "clips.csv"
        if not raw.exists():
            options = {"subjects": args.subjects, "clips_per_class": 1, "frames": args.frames, "seed": args.seed}
            draw_clips(raw.parent, **options, progress=True)
    clips = []
    for clip in read_clips(raw):
        numbers = list_frames(clip.frames)
        settled, _ = repair_annotation(clip, numbers)
        if clip.apex is not None and settled.apex == clip.apex:
            clips.append((settled, frames_after_onset(settled, numbers)))
    if not clips:
        raise UserError(f"{raw}: no clip has an apex to compare with; fill in the column apex")
    unknown = set(args.exclude) - {f"{clip.subject}/{clip.clip}" for clip, _ in clips}
    if unknown:
        raise UserError(f"--exclude={min(unknown)}: no such clip in {raw}; give SUBJECT/CLIP of a clip with an apex")
    bar = tqdm(clips, desc="spotting", unit="clip")
    return [row for clip, moving in bar for row in _spot(clip, moving, args.whole)]


def _spot(clip: Clip, moving: list[int], whole: bool) -> Iterator[SpottedApex]:
    """Yield the apex of one clip, spotted among the frames ``moving`` by every method on every kind of frames."""
    ((_, onset),) = read_frames(clip.frames, [clip.onset])
    face = find_face([onset])
    if face is None:
        raise UserError(f"clip {clip.name}: no face in the onset; remove the row or give frames with a frontal face")
    box = face.box().within(onset.shape)
    points = points_in_crop(face.points, box, SIZE)
    for registered in (True, False):
        crops = dict(_crops(clip, onset, moving, box, registered))
        for method in METHODS:
            if method == "middle" and registered:
                continue
            apex = spot_apex(
                crops[clip.onset],
                ((n, crops[n]) for n in moving),
                method=method,
                offset=crops[moving[-1]],
                points=points,
            )
            frames = NUMBERS if method == "middle" else REGISTERED if registered else CROPPED
            yield _row(clip, method, frames, apex)
    if whole:
        ((_, offset),) = read_frames(clip.frames, [moving[-1]])
        for method in METHODS[:-1]:
            frames = read_frames(clip.frames, moving)
            apex = spot_apex(onset, frames, method=method, offset=offset, points=lambda frame: _landmarks(frame, face))
            yield _row(clip, method, WHOLE, apex)


def _row(clip: Clip, method: str, frames: str, apex: int) -> SpottedApex:
    assert clip.apex is not None
    return SpottedApex(clip.name, method, frames, clip.apex, apex, apex - clip.apex)


def _crops(clip: Clip, onset: Gray, moving: list[int], box: Box, registered: bool) -> Iterator[tuple[int, Gray]]:
    """Yield (number, crop) of the onset and the later frames, as `prepare` crops them."""
    neutral = crop_face(onset, box, IDENTITY, SIZE)
    yield clip.onset, to_gray(neutral)
    for number, frame in read_frames(clip.frames, moving):
        yield number, crop_frame(frame, onset, neutral, box, register=registered)[0]


def _landmarks(frame: Gray, of_onset: Face) -> Points:
    face = find_face([frame])
    return of_onset.points if face is None else face.points


def _scores(rows: Sequence[SpottedApex], excluded: str) -> list[MethodScore]:
    """Return one score per method and kind of frames, in the order of ``METHODS``."""
    scores = []
    kinds = sorted({(row.method, row.frames) for row in rows}, key=lambda kind: (METHODS.index(kind[0]), kind[1]))
    for method, frames in kinds:
        own = [row for row in rows if (row.method, row.frames) == (method, frames)]
        errors = [abs(row.error) for row in own]
        worst = max(own, key=lambda row: abs(row.error))
        within = statistics.fmean(error <= 1 for error in errors)
        mean, median = statistics.fmean(errors), statistics.median(errors)
        scores.append(MethodScore(method, frames, excluded, len(own), mean, median, within, max(errors), worst.clip))
    return scores


def _markdown(scores: Sequence[MethodScore]) -> str:
    head = ["method", "frames", "clips", "mean", "median", "within 1", "worst"]
    cells = [
        [
            s.method,
            s.frames,
            str(s.clips),
            f"{s.mean:.2f}",
            f"{s.median:g}",
            f"{s.within_1:.0%}",
            f"{s.most}: {s.worst}",
        ]
        for s in scores
    ]
    return markdown_table(head, cells)


if __name__ == "__main__":
    sys.exit(main())
