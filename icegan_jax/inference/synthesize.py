"""Synthesis: from a request to a picture or sequence, with a JSON file that documents the request."""

import hashlib
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.images import color_profile
from icegan_jax.errors import UserError, did_you_mean
from icegan_jax.inference.composite import Renderer, build_renderer
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_crops import NeutralFace, find_neutral_faces, list_pictures
from icegan_jax.inference.media import (
    COMPOSITE,
    MAX_PIXELS,
    SOFTWARE,
    SYNTHETIC,
    ProvenanceMetadata,
    encode_sequence,
    encode_still,
)
from icegan_jax.inference.quality_flags import DRAWN_FACES
from icegan_jax.io import write_bytes, write_json, write_text
from icegan_jax.reporting.face_grid import FaceGrid, cell_side, difference_image
from icegan_jax.reporting.render import data_url, render
from icegan_jax.reporting.style import DIFFERENCE_GAIN

ALL_EXPRESSIONS = "all"
STILL_SUFFIXES = (".png", ".jpg", ".jpeg")
SEQUENCE_SUFFIXES = (".gif", ".webp", ".mp4")

DEFAULT_FPS = 25.0  # a frame takes 4 hundredths of a second, the unit of a GIF
DEFAULT_APEX_AT = 0.5
MIN_FRAMES = 3  # onset, apex, offset
_MAX_FRAMES = 1000
_TRAINED_INTENSITY = 1.0
MAX_INTENSITY = 2.0  # chosen here: a micro-expression twice as large is still a plausible face
_MAX_DRAWS = 32
MAX_SEED = 2**31 - 1 - _MAX_DRAWS  # the numbers of draws are int32
_MAX_FPS = 1000.0
_MAX_GIF_FPS = 50.0  # Delays are hundredths of a second (GIF89a), and browsers play a delay below two of them as ten.

_CELL = 224  # pixels on a side of a face in a grid; the crop takes about 128 of them
_MIN_CROP_CELL = 128  # pixels on a side of a generator's own face in a grid; small faces are enlarged pixel by pixel
_MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
}
_MAX_NAMED_FOLDS = 3  # in the description; the JSON file names all

Color = NDArray[np.uint8]


@dataclass(frozen=True)
class SynthesisRequest:
    """The options of one synthesis.

    Attributes:
        input: a picture, or a folder of pictures.
        out: the file to write.
        expression: a class of the run, or ``ALL_EXPRESSIONS``.
        intensity: the factor of the change; 1 as trained.
        frames: the length of the sequence; None: a still.
        apex_at: the position of the sequence's apex, from 0 (onset) to 1 (offset).
        fps: frames per second of the sequence.
        draws: the number of noise draws.
        seed: the number of the first draw.
        face: the number of the face in the picture, from 1, left to right; None: the largest face.
        crop: write the generators' own gray faces instead of composites.
        differences: add the difference images to the grid.
    """

    input: Path
    out: Path
    expression: str
    intensity: float = 1.0
    frames: int | None = None
    apex_at: float = DEFAULT_APEX_AT
    fps: float = DEFAULT_FPS
    draws: int = 1
    seed: int = 0
    face: int | None = None
    crop: bool = False
    differences: bool = False

    @property
    def suffix(self) -> str:
        """The suffix of the output in lower case."""
        return self.out.suffix.lower()

    @property
    def playback_fps(self) -> float:
        """Frames per second that the file can hold: delays are whole hundredths or thousandths of a second."""
        if self.suffix == ".mp4":
            return self.fps
        ticks = 100 if self.suffix == ".gif" else 1000
        return ticks / round(ticks / self.fps)


def check_request(request: SynthesisRequest) -> None:
    """Check the options of a request before anything is read.

    Raises:
        UserError: An option is invalid; the message names the option, its value and the valid values.
    """
    _check_numbers(request)
    _check_out(request)


