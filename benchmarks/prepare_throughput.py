"""Throughput of registration, crop and apex spotting, and memory per clip as the clip grows.

    python -m benchmarks.prepare_throughput [--raw=clips.csv] [--scale=2] [--workers=N] [--json]

Clips of any length are made by repeating one short clip, drawn or the first of --raw, forwards and backwards. Frames
are enlarged --scale times: a drawn face is then about as large as in CASME II. Prints a table, or JSON with --json;
both contain the machine, the date and the command.

Parts run in one process on one thread, on frames in memory. "Together" is `prepare_clips`: reading, face detection,
registration, crop, spotting and writing, including the start of the worker processes. Memory is the peak of a whole
process that spots and crops one clip. The growth of that peak ends where 256 crops, 4 MiB, are cached. Each figure is
one run in a new process.
"""

import argparse
import contextlib
import itertools
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from benchmarks.command import (
    Result,
    create_parser,
    markdown,
    peak_rss_gib,
    run_benchmark,
    run_in_new_process,
    versions,
)
from icegan_jax.data.align import IDENTITY, crop_face, estimate_motion, match_brightness, to_gray
from icegan_jax.data.apex import METHODS, points_in_crop, spot_apex
from icegan_jax.data.clips import Clip, frames_after_onset, read_clips
from icegan_jax.data.crop import SIZE, CropOptions, crop_clip
from icegan_jax.data.ingest.build import prepare_clips
from icegan_jax.data.ingest.repairs import repair_annotation
from icegan_jax.data.landmarks import Gray, find_face
from icegan_jax.data.synthetic import draw_clips
from icegan_jax.data.video import list_frames, read_frames
from icegan_jax.errors import UserError

PART_FRAMES = 100  # frames on which the parts are timed
TOGETHER = ("workers", "frames", "seconds", "cpu_seconds", "frames_per_second")  # columns of that table
PACKAGES = ("numpy", "opencv-python-headless", "dlib-bin", "pillow")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    parser = create_parser("prepare_throughput", __doc__)
    add = parser.add_argument
    add("--raw", type=Path, metavar="CLIPS.CSV", help="clips, of which the first is used (default: a drawn clip)")
    add("--scale", type=float, default=2.0, help="enlarges the frames (default: 2)")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per CPU core)")
    add("--clips", type=int, default=24, help="clips of 100 frames prepared together (default: 24)")
    add("--lengths", type=int, nargs="+", default=[25, 100, 400, 1600], help="frames per clip, for the memory")
    return run_benchmark(parser, _measure_in_temporary_folder, _table, argv)


def _measure_in_temporary_folder(args: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        return _measure(args, Path(folder))


def _measure(args: argparse.Namespace, folder: Path) -> Result:
    """Measure in new processes, as a process inherits its parent's peak memory."""
    source = folder / "source"
    width, height = run_in_new_process(write_source, args.raw, source, args.scale)
    lengths = sorted({PART_FRAMES, *args.lengths})
    for length in lengths:
        write_clip(source, folder / str(length), length)
    clip = folder / str(PART_FRAMES)
    memory = {n: run_in_new_process(peak_memory, folder / str(n)) for n in args.lengths}
    parts = run_in_new_process(time_parts, clip)
    together = {
        n: run_in_new_process(time_together, clip, folder / f"all_{n}", args.clips, n)
        for n in sorted({1, args.workers})
    }
    return {
        "versions": versions(*PACKAGES),
        "frame_pixels": [width, height],
        "crop_pixels": SIZE,
        "parts_frames_per_second": parts,
        "together": [{"workers": n, "frames": args.clips * PART_FRAMES, **figures} for n, figures in together.items()],
        "peak_memory_mib": [{"frames": n, "mib": mib} for n, mib in memory.items()],
    }


def write_source(raw: Path | None, out: Path, scale: float) -> tuple[int, int]:
    """Write the enlarged frames of the short clip as out/0.jpg, out/1.jpg, ..., and return their width and height."""
    if raw is None:
        raw = draw_clips(out.with_name("drawn"), seed=0, subjects=1, clips_per_class=1, frames=25, progress=False)
    clip = read_clips(raw)[0]
    numbers = list_frames(clip.frames)
    clip, _ = repair_annotation(clip, numbers)
    out.mkdir()
    image = None
    for i, (_, frame) in enumerate(read_frames(clip.frames, [clip.onset, *frames_after_onset(clip, numbers)])):
        image = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(out / f"{i}.jpg"), image)
    assert image is not None
    return image.shape[1], image.shape[0]


