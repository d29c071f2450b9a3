"""How many micro-expressions of an hour of video are spotted, and how often is there a false alarm?

    python -m experiments.event_spotting --raw=clips.csv --out=runs/spotting [--minutes=60] [--fps=60] [--seed=0]

Builds a video of the clips: each person for a minute, every clip untouched, in random order, with 2 to 6 seconds of
rest before and after it. A rest is the clip's own onset, moved and lit as heads and light drift in the clips (measured
there), with fresh noise of the camera; its drift leads from where one clip ended to where the next begins. Then spots
the events with `icegan_jax.data.spotting`, whose numbers were chosen on drawn faces, and compares. Without --raw, faces
are drawn (--subjects, --frames).

Writes OUT/video.avi, OUT/planted.csv, OUT/spotted.csv, OUT/trace.csv, OUT/memory.csv, and OUT/table.csv, a row per
person and one for all. Two criteria: "iou", that of the MEGC challenges: spotted and planted intervals share at least
half of what either covers; "apex", the older one: the spotted apex lies in the planted interval. Every planted event is
hit once at most; a spotted micro-expression that hits none is a false alarm.
"""

import argparse
import bisect
import csv
import io
import itertools
import math
import resource
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.align import crop_face, estimate_motion
from icegan_jax.data.clips import Clip, read_clips
from icegan_jax.data.landmarks import find_face
from icegan_jax.data.spotting import ROW_FIELDS, Event, TraceRow, spot_events
from icegan_jax.data.synthetic import draw_clips
from icegan_jax.data.video import list_frames, read_frames
from icegan_jax.errors import UserError
from icegan_jax.io import write_text

Gray = NDArray[np.uint8]
Trajectory = NDArray[np.float64]

STRETCH_SECONDS = 60.0  # of one person
REST_SECONDS = (2.0, 6.0)
LEAST_OVERLAP = 0.5  # of the criterion "iou" (MEGC 2019 and after)
MEMORY_SAMPLES = 12


@dataclass(frozen=True)
class MeasuredClip:
    """A clip as it is played.

    Attributes:
        clip: its row.
        frames: uint8[h, w] each, from onset to offset.
        middle: float64[2], x and y of the face's middle in the onset.
        course: float64[n, 4], head and light of every frame against the onset: shift in pixels (x, y), turn about the
            middle in radians, and the logarithm of the brightness.
        noise: standard deviation of the camera's noise, gray levels.
    """

    clip: Clip
    frames: list[Gray]
    middle: NDArray[np.float64]
    course: Trajectory
    noise: float