def _check_numbers(request: SynthesisRequest) -> None:
    if not 0 <= request.intensity <= MAX_INTENSITY:  # NaN is refused, too
        raise UserError(
            f"--intensity={request.intensity:g}: give 0 (the onset) to {MAX_INTENSITY:g}; 1 is what was trained"
        )
    if request.frames is not None and not MIN_FRAMES <= request.frames <= _MAX_FRAMES:
        raise UserError(f"--frames={request.frames}: give {MIN_FRAMES} (onset, apex, offset) to {_MAX_FRAMES}")
    if not 0 < request.apex_at < 1:
        raise UserError(f"--apex_at={request.apex_at:g}: give a share between 0 (the onset) and 1 (the offset)")
    most = _MAX_GIF_FPS if request.suffix == ".gif" else _MAX_FPS
    if not (math.isfinite(request.fps) and 1 <= request.fps <= most):
        hint = "; a GIF shows no more, .webp and .mp4 do" if request.suffix == ".gif" and request.fps > most else ""
        raise UserError(f"--fps={request.fps:g}: give 1 to {most:g}{hint}")
    if not 1 <= request.draws <= _MAX_DRAWS:
        raise UserError(f"--draws={request.draws}: give 1 to {_MAX_DRAWS}")
    if not 0 <= request.seed <= MAX_SEED:
        raise UserError(f"--seed={request.seed}: give 0 to {MAX_SEED}")
    if request.face is not None and request.face < 1:
        raise UserError(f"--face={request.face}: give 1 or more; faces are counted from the left")


def _check_out(request: SynthesisRequest) -> None:
    stills, sequences = (", ".join(suffixes) for suffixes in (STILL_SUFFIXES, SEQUENCE_SUFFIXES))
    if request.suffix not in (*STILL_SUFFIXES, *SEQUENCE_SUFFIXES):
        raise UserError(f"--out={request.out}: give a name that ends in {stills} or, with --frames, in {sequences}")
    if request.frames is None and request.suffix in SEQUENCE_SUFFIXES:
        raise UserError(f"--out={request.out} is a sequence: give --frames=25, for example, or a name in {stills}")
    if request.frames is not None and request.suffix in STILL_SUFFIXES:
        raise UserError(f"--out={request.out} is a still, --frames a sequence: give a name in {sequences}")
    if request.out.is_dir():
        raise UserError(f"--out={request.out} is a folder; give the name of a file")
    if request.out.exists() and request.input.exists() and request.out.samefile(request.input):
        raise UserError(
            f"--out={request.out} is the picture given as --input, which it would replace; give another name"
        )
    if request.face is not None and request.input.is_dir():
        raise UserError("--face counts the faces of one picture; give a picture as --input, or omit --face")


def envelope(frames: int, apex_at: float) -> NDArray[np.float64]:
    """Return the share of the full expression in each frame: 0 at the onset, 1 at the apex, 0 at the offset.

    Half a cosine leads up and another one down, so that the motion starts and stops smoothly. The curve is chosen here:
    the databases annotate the three moments and nothing in between. (The synthetic clips follow a similar curve, see
    ``data/synthetic/animate.py``.)

    Args:
        frames: the number of frames, at least ``MIN_FRAMES``.
        apex_at: the position of the apex, from 0 (first frame) to 1 (last frame), see ``apex_frame``.

    Returns:
        float64[frames].
    """
    apex = apex_frame(frames, apex_at)
    i = np.arange(frames)
    up, down = i / apex, (frames - 1 - i) / (frames - 1 - apex)
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(up, down))


def apex_frame(frames: int, apex_at: float) -> int:
    """Return the index of the apex frame: the nearest to ``apex_at`` that is neither the first nor the last frame."""
    return min(max(round(apex_at * (frames - 1)), 1), frames - 2)


