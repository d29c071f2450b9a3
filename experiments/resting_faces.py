"""Answers of a trained run to faces at rest: pictures in which nothing moves.

    python -m experiments.resting_faces --run=runs/demo --faces=FOLDER [--out=runs/experiments] [--fps=60] [--seed=0]

FOLDER holds pictures of neutral faces; a clips.csv in place of it gives the onsets of its clips. Every face is given to
the run as a pair with itself, as a pair of two pictures with the noise of a sensor, and as a video of 1.5 seconds with
such noise through H.264 at three qualities. No class is right. OUT/resting_faces/table.csv counts, by kind, the answers
with a class, and those among them without a quality flag; answers.csv lists all answers.
"""

import csv
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from experiments.shared.options import run_command
from experiments.shared.tables import write_tables
from icegan_jax.api import load_run
from icegan_jax.cli import ArgumentParser
from icegan_jax.data.clips import read_clips
from icegan_jax.data.video import read_frame, read_frames, write_video
from icegan_jax.errors import UserError
from icegan_jax.inference.face_crops import list_pictures
from icegan_jax.inference.inputs import Picture
from icegan_jax.inference.recognize import Recognition

Gray = NDArray[np.uint8]
NOISE = 2.0  # deviation in gray levels
CRF = (18, 23, 28)  # H.264: visually lossless, the default of x264, and the web
SECONDS = 1.5
COLUMNS = ("kind", "faces", "refused", "classes", "unflagged", "longest")
ANSWER_COLUMNS = ("face", "kind", "answer", "flags", "lengths")


def neutral_faces(path: Path) -> Iterator[tuple[str, Gray]]:
    """Yield the name and the picture uint8[h, w], with even sides, of every neutral face."""
    if path.is_file():
        pictures = [(clip.name, clip) for clip in read_clips(path)]
        faces = ((name, next(iter(read_frames(clip.frames, [clip.onset])))[1]) for name, clip in pictures)
    else:
        faces = ((file.stem, read_frame(file)) for file in list_pictures(path))
    for name, face in faces:
        height, width = (side - side % 2 for side in face.shape)
        yield name, np.ascontiguousarray(face[:height, :width])


def add_noise(face: Gray, rng: np.random.Generator) -> Gray:
    """Return the face with new Gaussian noise."""
    return np.asarray(np.clip(np.rint(face + rng.normal(0.0, NOISE, face.shape)), 0, 255), np.uint8)


def inputs_of(face: Gray, folder: Path, fps: float, rng: np.random.Generator) -> Iterator[tuple[str, list[Picture]]]:
    """Yield the kind and the arguments of ``Run.recognize`` of every input that is made of a face."""
    yield "with itself", [face, face]
    yield "with noise", [add_noise(face, rng), add_noise(face, rng)]
    for crf in CRF:
        path = folder / f"crf{crf}.mp4"
        write_video(path, ((i / fps, add_noise(face, rng)) for i in range(round(SECONDS * fps))), fps, crf=crf)
        yield f"H.264, CRF {crf}", [path]


def count_answers(kind: str, answers: Sequence[Recognition | None], classes: Sequence[str]) -> dict[str, object]:
    """Return the row of a kind of input; None stands for a face that was refused."""
    given = [answer for answer in answers if answer is not None]
    with_class = [answer for answer in given if answer.label in classes]
    lengths = [float(answer.lengths.max()) for answer in given if answer.lengths is not None]
    return {
        "kind": kind,
        "faces": len(answers),
        "refused": len(answers) - len(given),
        "classes": len(with_class),
        "unflagged": sum(not answer.flags for answer in with_class),
        "longest": f"{np.median(lengths):.2f}" if lengths else "",
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Recognize all inputs and write the tables."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="a finished run")
    parser.add_argument("--faces", type=Path, required=True, help="a folder of pictures, or a clips.csv")
    parser.add_argument("--out", type=Path, default=Path("runs/experiments"), help="default: %(default)s")
    parser.add_argument("--fps", type=float, default=60.0, help="frames per second of the videos (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default: 0)")
    args = parser.parse_args(argv)
    run, rng, answers = load_run(args.run), np.random.default_rng(args.seed), dict[str, list[Recognition | None]]()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, face in tqdm(list(neutral_faces(args.faces)), unit="face"):
            for kind, arguments in inputs_of(face, Path(folder), args.fps, rng):
                try:
                    answer = run.recognize(*arguments)
                except UserError as error:
                    answers.setdefault(kind, []).append(None)
                    rows.append((name, kind, "refused", str(error), ""))
                    continue
                answers.setdefault(kind, []).append(answer)
                flags = " ".join(flag.word for flag in answer.flags)
                rows.append((name, kind, answer.label, flags, " ".join(f"{x:.3f}" for x in answer.scores.values())))
    table = [count_answers(kind, given, run.classes) for kind, given in answers.items()]
    notes = (f"Answers of {args.run} to the faces of {args.faces}; longest: median of the longest capsule.",)
    write_tables(args.out / "resting_faces", "Faces at rest", COLUMNS, table, notes)
    with (args.out / "resting_faces" / "answers.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([ANSWER_COLUMNS, *rows])


if __name__ == "__main__":
    sys.exit(run_command(main))