@dataclass(frozen=True)
class VideoSegment:
    """Consecutive frames of the video: a clip, or a rest before a clip or at the end of a person's stretch.

    Attributes:
        first: the number of its first frame.
        frames: how many.
        taken: the clip, or the one that the rest leads to.
        since: the clip that the rest follows; None at the beginning of a stretch.
        resting: whether it is a rest.
    """

    first: int
    frames: int
    taken: MeasuredClip
    since: MeasuredClip | None
    resting: bool


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
    """What was found of a person's events, or of everybody's; a row of the table."""

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
    """Build, spots, prints the table and writes it; returns 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--raw", type=Path, metavar="CLIPS.CSV", help="clips with their apex (default: drawn faces)")
    add("--out", required=True, type=Path, help="folder of the video and the tables")
    add("--minutes", type=float, default=60.0, help="length of the video (default: 60)")
    add("--fps", type=float, default=60.0, help="frames per second at which the clips are played (default: 60)")
    add("--exclude", action="append", default=[], metavar="SUBJECT/CLIP", help="a clip that does not move; repeatable")
    add("--subjects", type=int, default=2, help="drawn persons, three clips each (default: 2)")
    add("--frames", type=int, default=21, help="frames per drawn clip (default: 21)")
    add("--seed", type=int, default=0, help="of the order, the rests and the drawing (default: 0)")
    args = parser.parse_args(argv)
    try:
        _run(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _run(args: argparse.Namespace) -> None:
    if not (args.minutes > 0 and args.fps > 0 and args.seed >= 0):
        raise UserError("--minutes and --fps must be positive, and --seed not negative")
    args.out.mkdir(parents=True, exist_ok=True)
    people = _people(args)
    video = args.out / "video.avi"
    length = round(args.minutes * 60 * args.fps)
    rng = np.random.default_rng(args.seed)
    pieces = plan_video(people, length, args.fps, rng)
    planted = list_planted_events(pieces)
    write_text(args.out / "planted.csv", as_csv(planted))
    drift = Drift.of([taken.course for clips in people.values() for taken in clips])
    drawn = (frame for piece in pieces for frame in render_segment(piece, drift, rng))
    write_video(video, tqdm(drawn, total=length, desc="building", unit="frame"), args.fps)

    memory = MemorySampler(length)
    with (args.out / "trace.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(ROW_FIELDS)

        def keep(row: TraceRow) -> None:
            writer.writerow(astuple(row))
            memory.count()

        start, work = time.perf_counter(), time.process_time()
        frames = tqdm(read_video(video), total=length, desc="spotting", unit="frame")
        spotting = spot_events(frames, args.fps, on_row=keep)
        pace, alone = length / (time.perf_counter() - start), length / (time.process_time() - work)
    write_text(args.out / "spotted.csv", as_csv(spotting.events))
    write_text(args.out / "memory.csv", as_csv(memory.samples))
    table = score_table(planted, spotting.events, pieces, args.fps, args.exclude)
    write_text(args.out / "table.csv", as_csv(table))
    print(markdown(table))
    told = ", ".join(f"{sample.mebibytes:.0f} ({sample.peak:.0f})" for sample in memory.samples)
    print(f"{length} frames at {pace:.0f} frames per second, {alone:.0f} per second of one core's work")
    print(f"memory along the way in MiB (and the most until then): {told}")


def _people(args: argparse.Namespace) -> dict[str, list[MeasuredClip]]:
    """Read every person's clips, a clip at a time."""
    raw = args.raw
    if raw is None:
        raw = args.out / f"drawn_{args.seed}_{args.subjects}_{args.frames}" / "clips.csv"
        if not raw.exists():
            options = {"subjects": args.subjects, "clips_per_class": 1, "frames": args.frames, "seed": args.seed}
            draw_clips(raw.parent, **options, progress=True)
    people: dict[str, list[MeasuredClip]] = {}
    for clip in tqdm(read_clips(raw), desc="measuring", unit="clip"):
        people.setdefault(clip.subject, []).append(measure_clip(clip))
    known = {f"{taken.clip.subject}/{taken.clip.clip}" for clips in people.values() for taken in clips}
    for name in args.exclude:
        if name not in known:
            raise UserError(f"--exclude={name}: no such clip in {raw}; give SUBJECT/CLIP")
    sizes = {frame.shape for clips in people.values() for taken in clips for frame in taken.frames}
    if len(sizes) > 1:
        raise UserError(f"{raw}: frames of {len(sizes)} sizes; a video has one, give clips of one size")
    return people


def measure_clip(clip: Clip) -> MeasuredClip:
    """Read a clip and measures how head, light and noise behave in it.

    Raises:
        UserError: the apex is not given, a frame cannot be read, or the onset shows no face.
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
    middle = np.array([(box.left + box.right) / 2, (box.top + box.bottom) / 2])
    course = np.zeros((len(frames), 4))
    for i, frame in enumerate(frames):
        motion = estimate_motion(frames[0], frame, box)
        if motion is None:
            raise UserError(f"clip {clip.name}: frame {numbers[i]} cannot be registered to the onset; remove the row")
        course[i, :2] = motion[:, :2] @ middle + motion[:, 2] - middle
        course[i, 2] = math.atan2(motion[1, 0], motion[0, 0])
        course[i, 3] = math.log(crop_face(frame, box, motion, 32).mean())
    course[:, 3] -= course[0, 3]
    noise = float(np.mean([estimate_noise(a, b) for a, b in itertools.pairwise(frames)]))
    return MeasuredClip(clip, frames, middle, course, noise)


def estimate_noise(a: Gray, b: Gray) -> float:
    """The deviation of the noise of two frames, from what their fine detail does not share."""
    change = a.astype(np.float32) - b
    fine = np.abs(change - cv2.blur(change, (5, 5)))
    # A pixel less its 25 neighbors' mean keeps 24/25 of the variance; two frames have twice that of one.
    return float(np.median(fine)) / 0.6745 / math.sqrt(2 * 24 / 25)


@dataclass(frozen=True)
class Drift:
    """How far head and light are from the onset's, and how far they move in a frame: float64[4] each, rms."""

    reach: Trajectory
    step: Trajectory

    @classmethod
    def of(cls, courses: Sequence[Trajectory]) -> "Drift":
        """Measure it over all clips; both directions of the shift count alike."""
        reach = np.sqrt(np.mean(np.concatenate(courses) ** 2, axis=0))
        step = np.sqrt(np.mean(np.concatenate([np.diff(course, axis=0) for course in courses]) ** 2, axis=0))
        for rms in (reach, step):
            rms[:2] = math.sqrt(float(np.mean(rms[:2] ** 2)))
        return cls(np.maximum(reach, 1e-9), np.clip(step, 1e-9, reach))

    def wander(self, frames: int, rng: np.random.Generator) -> Trajectory:
        """Draw float64[frames, 4]: noise that was smoothed twice, with this reach and step."""
        keep = np.exp(-self.step / self.reach)
        # Variance of an autoregression with the double pole ``keep``, from noise of variance 1.
        size = np.sqrt((1 + keep**2) / (1 - keep**2) ** 3)
        ahead = int(np.ceil((8 / (1 - keep)).max()))
        once, twice, path = np.zeros(4), np.zeros(4), np.empty((frames, 4))
        for i in range(-ahead, frames):
            once = keep * once + rng.standard_normal(4)
            twice = keep * twice + once
            if i >= 0:
                path[i] = twice / size * self.reach
        return path