def write_clip(source: Path, out: Path, length: int) -> None:
    """Write ``length`` frames: those of ``source`` repeated forwards and backwards."""
    files = [source / f"{n}.jpg" for n in list_frames(source)]
    out.mkdir()
    for n, file in enumerate(itertools.islice(itertools.cycle([*files, *files[-2:0:-1]]), length)):
        (out / f"img{n}.jpg").write_bytes(file.read_bytes())


def peak_memory(frames: Path) -> float:
    """Spot and crop one clip in this process, and return the process's peak memory in MiB."""
    crop_clip(_clip(frames, 0), CropOptions())
    return round(peak_rss_gib() * 2**10, 1)


def time_together(frames: Path, out: Path, clips: int, workers: int) -> dict[str, float]:
    """Prepare the same clip several times; CPU seconds are those of all processes."""
    before = _cpu_seconds()
    with _Clock() as clock:
        prepare_clips([_clip(frames, i) for i in range(clips)], out, workers=workers, progress=False)
    return {
        "seconds": round(clock.seconds, 2),
        "cpu_seconds": round(_cpu_seconds() - before, 2),
        "frames_per_second": round(clips * PART_FRAMES / clock.seconds, 1),
    }


def _cpu_seconds() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def time_parts(folder: Path) -> dict[str, float]:
    """Return the frames per second of each part; face detection is counted once per clip."""
    cv2.setNumThreads(1)
    speed: dict[str, float] = {}

    @contextlib.contextmanager
    def timed(name: str, count: int) -> Iterator[None]:
        with _Clock() as clock:
            yield
        speed[name] = round(count / clock.seconds, 1)

    numbers = list_frames(folder)
    with timed("read", len(numbers)):
        images: dict[int, Gray] = dict(read_frames(folder, numbers))
    onset, moving = images[numbers[0]], numbers[1:]
    find_face([onset])  # loads the models
    with timed("find face (once per clip)", 1):
        face = find_face([onset])
    if face is None:
        raise UserError("no face in the first clip's onset; give another --raw or --scale")
    box = face.box().within(onset.shape)
    with timed("register", len(moving)):
        motions = {n: estimate_motion(onset, images[n], box) for n in moving}
    neutral = crop_face(onset, box, IDENTITY, SIZE)
    crops = {}
    with timed("crop", len(moving)):
        for n in moving:
            motion = motions[n]
            crop = crop_face(images[n], box, IDENTITY if motion is None else motion, SIZE)
            crops[n] = to_gray(match_brightness(crop, neutral))
    points = points_in_crop(face.points, box, SIZE)
    for method in METHODS[:-1]:
        with timed(f"spot, {method}", len(moving)):
            spot_apex(to_gray(neutral), crops.items(), method=method, offset=crops[moving[-1]], points=points)
    return speed


class _Clock:
    """Measure the wall time of a with-block."""

    seconds = 0.0

    def __enter__(self) -> "_Clock":
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start


def _clip(frames: Path, number: int) -> Clip:
    """Return the frames as a clip without an annotated apex."""
    numbers = list_frames(frames)
    return Clip("benchmark", f"s{number}", "clip", 0, frames, numbers[0], None, numbers[-1])


def _table(result: Result) -> str:
    width, height = result["frame_pixels"]
    tables = [
        markdown(["part", "frames per second"], list(result["parts_frames_per_second"].items())),
        markdown(TOGETHER, [[row[column] for column in TOGETHER] for row in result["together"]]),
        markdown(["frames in a clip", "peak memory, MiB"], [list(row.values()) for row in result["peak_memory_mib"]]),
    ]
    return "\n\n".join([f"frames of {width}x{height}, crops of {result['crop_pixels']} pixels", *tables])


if __name__ == "__main__":
    sys.exit(main())
