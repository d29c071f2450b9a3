"""Recognize micro-expressions in an onset/apex pair, a folder of frames, a video, a clips.csv, or before a camera.

python -m icegan_jax.predict --workdir=RUN --input=X --out=DIR
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from icegan_jax.cli import ArgumentParser, add_run_options, run_command
from icegan_jax.compilation_cache import enable_compilation_cache
from icegan_jax.data.crop import REGISTRATIONS
from icegan_jax.data.ingest.spreadsheets import TABLE_SUFFIXES
from icegan_jax.errors import UserError
from icegan_jax.inference import outputs
from icegan_jax.inference.describe import describe_networks
from icegan_jax.inference.ensemble import choose_folds
from icegan_jax.inference.face_crops import FIRST, QUIETEST
from icegan_jax.inference.inputs import RECORDING_FILE, FrameSource, open_inputs, open_video, record_camera
from icegan_jax.inference.outputs import write_outputs
from icegan_jax.inference.quality_flags import QualityFlag
from icegan_jax.inference.recognize import TRACE_FILE, Recognition, is_long
from icegan_jax.inference.recognizer import Recognizer
from icegan_jax.inference.visualize import ANNOTATED_VIDEO, annotate_video
from icegan_jax.io import atomic_dir, check_output_dir

EACH = "each"  # --exclude_subject of a clips.csv: of every clip its own subject
AUTO, CLIP, EVENTS = "auto", "clip", "events"

EPILOG = """\
what X can be:
  two pictures       --input onset.png apex.png: the neutral face, then the expression
  a folder           frames whose names differ in their number; give the frame rate with --fps
  a video            mp4, mov, avi, mkv, webm or gif
  a clips.csv        or xlsx, xls, ods, as prepare reads it: onset and offset are used as annotated, an
                     empty apex is spotted, and the predictions are compared with the labels
  a camera           --input=0 records --seconds of the first camera and recognizes the recording

A recording of up to 3 seconds is one clip: the face is detected in the onset (--onset), all frames are registered to
the onset and cropped, and the apex is the frame that differs most from the onset. A longer recording is searched for
events first (--mode=events), and each event is recognized like a clip; memory does not grow with the length.

what is written to DIR:
  predictions.csv    a row per clip or event: frames, seconds, predicted class, capsule length of each class, flags
  predictions.json   the same with the flags in sentences, the folds, the options and the time it took
  index.html         the same as a page
  strips/            onset, apex and difference of each clip or event
  annotated.mp4      of a video: a copy with face, event and predicted class
  trace.csv          of a recording searched for events: change and head motion of each frame

examples:
  python -m icegan_jax.predict --workdir=RUN --input onset.png apex.png --out=predictions
  python -m icegan_jax.predict --workdir=RUN --input=interview.mp4 --out=predictions
  python -m icegan_jax.predict --workdir=RUN --input=frames --fps=200 --onset=quietest --out=predictions
  python -m icegan_jax.predict --workdir=RUN --input=clips.csv --exclude_subject=each --out=predictions

A prediction is one of the classes of the run, whatever the face shows, or "no expression" where no capsule is longer
than the threshold that the run's own people at rest set. It is no proof of a feeling, and the program is no lie
detector. exit code: 0 done; 2 bad input, in one line; 130 interrupted.
"""


def make_parser() -> ArgumentParser:
    """Return the parser of the command."""
    parser = ArgumentParser(prog="python -m icegan_jax.predict", description=__doc__.splitlines()[0], epilog=EPILOG)
    add_run_options(parser)
    group = parser.add_argument_group("input and output")
    text = "the input, see below; of a pair two paths"
    group.add_argument("--input", required=True, action="extend", nargs="+", metavar="X", help=text)
    text = "the folder to make; earlier predictions there are replaced"
    group.add_argument("--out", required=True, metavar="DIR", help=text)
    group = parser.add_argument_group("how")
    text = f"onset of a clip: {FIRST}, {QUIETEST} (where the face moves least), or a frame number (default: {FIRST})"
    group.add_argument("--onset", default=FIRST, type=_onset, metavar="FRAME", help=text)
    text = f"{CLIP}: one expression; {EVENTS}: search for events; {AUTO}: by the length (default)"
    group.add_argument("--mode", default=AUTO, choices=(AUTO, CLIP, EVENTS), help=text)
    text = "frames per second of a folder; overrides the rate in a video's header"
    group.add_argument("--fps", type=_positive, metavar="N", help=text)
    group.add_argument("--seconds", type=_positive, default=10.0, help="length of a camera recording (default: 10)")
    text = "rigid: move each frame onto the onset, as prepare does by default; give the choice that the run used"
    group.add_argument("--register", default=REGISTRATIONS[0], choices=REGISTRATIONS, help=text)
    group.add_argument("--no_copy", action="store_true", help="write no annotated.mp4")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code, see --help."""
    return run_command(lambda: _run(make_parser().parse_args(argv)))