def plan_video(
    people: dict[str, list[MeasuredClip]], length: int, fps: float, rng: np.random.Generator
) -> list[VideoSegment]:
    """Plan a video of ``length`` frames: people take turns of a minute, and play their clips in random order.

    Every stretch ends with a rest of at least the shortest length.
    """
    pieces: list[VideoSegment] = []
    turns: list[str] = []
    at = 0
    while at < length:
        turns = turns or [str(name) for name in rng.permutation(sorted(people))]
        clips = people[turns.pop()]
        stop = min(length, at + round(STRETCH_SECONDS * fps))
        queue: list[int] = []
        since: MeasuredClip | None = None
        while True:
            queue = queue or [int(i) for i in rng.permutation(len(clips))]
            taken, pause = clips[queue[-1]], round(rng.uniform(*REST_SECONDS) * fps)
            if at + pause + len(taken.frames) + round(REST_SECONDS[0] * fps) > stop:
                break
            queue.pop()
            pieces.append(VideoSegment(at, pause, taken, since, True))
            pieces.append(VideoSegment(at + pause, len(taken.frames), taken, None, False))
            at, since = at + pause + len(taken.frames), taken
        pieces.append(VideoSegment(at, stop - at, since or taken, since, True))
        at = stop
    return pieces


def list_planted_events(pieces: Iterable[VideoSegment]) -> list[PlantedEvent]:
    """Return the clips of a video, in order."""
    found = []
    for piece in pieces:
        if not piece.resting:
            clip = piece.taken.clip
            assert clip.apex is not None
            apex, last = piece.first + clip.apex - clip.onset, piece.first + piece.frames - 1
            found.append(PlantedEvent(clip.subject, clip.clip, piece.first, apex, last))
    return found


def render_segment(piece: VideoSegment, drift: Drift, rng: np.random.Generator) -> Iterator[Gray]:
    """Yield the frames of a piece, uint8[h, w].

    Those of a rest go from the onset of the clip before, where its head and light have come to, to the onset of the
    clip that follows, as it is.
    """
    if not piece.resting:
        yield from piece.taken.frames
        return
    before, after = piece.since or piece.taken, piece.taken
    start = np.zeros(4) if piece.since is None else piece.since.course[-1]
    course = drift.wander(piece.frames + 1, rng)
    share = np.linspace(0, 1, piece.frames + 1)
    share = share * share * (3 - 2 * share)
    course -= (1 - share)[:, None] * (course[0] - start) + share[:, None] * course[-1]
    height, width = after.frames[0].shape
    for (x, y, turn, light), part in zip(course[:-1], share[:-1], strict=True):
        face = np.float32(1 - part) * before.frames[0] + np.float32(part) * after.frames[0]
        spin = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        shift = after.middle + (x, y) - spin @ after.middle
        onto = np.column_stack([spin, shift])
        face = cv2.warpAffine(face, onto, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        noise = (1 - part) * before.noise + part * after.noise
        face = face * np.float32(math.exp(light)) + np.float32(noise) * rng.standard_normal(face.shape, np.float32)
        yield np.clip(np.rint(face), 0, 255).astype(np.uint8)


def write_video(path: Path, frames: Iterable[Gray], fps: float) -> None:
    """Write frames as Motion JPEG, one at a time; an odd side gets its last row or column twice.

    Raises:
        UserError: the file cannot be written.
    """
    writer = None
    for frame in frames:
        # FFmpeg drops the last row of an odd number.
        h, w = frame.shape
        even = cv2.copyMakeBorder(frame, 0, h % 2, 0, w % 2, cv2.BORDER_REPLICATE)
        if writer is None:
            code = cv2.VideoWriter.fourcc(*"MJPG")
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, even.shape[::-1], isColor=False)
            if not writer.isOpened():
                raise UserError(f"{path}: cannot be written; choose another --out")
        writer.write(even)
    if writer is not None:
        writer.release()


