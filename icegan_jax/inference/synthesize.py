"""The course of an expression in time: how far it has gone in each frame.

What is asked of ``synthesize``, checked before anything is read.

From an order to the file that was asked for, and a JSON file beside it that says how it was made.
"""

import difflib
import hashlib
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.images import colour_profile
from icegan_jax.errors import UserError
from icegan_jax.inference.composite import Renderer, build_renderer
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_grid import FaceGrid
from icegan_jax.inference.media import (
    ALTERED_NOTE,
    MOST_PIXELS,
    SOFTWARE,
    SYNTHETIC_NOTE,
    ProvenanceMetadata,
    encode_sequence,
    encode_still,
)
from icegan_jax.inference.neutral_faces import NeutralFace, find_neutral_faces, list_pictures
from icegan_jax.inference.visualize import difference_image
from icegan_jax.io import write_bytes, write_json
from icegan_jax.reporting.grids import DIFFERENCE_GAIN

LEAST_FRAMES = 3  # onset, apex, offset


def envelope(frames: int, apex_at: float) -> NDArray[np.float64]:
    """Shares of the full expression, float64[frames]: 0 at the onset, 1 at the apex, 0 at the offset.

    Half a cosine leads up and half a one down, so that nothing starts or stops with a jerk. The curve is chosen here:
    the databases annotate the three moments and nothing in between. (The program's drawn people move likewise, each
    with a bend of their own: ``data/procedural/play.py``.)

    Args:
        frames: at least ``LEAST_FRAMES``.
        apex_at: where the apex lies, 0 to 1 of the way from the first to the last frame; it falls on a whole frame
            between the two.
    """
    apex = apex_frame(frames, apex_at)
    i = np.arange(frames)
    up, down = i / apex, (frames - 1 - i) / (frames - 1 - apex)
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(up, down))


def apex_frame(frames: int, apex_at: float) -> int:
    """The position of the apex, from 0."""
    return min(max(round(apex_at * (frames - 1)), 1), frames - 2)


ALL_EXPRESSIONS = "all"

STILLS = (".png", ".jpg", ".jpeg")

SEQUENCES = (".gif", ".webp", ".mp4")

FULL_INTENSITY = 1.0  # the face as trained

MOST_INTENSITY = 2.0  # chosen here: a micro-expression twice as large is still a plausible face

_MOST_FRAMES = 1000

_MOST_DRAWS = 32  # side by side

_MOST_NUMBER = 2**31 - 1 - _MOST_DRAWS  # numbers of draws are int32

_MOST_RATE = 1000.0

_GIF_RATE = 50.0  # delays are hundredths of a second (GIF89a), and browsers show one below two of them as ten


@dataclass(frozen=True)
class SynthesisRequest:
    """What is to be made.

    Attributes:
        source: a picture, or a folder of pictures.
        out: the file to write.
        expression: a class of the run, or ``ALL``.
        intensity: how much of the change, 1 is as trained.
        frames: of a sequence; None: a still.
        apex_at: where the sequence's apex lies, from 0 to 1.
        rate: frames per second of the sequence.
        draws: how many noise draws.
        seed: number of the first one.
        face: which face of the picture, from 1; None: the largest.
        crop: the networks' own faces, grey, instead of the changed picture.
        differences: show beside each face what changed.
    """

    source: Path
    out: Path
    expression: str
    intensity: float
    frames: int | None
    apex_at: float
    rate: float
    draws: int
    seed: int
    face: int | None
    crop: bool
    differences: bool

    @property
    def suffix(self) -> str:
        """Of the file to write, in small letters."""
        return self.out.suffix.lower()

    @property
    def shown_rate(self) -> float:
        """Frames per second as the file can hold them: delays are whole hundredths or thousandths of a second."""
        if self.suffix == ".mp4":
            return self.rate
        ticks = 100 if self.suffix == ".gif" else 1000
        return ticks / round(ticks / self.rate)


def check_request(order: SynthesisRequest) -> None:
    """Refuses what cannot be made.

    Raises:
        UserError: names the option, its value, and what it may be.
    """
    _check_numbers(order)
    _check_out(order)


def _check_numbers(order: SynthesisRequest) -> None:
    if not 0 <= order.intensity <= MOST_INTENSITY:  # nor NaN
        raise UserError(
            f"--intensity={order.intensity:g}: give 0 (the onset) to {MOST_INTENSITY:g}; 1 is what was trained"
        )
    if order.frames is not None and not LEAST_FRAMES <= order.frames <= _MOST_FRAMES:
        raise UserError(f"--frames={order.frames}: give {LEAST_FRAMES} (onset, apex, offset) to {_MOST_FRAMES}")
    if not 0 < order.apex_at < 1:
        raise UserError(f"--apex_at={order.apex_at:g}: give a share between 0 (the onset) and 1 (the offset)")
    most = _GIF_RATE if order.suffix == ".gif" else _MOST_RATE
    if not (math.isfinite(order.rate) and 1 <= order.rate <= most):
        why = "; a GIF shows no more, .webp and .mp4 do" if order.suffix == ".gif" and order.rate > most else ""
        raise UserError(f"--fps={order.rate:g}: give 1 to {most:g}{why}")
    if not 1 <= order.draws <= _MOST_DRAWS:
        raise UserError(f"--draws={order.draws}: give 1 to {_MOST_DRAWS}")
    if not 0 <= order.seed <= _MOST_NUMBER:
        raise UserError(f"--seed={order.seed}: give 0 to {_MOST_NUMBER}")
    if order.face is not None and order.face < 1:
        raise UserError(f"--face={order.face}: faces are counted from 1, from the left")


