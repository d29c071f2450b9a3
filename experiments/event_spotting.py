"""Recall and false alarms of event spotting in an hour of video.

    python -m experiments.event_spotting --raw=clips.csv --out=runs/spotting [--minutes=60] [--fps=60] [--seed=0]

Builds a video of the clips: each subject for a minute, with unchanged clips in random order and 2 to 6 seconds of rest
before and after each clip. A rest shows the onset of the clip with the drift of head and light that was measured in the
clips, and with new camera noise; the drift leads from the end of one clip to the beginning of the next. The events are
then spotted by `icegan_jax.data.spotting`, whose constants were chosen on drawn faces, and compared. Without --raw,
faces are drawn (--subjects, --frames).

Writes OUT/video.mkv, OUT/planted.csv, OUT/spotted.csv, OUT/trace.csv, and OUT/table.csv, a row per
subject and one for all. There are two criteria: "iou", that of the MEGC challenges: the intersection of the spotted and
the planted interval is at least half of their union; "apex", the older criterion: the spotted apex lies in the planted
interval. Every planted event is matched at most once; a spotted micro-expression without a match is a false alarm.
"""

import argparse
import bisect
import csv
import itertools
import math
import resource
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from experiments.shared.tables import markdown_table
from icegan_jax.cli import ArgumentParser, run_command
from icegan_jax.data.align import crop_face, estimate_motion
from icegan_jax.data.clips import Clip, read_clips
from icegan_jax.data.landmarks import find_face
from icegan_jax.data.spotting import ROW_FIELDS, Event, spot_events
from icegan_jax.data.synthetic import draw_clips
from icegan_jax.data.video import list_frames, read_frames, write_video
from icegan_jax.errors import UserError
from icegan_jax.io import write_text

Gray = NDArray[np.uint8]
Trajectory = NDArray[np.float64]

SUBJECT_SECONDS = 60.0  # of one subject before the next
REST_SECONDS = (2.0, 6.0)
MIN_IOU = 0.5  # of the criterion "iou" (MEGC 2019 and later)


@dataclass(frozen=True)
class MeasuredClip:
    """The frames of a clip, with the measured motion of the head, light and noise.

    Attributes:
        clip: the annotation.
        frames: uint8[h, w] each, from onset to offset.
        center: float64[2], x and y of the face's center in the onset.
        trajectory: float64[n, 4], head and light of every frame relative to the onset: shift in pixels (x, y), rotation
            about the center in radians, and logarithm of the brightness.
        noise: standard deviation of the camera noise in gray levels.
    """

    clip: Clip
    frames: list[Gray]
    center: NDArray[np.float64]
    trajectory: Trajectory
    noise: float


@dataclass(frozen=True)
class VideoSegment:
    """Consecutive frames of the video: a clip, or a rest before a clip or at the end of a subject's minute.

    Attributes:
        first: number of the first frame.
        frames: number of frames.
        source: the clip, or the clip after the rest.
        previous: the clip before the rest; None at the beginning of a subject's minute.
        is_rest: whether the frames are a rest.
    """

    first: int
    frames: int
    source: MeasuredClip
    previous: MeasuredClip | None
    is_rest: bool


@dataclass(frozen=True)
class PlantedEvent:
    """A clip in the video; a row of planted.csv."""

    subject: str
    clip: str
    onset: int
    apex: int
    offset: int


@dataclass(frozen=True)
class Score:
    """The scores of a subject's events, or of all events; a row of table.csv."""

    subject: str
    minutes: float
    planted: int
    spotted: int
    iou_recall: float
    iou_false_per_minute: float
    apex_recall: float
    apex_false_per_minute: float
    apex_error_mean: float
    apex_error_median: float
    macro: int