def read_video(path: Path) -> Iterator[tuple[int, Gray]]:
    """Yield (position, uint8[h, w]) of a video's frames, one at a time."""
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    position = 0
    while True:
        ok, image = video.read()
        if not ok:
            break
        yield position, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        position += 1
    video.release()


@dataclass(frozen=True)
class MemorySample:
    """Memory of this process after so many rows; a row of memory.csv."""

    rows: int
    mebibytes: float
    peak: float


class MemorySampler:
    """Looks at the memory of this process at equal distances along a video of ``length`` frames."""

    def __init__(self, length: int) -> None:
        self.samples: list[MemorySample] = []
        self._rows = 0
        self._every = max(1, length // MEMORY_SAMPLES)

    def count(self) -> None:
        """Count a row."""
        self._rows += 1
        if self._rows % self._every == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            self.samples.append(MemorySample(self._rows, pages * resource.getpagesize() / 2**20, peak))


def interval_iou(planted: PlantedEvent, event: Event) -> float:
    """Return the frames in both intervals over the frames in either."""
    both = min(planted.offset, event.offset) - max(planted.onset, event.onset) + 1
    either = max(planted.offset, event.offset) - min(planted.onset, event.onset) + 1
    return max(0, both) / either


def match_events(
    planted: Sequence[PlantedEvent], events: Sequence[Event], criterion: str
) -> list[tuple[PlantedEvent, Event]]:
    """Pair planted events with the spotted one that overlaps most of those the criterion takes; each serves once."""
    free = list(events)
    found = []
    for plant in planted:
        if criterion == "iou":
            able = [event for event in free if interval_iou(plant, event) >= LEAST_OVERLAP]
        else:
            able = [event for event in free if plant.onset <= event.apex <= plant.offset]
        if able:
            best = max(able, key=lambda event: interval_iou(plant, event))
            free.remove(best)
            found.append((plant, best))
    return found


def score_table(
    planted: Sequence[PlantedEvent],
    events: Sequence[Event],
    pieces: Sequence[VideoSegment],
    fps: float,
    excluded: Sequence[str],
) -> list[Score]:
    """Return a row per person, one for all, and one without the clips that are excluded, if there are any."""
    whose = {piece.first: piece.taken.clip.subject for piece in pieces}
    firsts = sorted(whose)
    owner = [whose[firsts[bisect.bisect_right(firsts, event.apex) - 1]] for event in events]
    table = []
    for subject in sorted(set(whose.values())):
        frames = sum(piece.frames for piece in pieces if piece.taken.clip.subject == subject)
        mine = [event for event, name in zip(events, owner, strict=True) if name == subject]
        table.append(
            score_events(subject, [plant for plant in planted if plant.subject == subject], mine, frames / fps / 60)
        )
    minutes = sum(piece.frames for piece in pieces) / fps / 60
    table.append(score_events("all", planted, events, minutes))
    if excluded:
        kept = [plant for plant in planted if f"{plant.subject}/{plant.clip}" not in excluded]
        table.append(score_events(f"all without {' '.join(excluded)}", kept, events, minutes))
    return table


def score_events(subject: str, planted: Sequence[PlantedEvent], events: Sequence[Event], minutes: float) -> Score:
    """Compare the micro-expressions spotted with those planted; longer ones are counted only."""
    micro = [event for event in events if event.kind == "micro"]
    iou, apex = (match_events(planted, micro, criterion) for criterion in ("iou", "apex"))
    errors = [abs(event.apex - plant.apex) for plant, event in apex]
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


def as_csv(rows: Sequence[PlantedEvent] | Sequence[Event] | Sequence[MemorySample] | Sequence[Score]) -> str:
    """Return a table with the fields of the rows as columns; empty where there is no row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow([field.name for field in fields(rows[0])])
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue()


def markdown(table: Sequence[Score]) -> str:
    """Return the table to be printed."""
    head = ["person", "minutes", "planted", "spotted", "recall, IoU", "false/min", "recall, apex", "false/min"]
    head += ["apex error", "median", "longer"]
    cells = [
        [s.subject, f"{s.minutes:.1f}", str(s.planted), str(s.spotted), f"{s.iou_recall:.3f}"]
        + [f"{s.iou_false_per_minute:.2f}", f"{s.apex_recall:.3f}", f"{s.apex_false_per_minute:.2f}"]
        + [f"{s.apex_error_mean:.2f}", f"{s.apex_error_median:g}", str(s.macro)]
        for s in table
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *cells])


if __name__ == "__main__":
    sys.exit(main())