def _check_out(order: SynthesisRequest) -> None:
    stills, sequences = (", ".join(suffixes) for suffixes in (STILLS, SEQUENCES))
    if order.suffix not in (*STILLS, *SEQUENCES):
        raise UserError(f"--out={order.out}: give a name that ends in {stills} or, with --frames, in {sequences}")
    if order.frames is None and order.suffix in SEQUENCES:
        raise UserError(f"--out={order.out} is a sequence: give --frames=25, for example, or a name in {stills}")
    if order.frames is not None and order.suffix in STILLS:
        raise UserError(f"--out={order.out} is a still, --frames a sequence: give a name in {sequences}")
    if order.out.is_dir():
        raise UserError(f"--out={order.out} is a folder; give the name of a file")
    if order.out.exists() and order.source.exists() and order.out.samefile(order.source):
        raise UserError(f"--out={order.out} is the picture given as --input, which it would replace; give another name")
    if order.face is not None and order.source.is_dir():
        raise UserError("--face counts the faces of one picture; give a picture as --input, or leave it out")


Colour = NDArray[np.uint8]

_CELL = 224  # pixels on a side of a face on a sheet: about 128 of them are the crop

_LEAST_CELL = 128  # of a network's own small face, which is repeated pixel by pixel

_NAMED_FOLDS = 3  # in the description; the record has all


def synthesize_file(order: SynthesisRequest, model: Ensemble) -> list[str]:
    """Writes the picture or sequence, then the JSON file.

    Returns:
        The lines that tell of it; what to be wary of is printed on stderr before.

    Raises:
        UserError: the input cannot be read or shows no face, the run knows no such expression, or a sheet is too large.
        OSError: a file cannot be written.
    """
    labels = _labels(order.expression, model)
    paths = list_pictures(order.source)
    draws = range(order.seed, order.seed + order.draws)
    alone = paths == [order.source] and len(labels) == len(draws) == 1 and not order.differences
    sheet = None if alone else _sheet(order, model, paths, labels, draws)
    _check_size(order, sheet)
    portraits = find_neutral_faces(paths, model.size, order.face)
    for note in (*(portrait.note for portrait in portraits if portrait.note), *_notes(order)):
        print(f"note: {note}", file=sys.stderr)
    if sheet is not None and not order.crop:
        portraits = [portrait.framed(_CELL) for portrait in portraits]
    paint = build_renderer(model, portraits, labels, draws, crop=order.crop)
    mark = provenance_of(order, model, portraits)
    profile = colour_profile(order.source) if sheet is None and not order.crop else None
    data = _encode(order, paint, sheet, mark, profile)
    write_bytes(order.out, data)
    beside = order.out.with_name(order.out.name + ".json")
    more = {"file": order.out.name, "sha256": hashlib.sha256(data).hexdigest()}
    write_json(beside, {**more, "description": mark.description, **mark.record})
    return [mark.description, f"written: {order.out}, and how it was made: {beside.name}"]


def provenance_of(order: SynthesisRequest, model: Ensemble, portraits: Sequence[NeutralFace]) -> ProvenanceMetadata:
    """The mark of what an order gives."""
    draws = range(order.seed, order.seed + order.draws)
    return ProvenanceMetadata(
        SYNTHETIC_NOTE if order.crop else ALTERED_NOTE,
        _description(order, model, draws),
        _synthesis_record(order, model, portraits),
    )


def _labels(expression: str, model: Ensemble) -> list[int]:
    """Which classes are asked for."""
    if expression == ALL_EXPRESSIONS:
        return list(range(len(model.classes)))
    if expression not in model.classes:
        near = difflib.get_close_matches(expression, model.classes, n=1, cutoff=0.5)
        guess = f"did you mean {near[0]}?" if near else f"or {ALL_EXPRESSIONS}"
        raise UserError(f"--expression={expression}: the run knows {', '.join(model.classes)}; {guess}")
    return [model.classes.index(expression)]


