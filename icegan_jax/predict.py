"""Recognize micro-expressions: in an onset/apex pair, a folder of frames, a video, a clips.csv, or before a camera.

python -m icegan_jax.predict --workdir=RUN --input=X --out=DIR
"""

import argparse
import functools
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from icegan_jax.cli import ArgumentParser, add_run_options, run_command
from icegan_jax.compilation_cache import enable_compilation_cache
from icegan_jax.data.crop import REGISTRATIONS, CropOptions
from icegan_jax.errors import UserError
from icegan_jax.inference import outputs
from icegan_jax.inference.ensemble import Ensemble, choose_folds, load_ensemble
from icegan_jax.inference.face_crops import FIRST, QUIETEST
from icegan_jax.inference.inputs import RECORDING_FILE, FrameSource, open_inputs, open_video, record_camera
from icegan_jax.inference.outputs import write_outputs
from icegan_jax.inference.recognize import is_long, recognize_clip, recognize_events
from icegan_jax.inference.visualize import ANNOTATED_VIDEO, annotate_video
from icegan_jax.io import atomic_dir, check_output_dir

EACH = "each"  # --exclude_subject of a clips.csv: of every clip its own person
AUTO, CLIP, EVENTS = "auto", "clip", "events"

EPILOG = """\
what X may be:
  two pictures       --input onset.png apex.png: the neutral face, then the expression
  a folder           frames whose names end in their number; name the rate with --fps
  a video            mp4, avi, mov, mkv or gif
  a clips.csv        as prepare reads it; onset and offset hold, an empty apex is spotted, labels are compared
  a camera           --input=0 records --seconds of the first camera, then reads that

A recording of up to 3 seconds is one clip: the face is found on the onset (--onset), the crop stays where it is, frames
are moved onto the onset, the apex is the frame that differs most from it. A longer one is searched for candidate events
first (--mode=events), each of which is then read in the same way; memory does not grow with its length.

what is written to DIR:
  predictions.csv    a row per clip or event: frames, seconds, answer, capsule length of each class, flags
  predictions.json   the same with the flags in sentences, the networks, the time it took
  index.html         the same to look at
  strips/            onset, apex and difference of each
  annotated.mp4      of a video: a copy with face, event and answer
  trace.csv          of a searched recording: change and head motion, frame by frame

examples:
  python -m icegan_jax.predict --workdir=RUN --input onset.png apex.png --out=answer
  python -m icegan_jax.predict --workdir=RUN --input=interview.mp4 --out=answer
  python -m icegan_jax.predict --workdir=RUN --input=frames --fps=200 --onset=quietest --out=answer
  python -m icegan_jax.predict --workdir=RUN --input=clips.csv --exclude_subject=each --out=answer

An answer is one of the classes that the run knows, whatever the face shows. It is no proof of a feeling and no lie
detector. exit code: 0 done; 2 bad input, in one line; 130 interrupted.
"""