def main(argv: Sequence[str] | None = None) -> int:
    """Run the experiment and return the exit code: 0, or 2 for invalid input."""
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--raw", type=Path, metavar="CLIPS.CSV", help="clips with their apex (default: drawn faces)")
    add("--out", required=True, type=Path, help="folder of the video and the tables")
    add("--minutes", type=float, default=60.0, help="length of the video (default: 60)")
    add("--fps", type=float, default=60.0, help="frames per second of the clips (default: 60)")
    add("--exclude", action="append", default=[], metavar="SUBJECT/CLIP", help="a clip that does not move; repeatable")
    add("--subjects", type=int, default=2, help="drawn persons, three clips each (default: 2)")
    add("--frames", type=int, default=21, help="frames per drawn clip (default: 21)")
    add("--seed", type=int, default=0, help="seed of the order, the rests and the drawn faces (default: 0)")
    args = parser.parse_args(argv)
    return run_command(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    if not (args.minutes > 0 and args.fps > 0 and args.seed >= 0):
        raise UserError("--minutes and --fps must be positive, and --seed not negative")
    args.out.mkdir(parents=True, exist_ok=True)
    people = _people(args)
    video = args.out / "video.mkv"
    length = round(args.minutes * 60 * args.fps)
    rng = np.random.default_rng(args.seed)
    segments = plan_video(people, length, args.fps, rng)
    planted = list_planted_events(segments)
    write_text(args.out / "planted.csv", as_csv(planted))
    drift = Drift.of([source.trajectory for clips in people.values() for source in clips])
    drawn = (frame for segment in segments for frame in render_segment(segment, drift, rng))
    bar = tqdm(drawn, total=length, desc="building", unit="frame")
    write_video(video, ((i / args.fps, frame) for i, frame in enumerate(bar)), args.fps)

    with (args.out / "trace.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(ROW_FIELDS)
        start, work = time.perf_counter(), time.process_time()
        frames = tqdm(read_frames(video, range(length)), total=length, desc="spotting", unit="frame")
        spotting = spot_events(frames, args.fps, on_row=lambda row: writer.writerow(astuple(row)))
        wall_rate, cpu_rate = length / (time.perf_counter() - start), length / (time.process_time() - work)
    write_text(args.out / "spotted.csv", as_csv(spotting.events))
    table = score_table(planted, spotting.events, segments, args.fps, args.exclude)
    write_text(args.out / "table.csv", as_csv(table))
    print(markdown(table))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{length} frames at {wall_rate:.0f} frames per second, {cpu_rate:.0f} per second of one core's work")
    print(f"peak memory: {peak:.0f} MiB")


def _people(args: argparse.Namespace) -> dict[str, list[MeasuredClip]]:
    """Read the clips of every subject, one clip at a time."""
    raw = args.raw
    if raw is None:
        raw = args.out / f"drawn_{args.seed}_{args.subjects}_{args.frames}" / "clips.csv"
        if not raw.exists():
            options = {"subjects": args.subjects, "clips_per_class": 1, "frames": args.frames, "seed": args.seed}
            draw_clips(raw.parent, **options, progress=True)
    people: dict[str, list[MeasuredClip]] = {}
    for clip in tqdm(read_clips(raw), desc="measuring", unit="clip"):
        people.setdefault(clip.subject, []).append(measure_clip(clip))
    known = {f"{source.clip.subject}/{source.clip.clip}" for clips in people.values() for source in clips}
    for name in args.exclude:
        if name not in known:
            raise UserError(f"--exclude={name}: no such clip in {raw}; give SUBJECT/CLIP")
    sizes = {frame.shape for clips in people.values() for source in clips for frame in source.frames}
    if len(sizes) > 1:
        raise UserError(f"{raw}: frames of {len(sizes)} sizes; a video has one, give clips of one size")
    return people


def measure_clip(clip: Clip) -> MeasuredClip:
    """Read a clip and measure the motion of the head, the light and the noise.

    Raises:
        UserError: the apex is not annotated, a frame cannot be read, or no face is detected in the onset.
    """
    if clip.apex is None:
        raise UserError(f"clip {clip.name}: the apex is empty; fill in the column apex")
    numbers = [n for n in list_frames(clip.frames) if clip.onset <= n <= clip.offset]
    if numbers != list(range(clip.onset, clip.offset + 1)):
        raise UserError(f"clip {clip.name}: frames are missing between onset and offset; restore them")
    frames = [frame for _, frame in read_frames(clip.frames, numbers)]
    face = find_face(frames[:1])
    if face is None:
        raise UserError(f"clip {clip.name}: no face in the onset; remove the row or give frames with a frontal face")
    box = face.box().within(frames[0].shape)
    center = np.array([(box.left + box.right) / 2, (box.top + box.bottom) / 2])
    trajectory = np.zeros((len(frames), 4))
    for i, frame in enumerate(frames):
        motion = estimate_motion(frames[0], frame, box)
        if motion is None:
            raise UserError(f"clip {clip.name}: frame {numbers[i]} cannot be registered to the onset; remove the row")
        trajectory[i, :2] = motion[:, :2] @ center + motion[:, 2] - center
        trajectory[i, 2] = math.atan2(motion[1, 0], motion[0, 0])
        trajectory[i, 3] = math.log(crop_face(frame, box, motion, 32).mean())
    trajectory[:, 3] -= trajectory[0, 3]
    noise = float(np.mean([estimate_noise(a, b) for a, b in itertools.pairwise(frames)]))
    return MeasuredClip(clip, frames, center, trajectory, noise)


def estimate_noise(a: Gray, b: Gray) -> float:
    """Return the deviation of the camera noise, from the difference of the fine detail of two frames."""
    change = a.astype(np.float32) - b
    fine = np.abs(change - cv2.blur(change, (5, 5)))
    # A pixel minus the mean of its 5x5 neighborhood keeps 24/25 of the variance; a difference has twice the variance.
    return float(np.median(fine)) / 0.6745 / math.sqrt(2 * 24 / 25)


@dataclass(frozen=True)
class Drift:
    """Root mean squares float64[4] of the distance of head and light from the onset, and of the change per frame."""

    reach: Trajectory
    step: Trajectory

    @classmethod
    def of(cls, trajectories: Sequence[Trajectory]) -> "Drift":
        """Measure the drift over all clips, with equal values for both directions of the shift."""
        reach = np.sqrt(np.mean(np.concatenate(trajectories) ** 2, axis=0))
        step = np.sqrt(
            np.mean(np.concatenate([np.diff(trajectory, axis=0) for trajectory in trajectories]) ** 2, axis=0)
        )
        for rms in (reach, step):
            rms[:2] = math.sqrt(float(np.mean(rms[:2] ** 2)))
        return cls(np.maximum(reach, 1e-9), np.clip(step, 1e-9, reach))

    def sample(self, frames: int, rng: np.random.Generator) -> Trajectory:
        """Draw a trajectory float64[frames, 4]: noise that was smoothed twice, with this reach and step."""
        keep = np.exp(-self.step / self.reach)
        # Variance of an autoregression with the double pole ``keep``, from noise of variance 1.
        size = np.sqrt((1 + keep**2) / (1 - keep**2) ** 3)
        warm_up = int(np.ceil((8 / (1 - keep)).max()))
        once, twice, path = np.zeros(4), np.zeros(4), np.empty((frames, 4))
        for i in range(-warm_up, frames):
            once = keep * once + rng.standard_normal(4)
            twice = keep * twice + once
            if i >= 0:
                path[i] = twice / size * self.reach
        return path


def plan_video(
    people: dict[str, list[MeasuredClip]], length: int, fps: float, rng: np.random.Generator
) -> list[VideoSegment]:
    """Plan a video of ``length`` frames, in which subjects alternate every minute, with their clips in random order.

    Every minute ends with a rest of at least the shortest length.
    """
    segments: list[VideoSegment] = []
    order: list[str] = []
    at = 0
    while at < length:
        order = order or [str(name) for name in rng.permutation(sorted(people))]
        clips = people[order.pop()]
        stop = min(length, at + round(SUBJECT_SECONDS * fps))
        queue: list[int] = []
        previous: MeasuredClip | None = None
        while True:
            queue = queue or [int(i) for i in rng.permutation(len(clips))]
            source, pause = clips[queue[-1]], round(rng.uniform(*REST_SECONDS) * fps)
            if at + pause + len(source.frames) + round(REST_SECONDS[0] * fps) > stop:
                break
            queue.pop()
            segments.append(VideoSegment(at, pause, source, previous, True))
            segments.append(VideoSegment(at + pause, len(source.frames), source, None, False))
            at, previous = at + pause + len(source.frames), source
        segments.append(VideoSegment(at, stop - at, previous or source, previous, True))
        at = stop
    return segments


def list_planted_events(segments: Iterable[VideoSegment]) -> list[PlantedEvent]:
    """Return the planted events of a video, in order."""
    events = []
    for segment in segments:
        if not segment.is_rest:
            clip = segment.source.clip
            assert clip.apex is not None
            apex, last = segment.first + clip.apex - clip.onset, segment.first + segment.frames - 1
            events.append(PlantedEvent(clip.subject, clip.clip, segment.first, apex, last))
    return events


def render_segment(segment: VideoSegment, drift: Drift, rng: np.random.Generator) -> Iterator[Gray]:
    """Yield the frames of a segment, uint8[h, w].

    The frames of a rest lead from the onset of the previous clip, with the head and light at the end of that clip, to
    the unchanged onset of the next clip.
    """
    if not segment.is_rest:
        yield from segment.source.frames
        return
    before, after = segment.previous or segment.source, segment.source
    start = np.zeros(4) if segment.previous is None else segment.previous.trajectory[-1]
    trajectory = drift.sample(segment.frames + 1, rng)
    share = np.linspace(0, 1, segment.frames + 1)
    share = share * share * (3 - 2 * share)
    trajectory -= (1 - share)[:, None] * (trajectory[0] - start) + share[:, None] * trajectory[-1]
    height, width = after.frames[0].shape
    for (x, y, rotation, light), weight in zip(trajectory[:-1], share[:-1], strict=True):
        face = np.float32(1 - weight) * before.frames[0] + np.float32(weight) * after.frames[0]
        rotation_matrix = np.array(
            [[math.cos(rotation), -math.sin(rotation)], [math.sin(rotation), math.cos(rotation)]]
        )
        shift = after.center + (x, y) - rotation_matrix @ after.center
        onto = np.column_stack([rotation_matrix, shift])
        face = cv2.warpAffine(face, onto, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        noise = (1 - weight) * before.noise + weight * after.noise
        face = face * np.float32(math.exp(light)) + np.float32(noise) * rng.standard_normal(face.shape, np.float32)
        yield np.clip(np.rint(face), 0, 255).astype(np.uint8)


def interval_iou(planted: PlantedEvent, event: Event) -> float:
    """Return the intersection of two intervals over their union, in frames."""
    both = min(planted.offset, event.offset) - max(planted.onset, event.onset) + 1
    either = max(planted.offset, event.offset) - min(planted.onset, event.onset) + 1
    return max(0, both) / either


def match_events(
    planted: Sequence[PlantedEvent], events: Sequence[Event], criterion: str
) -> list[tuple[PlantedEvent, Event]]:
    """Match each planted event with the spotted event of largest overlap by the criterion; each is used once."""
    unmatched = list(events)
    matches = []
    for planted_event in planted:
        if criterion == "iou":
            candidates = [event for event in unmatched if interval_iou(planted_event, event) >= MIN_IOU]
        else:
            candidates = [event for event in unmatched if planted_event.onset <= event.apex <= planted_event.offset]
        if candidates:
            best = max(candidates, key=lambda event: interval_iou(planted_event, event))
            unmatched.remove(best)
            matches.append((planted_event, best))
    return matches


def score_table(
    planted: Sequence[PlantedEvent],
    events: Sequence[Event],
    segments: Sequence[VideoSegment],
    fps: float,
    excluded: Sequence[str],
) -> list[Score]:
    """Return a row per subject, one for all, and one without the excluded clips, if there are any."""
    subject_of_segment = {segment.first: segment.source.clip.subject for segment in segments}
    firsts = sorted(subject_of_segment)
    owner = [subject_of_segment[firsts[bisect.bisect_right(firsts, event.apex) - 1]] for event in events]
    table = []
    for subject in sorted(set(subject_of_segment.values())):
        frames = sum(segment.frames for segment in segments if segment.source.clip.subject == subject)
        own = [event for event, name in zip(events, owner, strict=True) if name == subject]
        table.append(
            score_events(
                subject,
                [planted_event for planted_event in planted if planted_event.subject == subject],
                own,
                frames / fps / 60,
            )
        )
    minutes = sum(segment.frames for segment in segments) / fps / 60
    table.append(score_events("all", planted, events, minutes))
    if excluded:
        kept = [
            planted_event
            for planted_event in planted
            if f"{planted_event.subject}/{planted_event.clip}" not in excluded
        ]
        table.append(score_events(f"all without {' '.join(excluded)}", kept, events, minutes))
    return table


def score_events(subject: str, planted: Sequence[PlantedEvent], events: Sequence[Event], minutes: float) -> Score:
    """Compare spotted micro-expressions with planted ones; longer expressions are only counted."""
    micro = [event for event in events if event.kind == "micro"]
    iou, apex = (match_events(planted, micro, criterion) for criterion in ("iou", "apex"))
    errors = [abs(event.apex - planted_event.apex) for planted_event, event in apex]
    return Score(
        subject,
        minutes,
        len(planted),
        len(micro),
        len(iou) / len(planted) if planted else math.nan,
        (len(micro) - len(iou)) / minutes,
        len(apex) / len(planted) if planted else math.nan,
        (len(micro) - len(apex)) / minutes,
        statistics.fmean(errors) if errors else math.nan,
        statistics.median(errors) if errors else math.nan,
        len(events) - len(micro),
    )


def as_csv(rows: Sequence[Any]) -> str:
    """Return dataclass objects as CSV with their fields as columns, or an empty text without rows."""
    return pd.DataFrame(rows).to_csv(index=False) if rows else ""


def markdown(table: Sequence[Score]) -> str:
    """Return the table as Markdown."""
    head = ["subject", "minutes", "planted", "spotted", "recall, IoU", "false/min", "recall, apex", "false/min"]
    head += ["apex error", "median", "longer"]
    cells = [
        [s.subject, f"{s.minutes:.1f}", str(s.planted), str(s.spotted), f"{s.iou_recall:.3f}"]
        + [f"{s.iou_false_per_minute:.2f}", f"{s.apex_recall:.3f}", f"{s.apex_false_per_minute:.2f}"]
        + [f"{s.apex_error_mean:.2f}", f"{s.apex_error_median:g}", str(s.macro)]
        for s in table
    ]
    return markdown_table(head, cells)


if __name__ == "__main__":
    sys.exit(main())