def _run(args: argparse.Namespace) -> None:
    check_output_dir(args.out, outputs.PREDICTIONS_JSON, "predict")
    enable_compilation_cache(args.compilation_cache)
    paths = args.input
    is_camera = len(paths) == 1 and paths[0].isdecimal() and not Path(paths[0]).exists()
    if args.exclude_subject == EACH and args.fold:
        raise UserError(f"--fold={args.fold}: --exclude_subject={EACH} chooses a fold for each clip; omit one of them")
    if args.exclude_subject == EACH and not paths[0].lower().endswith(TABLE_SUFFIXES):
        raise UserError(f"--exclude_subject={EACH}: only a clips.csv names the subject of each clip; name the subject")
    recognizers = _Recognizers(args)
    classes = recognizers.current.classes
    sources = [] if is_camera else open_inputs(paths, args.fps, classes)
    recognizers.check(sources)
    with atomic_dir(args.out, outputs.PREDICTIONS_JSON, "predict") as folder:
        if is_camera:
            record_camera(int(paths[0]), args.seconds, folder / RECORDING_FILE)
            sources = [replace(open_video(folder / RECORDING_FILE, args.fps), title=f"camera {paths[0]}")]
        start = time.perf_counter()
        results, flags = _recognize(sources, args, recognizers, folder / TRACE_FILE)
        seconds = time.perf_counter() - start
        first = sources[0]
        if first.is_video and not args.no_copy:
            annotate_video(first, folder / ANNOTATED_VIDEO, results, progress=True)
        frames = sum(len(source.frame_numbers) for source in sources)
        about = {
            "run": str(args.workdir),
            "run_id": recognizers.current.ensemble.run_id,
            "networks": recognizers.describe(),
            "threshold": recognizers.current.ensemble.threshold,
            "input": paths,
            "frames": frames,
            "seconds_spent": round(seconds, 3),
            "frames_per_second": round(frames / seconds, 1),
            "options": {"onset": args.onset, "register": args.register, "exclude_subject": args.exclude_subject},
        }
        lines = write_outputs(folder, results, classes, about, flags)
    for line in lines:
        print(line)
    print(f"{frames} frames in {seconds:.1f} s: {frames / seconds:.0f} per second")
    print(f"predictions: {Path(args.out) / outputs.PREDICTIONS_CSV}\npage:        {Path(args.out) / 'index.html'}")


def _recognize(
    sources: Sequence[FrameSource], args: argparse.Namespace, recognizers: "_Recognizers", trace: Path
) -> tuple[Sequence[Recognition], Sequence[QualityFlag]]:
    """Return the results of all clips or events, and the quality flags of the networks and of a searched recording."""
    if len(sources) == 1 and _has_events(sources[0], args.mode):
        recognizer = recognizers.of(sources[0])
        recording = recognizer.recognize_events(sources[0], register=args.register, trace=trace, progress=True)
        return recording.events, recording.flags
    bar = sources if len(sources) == 1 else tqdm(sources, unit="clip", desc="recognizing", dynamic_ncols=True)
    options = {"onset_frame": args.onset, "register": args.register}
    results = [recognizers.of(source).recognize(source, **options) for source in bar]
    return results, recognizers.current.ensemble.flags


def _has_events(source: FrameSource, mode: str) -> bool:
    """Return whether a recording is searched for events instead of being recognized as one clip."""
    if source.clip is not None or mode == CLIP:
        return False
    return mode == EVENTS or is_long(source)


class _Recognizers:
    """The recognizer of each source: one for all, or for each clip the fold that held out its subject.

    Attributes:
        current: the recognizer of the latest source.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._run_dir, self._is_each, self._subject = args.workdir, args.exclude_subject == EACH, ""
        if self._is_each:  # any fold can be used until the first clip: classes and image size are the same
            self.current = Recognizer(args.workdir, fold=choose_folds(args.workdir)[0].name)
        else:
            self.current = Recognizer(args.workdir, fold=args.fold, exclude_subject=args.exclude_subject)

    def check(self, sources: Sequence[FrameSource]) -> None:
        """Raise UserError if a fold is missing that held out the subject of a clip, before networks are read."""
        for subject in dict.fromkeys(map(_subject, sources)) if self._is_each else ():
            choose_folds(self._run_dir, exclude_subject=subject)

    def describe(self) -> dict[str, str]:
        """Return what the page says about the networks."""
        each = {"networks": "for each clip those that never saw its subject", "folds": "see predictions.json"}
        return describe_networks(self.current.ensemble) | (each if self._is_each else {})

    def of(self, source: FrameSource) -> Recognizer:
        """Return the recognizer of a source."""
        if self._is_each:
            subject = _subject(source)
            if subject != self._subject:
                self.current, self._subject = Recognizer(self._run_dir, exclude_subject=subject), subject
        return self.current


def _subject(source: FrameSource) -> str:
    """Return DATASET/SUBJECT of the clip of a clips.csv."""
    assert source.clip is not None
    return f"{source.clip.dataset}/{source.clip.subject}"


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