def _sheet(
    order: SynthesisRequest, model: Ensemble, paths: Sequence[Path], labels: Sequence[int], draws: Sequence[int]
) -> FaceGrid:
    """Rows and columns of the faces."""
    heads = [model.classes[label] + (f"\ndraw {draw}" if len(draws) > 1 else "") for label in labels for draw in draws]
    if order.differences:
        heads += [head + f"\nchange, x{DIFFERENCE_GAIN}" for head in heads]
    rows = [path.stem for path in paths] if order.source.is_dir() else [""]
    side = model.size * -(-_LEAST_CELL // model.size) if order.crop else _CELL
    return FaceGrid(tuple(rows), ("onset", *heads), side, _description(order, model, draws))


def _check_size(order: SynthesisRequest, sheet: FaceGrid | None) -> None:
    """Of a sheet; a single picture's size is checked where it is written."""
    if sheet is not None and max(sheet.size) > (most := MOST_PIXELS[order.suffix]):
        w, h = sheet.size
        raise UserError(
            f"{order.source}: its sheet would be {w}x{h} pixels, a {order.suffix} holds {most}; give fewer pictures, "
            "fewer --draws or one --expression"
        )


def _encode(
    order: SynthesisRequest, paint: Renderer, sheet: FaceGrid | None, mark: ProvenanceMetadata, profile: bytes | None
) -> bytes:
    def picture(share: float) -> Colour:
        faces = paint.faces(order.intensity * share)
        return faces[0][0] if sheet is None else _draw_grid(sheet, paint.onsets(), faces, order.differences)

    if order.frames is None:
        return encode_still(picture(1.0), order.suffix, mark, profile)

    def frames() -> Iterator[Colour]:
        shares = envelope(order.frames or 0, order.apex_at)
        for share in tqdm(shares, desc="frames", unit="frame", disable=None):
            yield picture(float(share))

    ends = [picture(0.0), picture(1.0)]
    faces = [] if sheet else [replace(paint.portraits[0], picture=end).framed(_CELL).picture for end in ends]
    samples = ends if order.crop else [*ends, *faces]
    return encode_sequence(frames(), order.suffix, order.shown_rate, mark, profile, samples)


def _draw_grid(
    sheet: FaceGrid, onsets: Sequence[Colour], faces: Sequence[Sequence[Colour]], differences: bool
) -> Colour:
    rows = []
    for onset, row in zip(onsets, faces, strict=True):
        cells = [onset, *row]
        if differences:
            cells += [np.asarray(difference_image(_grey(onset), _grey(face))) for face in row]
        times = sheet.side // len(onset)
        rows.append([cell.repeat(times, axis=0).repeat(times, axis=1) for cell in cells])
    return sheet.drawn(rows)


def _grey(picture: Colour) -> NDArray[np.uint8]:
    """The change is the same in all three channels, but where one of them is white or black."""
    return np.asarray(np.rint(picture.mean(axis=2)), np.uint8)


def _description(order: SynthesisRequest, model: Ensemble, draws: Sequence[int]) -> str:
    """One sentence for the file and the user."""
    names = [fold.name for fold in model.folds]
    whose = f"fold {names[0]}" if len(names) == 1 else f"mean of folds {', '.join(names)}"
    if len(names) > _NAMED_FOLDS:
        whose = f"mean of {len(names)} folds"
    expression = ", ".join(model.classes) if order.expression == ALL_EXPRESSIONS else order.expression
    draw = f"draw {draws[0]}" if len(draws) == 1 else f"draws {draws[0]} to {draws[-1]}"
    return (
        f"Synthetic expression, not a recording: {expression}, intensity {order.intensity:g}, {draw}; "
        f"{SOFTWARE} (ICE-GAN), run {model.run[:8]}, {whose}"
    )


def _synthesis_record(order: SynthesisRequest, model: Ensemble, portraits: Sequence[NeutralFace]) -> dict[str, Any]:
    """What was asked and who answered; of paths the names alone, since the file may go to others."""
    record: dict[str, Any] = {
        "software": SOFTWARE,
        "run": model.run,
        "folds": [fold.name for fold in model.folds],
        "input": order.source.name,
        "expressions": list(model.classes) if order.expression == ALL_EXPRESSIONS else [order.expression],
        "intensity": order.intensity,
        "seed": order.seed,
        "draws": list(range(order.seed, order.seed + order.draws)),
        "crop": order.crop,
        "faces": len(portraits),
    }
    if order.frames is not None:
        record["sequence"] = {
            "frames": order.frames,
            "frames_per_second": order.shown_rate,
            "apex": apex_frame(order.frames, order.apex_at),
            "course": [round(float(share), 6) for share in envelope(order.frames, order.apex_at)],
        }
    return record


def _notes(order: SynthesisRequest) -> Iterator[str]:
    """What comes out otherwise than one might expect."""
    if order.intensity > FULL_INTENSITY:
        yield f"--intensity={order.intensity:g} exaggerates: the networks were trained to reach 1"
    if order.frames is not None and abs(order.shown_rate / order.rate - 1) > 0.005:
        yield f"a {order.suffix} plays at {order.shown_rate:.4g} frames per second, not at {order.rate:g}"