def synthesize_file(request: SynthesisRequest, ensemble: Ensemble) -> list[str]:
    """Write the picture or sequence of a request, then the JSON file; notes are printed on stderr.

    Returns:
        The lines to print.

    Raises:
        UserError: The input cannot be read or shows no face, the expression is no class of the run, or the grid is
            too large for the file format.
        OSError: A file cannot be written.
    """
    labels = _labels(request.expression, ensemble)
    paths = list_pictures(request.input)
    draws = range(request.seed, request.seed + request.draws)
    is_single = paths == [request.input] and len(labels) == len(draws) == 1 and not request.differences
    grid = None if is_single else _grid(request, ensemble, paths, labels, draws)
    neutral_faces = find_neutral_faces(paths, ensemble.image_size, request.face)
    for note in (*(face.note for face in neutral_faces if face.note), *_notes(request, ensemble)):
        print(f"note: {note}", file=sys.stderr)
    if grid is not None and not request.crop:
        neutral_faces = [face.close_up(_CELL) for face in neutral_faces]
    renderer = build_renderer(ensemble, neutral_faces, labels, draws, crop=request.crop)
    provenance = provenance_metadata(request, ensemble, neutral_faces)
    profile = color_profile(request.input) if grid is None and not request.crop else None
    data = _encode(request, renderer, grid, provenance, profile)
    write_bytes(request.out, data)
    json_path = request.out.with_name(request.out.name + ".json")
    checksum = {"file": request.out.name, "sha256": hashlib.sha256(data).hexdigest()}
    write_json(json_path, {**checksum, "description": provenance.description, **provenance.record})
    page = request.out.with_name(request.out.name + ".html")
    url = data_url(data, _MEDIA_TYPES[request.suffix])
    record = {name.replace("_", " "): value for name, value in provenance.record.items()}
    text = provenance.description
    write_text(page, render("synthesis.html", title=request.out.name, description=text, url=url, record=record))
    return [text, f"written: {request.out}, and how it was made: {json_path.name}, {page.name}"]


def provenance_metadata(
    request: SynthesisRequest, ensemble: Ensemble, neutral_faces: Sequence[NeutralFace]
) -> ProvenanceMetadata:
    """Return the provenance metadata of a request's output."""
    draws = range(request.seed, request.seed + request.draws)
    return ProvenanceMetadata(
        SYNTHETIC if request.crop else COMPOSITE,
        _description(request, ensemble, draws),
        _record(request, ensemble, neutral_faces),
    )


def _labels(expression: str, ensemble: Ensemble) -> list[int]:
    if expression == ALL_EXPRESSIONS:
        return list(range(len(ensemble.classes)))
    if expression not in ensemble.classes:
        names = ", ".join((*ensemble.classes, ALL_EXPRESSIONS))
        hint = did_you_mean(expression, ensemble.classes)
        raise UserError(f"--expression={expression}: no class of the run{hint}; use one of {names}")
    return [ensemble.classes.index(expression)]


def _grid(
    request: SynthesisRequest, ensemble: Ensemble, paths: Sequence[Path], labels: Sequence[int], draws: Sequence[int]
) -> FaceGrid:
    """Return the grid of the faces.

    Raises:
        UserError: The grid is too large for the file format. The size of a single picture is checked by its encoder.
    """
    names = [
        ensemble.classes[label] + (f"\ndraw {draw}" if len(draws) > 1 else "") for label in labels for draw in draws
    ]
    if request.differences:
        names += [name + f"\nchange, x{DIFFERENCE_GAIN}" for name in names]
    rows = [path.stem for path in paths] if request.input.is_dir() else [""]
    side = cell_side(ensemble.image_size, _MIN_CROP_CELL) if request.crop else _CELL
    grid = FaceGrid(rows, ("onset", *names), (side, side), _description(request, ensemble, draws))
    if max(grid.size) > (most := MAX_PIXELS[request.suffix]):
        w, h = grid.size
        raise UserError(
            f"{request.input}: the grid would have {w}x{h} pixels, a {request.suffix} holds {most}; give fewer "
            "pictures, fewer --draws or one --expression"
        )
    return grid


