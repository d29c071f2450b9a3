"""From an order to the file that was asked for, and a JSON file beside it that says how it was made."""

import difflib
import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.pictures import colour_profile
from icegan_jax.errors import UserError
from icegan_jax.evaluation.files import write_bytes, write_json
from icegan_jax.reporting.synthesis_sheet import GAIN
from icegan_jax.use.difference import difference
from icegan_jax.use.model import Model
from icegan_jax.use.synthesis.course import apex_frame, course
from icegan_jax.use.synthesis.encoding import MOST_PIXELS, sequence, still
from icegan_jax.use.synthesis.marking import CHANGED, MADE, SOFTWARE, Mark
from icegan_jax.use.synthesis.order import ALL, FULL_INTENSITY, Order
from icegan_jax.use.synthesis.painting import Painter, painter
from icegan_jax.use.synthesis.portrait import Portrait, find_portraits, pictures_in
from icegan_jax.use.synthesis.sheet import Sheet

Colour = NDArray[np.uint8]

_CELL = 224  # pixels on a side of a face on a sheet: about 128 of them are the crop
_LEAST_CELL = 128  # of a network's own small face, which is repeated pixel by pixel
_NAMED_FOLDS = 3  # in the description; the record has all


def make(order: Order, model: Model) -> list[str]:
    """Writes the picture or sequence, then the JSON file.

    Returns:
        The lines that tell of it; what to be wary of is printed on stderr before.

    Raises:
        UserError: the input cannot be read or shows no face, the run knows no such expression, or a sheet is too large.
        OSError: a file cannot be written.
    """
    labels = _labels(order.expression, model)
    paths = pictures_in(order.source)
    draws = range(order.seed, order.seed + order.draws)
    alone = paths == [order.source] and len(labels) == len(draws) == 1 and not order.differences
    sheet = None if alone else _sheet(order, model, paths, labels, draws)
    _check_size(order, sheet)
    portraits = find_portraits(paths, model.size, order.face)
    for note in (*(portrait.note for portrait in portraits if portrait.note), *_notes(order)):
        print(f"note: {note}", file=sys.stderr)
    if sheet is not None and not order.crop:
        portraits = [portrait.framed(_CELL) for portrait in portraits]
    paint = painter(model, portraits, labels, draws, crop=order.crop)
    mark = mark_of(order, model, portraits)
    profile = colour_profile(order.source) if sheet is None and not order.crop else None
    data = _encoded(order, paint, sheet, mark, profile)
    write_bytes(order.out, data)
    beside = order.out.with_name(order.out.name + ".json")
    more = {"file": order.out.name, "sha256": hashlib.sha256(data).hexdigest()}
    write_json(beside, {**more, "description": mark.description, **mark.record})
    return [mark.description, f"written: {order.out}, and how it was made: {beside.name}"]


def mark_of(order: Order, model: Model, portraits: Sequence[Portrait]) -> Mark:
    """The mark of what an order gives."""
    draws = range(order.seed, order.seed + order.draws)
    return Mark(MADE if order.crop else CHANGED, _description(order, model, draws), _record(order, model, portraits))


def _labels(expression: str, model: Model) -> list[int]:
    """Which classes are asked for."""
    if expression == ALL:
        return list(range(len(model.classes)))
    if expression not in model.classes:
        near = difflib.get_close_matches(expression, model.classes, n=1, cutoff=0.5)
        guess = f"did you mean {near[0]}?" if near else f"or {ALL}"
        raise UserError(f"--expression={expression}: the run knows {', '.join(model.classes)}; {guess}")
    return [model.classes.index(expression)]