def make_parser() -> ArgumentParser:
    """The command's arguments."""
    parser = ArgumentParser(prog="python -m icegan_jax.predict", description=__doc__.splitlines()[0], epilog=EPILOG)
    add_run_options(parser)
    group = parser.add_argument_group("what to read and where to write")
    text = "what to read, see below; of a pair two paths"
    group.add_argument("--input", required=True, action="extend", nargs="+", metavar="X", help=text)
    group.add_argument("--out", required=True, metavar="DIR", help="folder to make; earlier answers there are replaced")
    group = parser.add_argument_group("how")
    text = f"the neutral frame of a clip: {FIRST}, {QUIETEST} (where least moves), or a frame number (default: {FIRST})"
    group.add_argument("--onset", default=FIRST, type=_onset, metavar="FRAME", help=text)
    text = f"{CLIP}: one expression; {EVENTS}: search for them; {AUTO}: by the length (default)"
    group.add_argument("--mode", default=AUTO, choices=(AUTO, CLIP, EVENTS), help=text)
    text = "frames per second, of a folder or in place of what a video says"
    group.add_argument("--fps", type=_positive, metavar="N", help=text)
    group.add_argument("--seconds", type=_positive, default=10.0, help="how long a camera is recorded (default: 10)")
    text = "rigid: move each frame onto the onset, as prepare does by default; give what the run was prepared with"
    group.add_argument("--register", default=REGISTRATIONS[0], choices=REGISTRATIONS, help=text)
    group.add_argument("--no_copy", action="store_true", help="write no annotated.mp4")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code, see --help."""
    return run_command(lambda: _run(make_parser().parse_args(argv)))


def _run(args: argparse.Namespace) -> None:
    check_output_dir(args.out, outputs.PREDICTIONS_JSON, "predict")
    enable_compilation_cache(args.compilation_cache)
    given = args.input
    camera = len(given) == 1 and given[0].isdecimal() and not Path(given[0]).exists()
    if args.exclude_subject == EACH and args.fold:
        raise UserError(f"--fold={args.fold}: with --exclude_subject={EACH} the clips decide the fold; leave one out")
    if args.exclude_subject == EACH and not given[0].lower().endswith(".csv"):
        raise UserError(f"--exclude_subject={EACH}: only a clips.csv names the person of each clip; name the person")
    models = _Models(args)
    sources = [] if camera else open_inputs(given, args.fps, models.classes)
    with atomic_dir(args.out, outputs.PREDICTIONS_JSON, "predict") as folder:
        if camera:
            fps = record_camera(int(given[0]), args.seconds, folder / RECORDING_FILE)
            sources = [replace(open_video(folder / RECORDING_FILE, args.fps or fps), title=f"camera {given[0]}")]
        start = time.perf_counter()
        options = CropOptions(register=args.register, size=models.size)
        if len(sources) == 1 and _searched(sources[0], args.mode):
            recognitions, flags = recognize_events(sources[0], options, models.of(sources[0]), folder)
        else:
            bar = sources if len(sources) == 1 else tqdm(sources, unit="clip", desc="reading", dynamic_ncols=True)
            recognitions, flags = [recognize_clip(source, args.onset, options, models.of(source)) for source in bar], []
        spent = time.perf_counter() - start
        only = sources[0]
        if only.is_video and not args.no_copy:
            annotate_video(only.path, folder / ANNOTATED_VIDEO, only.fps or 25.0, recognitions, models.classes)
        frames = sum(len(source.frame_numbers) for source in sources)
        about = {
            "run": str(args.workdir),
            "run_id": models.run,
            "input": given,
            "frames": frames,
            "seconds_spent": round(spent, 3),
            "frames_per_second": round(frames / spent, 1),
            "options": {"onset": args.onset, "register": args.register, "exclude_subject": args.exclude_subject},
        }
        lines = write_outputs(folder, recognitions, models.classes, about, flags)
    for line in lines:
        print(line)
    print(f"{frames} frames in {spent:.1f} s: {frames / spent:.0f} per second")
    print(f"answers: {Path(args.out) / outputs.PREDICTIONS_CSV}\npage:    {Path(args.out) / 'index.html'}")


def _searched(source: FrameSource, mode: str) -> bool:
    """Whether a recording is searched for events instead of being read as one."""
    if source.clip is not None or mode == CLIP:
        return False
    return mode == EVENTS or is_long(source)


class _Models:
    """The networks that answer: the same for all, or of each clip those that never saw its person."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._each, self._person = args.exclude_subject == EACH, ""
        self._load = functools.partial(load_ensemble, args.workdir, generator=False)
        if self._each:  # until the clips are known: one fold tells classes and size
            self._model = self._load(fold=choose_folds(args.workdir)[0].name)
        else:
            self._model = self._load(fold=args.fold, exclude_subject=args.exclude_subject)
        self.classes, self.size, self.run = self._model.classes, self._model.image_size, self._model.run_id

    def of(self, source: FrameSource) -> Ensemble:
        """Those for these frames; one person's at a time are in memory."""
        if self._each and source.clip is not None:
            person = f"{source.clip.dataset}/{source.clip.subject}"
            if person != self._person:
                self._model, self._person = self._load(exclude_subject=person), person
        return self._model


def _onset(text: str) -> str:
    if text in (FIRST, QUIETEST) or (text.isascii() and text.isdigit()):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is neither {FIRST} nor {QUIETEST} nor a frame number")


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