def _encode(
    request: SynthesisRequest,
    renderer: Renderer,
    grid: FaceGrid | None,
    provenance: ProvenanceMetadata,
    profile: bytes | None,
) -> bytes:
    def picture(share: float) -> Color:
        faces = renderer.render(request.intensity * share)
        return faces[0][0] if grid is None else _draw_grid(grid, renderer.neutral(), faces, request.differences)

    if request.frames is None:
        return encode_still(picture(1.0), request.suffix, provenance, profile)

    def frames() -> Iterator[Color]:
        shares = envelope(request.frames or 0, request.apex_at)
        for share in tqdm(shares, desc="frames", unit="frame", disable=None):
            yield picture(float(share))

    return encode_sequence(frames(), request.suffix, request.playback_fps, provenance, profile, apex=picture(1.0))


def _draw_grid(grid: FaceGrid, onsets: Sequence[Color], faces: Sequence[Sequence[Color]], differences: bool) -> Color:
    rows = []
    for onset, row in zip(onsets, faces, strict=True):
        cells = [onset, *row]
        if differences:
            cells += [difference_image(_to_gray(onset), _to_gray(face)) for face in row]
        rows.append(cells)
    return grid.draw(rows)


def _to_gray(picture: Color) -> NDArray[np.uint8]:
    """Return the mean of the channels: a change is equal in all three, except where one is clipped."""
    return np.asarray(np.rint(picture.mean(axis=2)), np.uint8)


def _description(request: SynthesisRequest, ensemble: Ensemble, draws: Sequence[int]) -> str:
    """Return one sentence about the output, for its metadata and for the user."""
    names = ensemble.fold_names
    folds = f"fold {names[0]}" if len(names) == 1 else f"mean of folds {', '.join(names)}"
    if len(names) > _MAX_NAMED_FOLDS:
        folds = f"mean of {len(names)} folds"
    expression = ", ".join(ensemble.classes) if request.expression == ALL_EXPRESSIONS else request.expression
    draw = f"draw {draws[0]}" if len(draws) == 1 else f"draws {draws[0]} to {draws[-1]}"
    return (
        f"Synthetic expression, not a recording: {expression}, intensity {request.intensity:g}, {draw}; "
        f"{SOFTWARE} (ICE-GAN), run {ensemble.run_id[:8]}, {folds}"
    )


def _record(request: SynthesisRequest, ensemble: Ensemble, neutral_faces: Sequence[NeutralFace]) -> dict[str, Any]:
    """Return the request and the networks for the JSON file, which may be shared and holds only the input's name."""
    record: dict[str, Any] = {
        "software": SOFTWARE,
        "run": ensemble.run_id,
        "folds": list(ensemble.fold_names),
        "trained_on_drawn_faces": ensemble.drawn_faces,
        "input": request.input.name,
        "expressions": list(ensemble.classes) if request.expression == ALL_EXPRESSIONS else [request.expression],
        "intensity": request.intensity,
        "seed": request.seed,
        "draws": list(range(request.seed, request.seed + request.draws)),
        "crop": request.crop,
        "faces": len(neutral_faces),
    }
    if request.frames is not None:
        record["sequence"] = {
            "frames": request.frames,
            "frames_per_second": request.playback_fps,
            "apex": apex_frame(request.frames, request.apex_at),
            "envelope": [round(float(share), 6) for share in envelope(request.frames, request.apex_at)],
        }
    return record


def _notes(request: SynthesisRequest, ensemble: Ensemble) -> Iterator[str]:
    """Yield notes about results that the user might not expect."""
    if ensemble.drawn_faces:
        yield DRAWN_FACES.sentence
    if request.intensity > _TRAINED_INTENSITY:
        yield f"--intensity={request.intensity:g} exaggerates: the networks were trained to reach 1"
    if request.frames is not None and abs(request.playback_fps / request.fps - 1) > 0.005:
        yield f"a {request.suffix} plays at {request.playback_fps:.4g} frames per second, not at {request.fps:g}"