def _sheet(order: Order, model: Model, paths: Sequence[Path], labels: Sequence[int], draws: Sequence[int]) -> Sheet:
    """Rows and columns of the faces."""
    heads = [model.classes[label] + (f"\ndraw {draw}" if len(draws) > 1 else "") for label in labels for draw in draws]
    if order.differences:
        heads += [head + f"\nchange, x{GAIN}" for head in heads]
    rows = [path.stem for path in paths] if order.source.is_dir() else [""]
    side = model.size * -(-_LEAST_CELL // model.size) if order.crop else _CELL
    return Sheet(tuple(rows), ("onset", *heads), side, _description(order, model, draws))


def _check_size(order: Order, sheet: Sheet | None) -> None:
    """Of a sheet; a single picture's size is checked where it is written."""
    if sheet is not None and max(sheet.size) > (most := MOST_PIXELS[order.suffix]):
        w, h = sheet.size
        raise UserError(
            f"{order.source}: its sheet would be {w}x{h} pixels, a {order.suffix} holds {most}; give fewer pictures, "
            "fewer --draws or one --expression"
        )


def _encoded(order: Order, paint: Painter, sheet: Sheet | None, mark: Mark, profile: bytes | None) -> bytes:
    def picture(share: float) -> Colour:
        faces = paint.faces(order.intensity * share)
        return faces[0][0] if sheet is None else _drawn(sheet, paint.onsets(), faces, order.differences)

    if order.frames is None:
        return still(picture(1.0), order.suffix, mark, profile)

    def frames() -> Iterator[Colour]:
        shares = course(order.frames or 0, order.apex_at)
        for share in tqdm(shares, desc="frames", unit="frame", disable=None):
            yield picture(float(share))

    ends = [picture(0.0), picture(1.0)]
    faces = [] if sheet else [replace(paint.portraits[0], picture=end).framed(_CELL).picture for end in ends]
    samples = ends if order.crop else [*ends, *faces]
    return sequence(frames(), order.suffix, order.shown_rate, mark, profile, samples)


def _drawn(sheet: Sheet, onsets: Sequence[Colour], faces: Sequence[Sequence[Colour]], differences: bool) -> Colour:
    rows = []
    for onset, row in zip(onsets, faces, strict=True):
        cells = [onset, *row]
        if differences:
            cells += [np.asarray(difference(_grey(onset), _grey(face))) for face in row]
        times = sheet.side // len(onset)
        rows.append([cell.repeat(times, axis=0).repeat(times, axis=1) for cell in cells])
    return sheet.drawn(rows)


def _grey(picture: Colour) -> NDArray[np.uint8]:
    """The change is the same in all three channels, but where one of them is white or black."""
    return np.asarray(np.rint(picture.mean(axis=2)), np.uint8)


def _description(order: Order, model: Model, draws: Sequence[int]) -> str:
    """One sentence for the file and the user."""
    names = [fold.name for fold in model.folds]
    whose = f"fold {names[0]}" if len(names) == 1 else f"mean of folds {', '.join(names)}"
    if len(names) > _NAMED_FOLDS:
        whose = f"mean of {len(names)} folds"
    expression = ", ".join(model.classes) if order.expression == ALL else order.expression
    draw = f"draw {draws[0]}" if len(draws) == 1 else f"draws {draws[0]} to {draws[-1]}"
    return (
        f"Synthetic expression, not a recording: {expression}, intensity {order.intensity:g}, {draw}; "
        f"{SOFTWARE} (ICE-GAN), run {model.run[:8]}, {whose}"
    )


def _record(order: Order, model: Model, portraits: Sequence[Portrait]) -> dict[str, Any]:
    """What was asked and who answered; of paths the names alone, since the file may go to others."""
    record: dict[str, Any] = {
        "software": SOFTWARE,
        "run": model.run,
        "folds": [fold.name for fold in model.folds],
        "input": order.source.name,
        "expressions": list(model.classes) if order.expression == ALL else [order.expression],
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
            "course": [round(float(share), 6) for share in course(order.frames, order.apex_at)],
        }
    return record


def _notes(order: Order) -> Iterator[str]:
    """What comes out otherwise than one might expect."""
    if order.intensity > FULL_INTENSITY:
        yield f"--intensity={order.intensity:g} exaggerates: the networks were trained to reach 1"
    if order.frames is not None and abs(order.shown_rate / order.rate - 1) > 0.005:
        yield f"a {order.suffix} plays at {order.shown_rate:.4g} frames per second, not at {order.rate:g}"
