"""What is asked of ``synthesize``, checked before anything is read."""

import math
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.errors import UserError
from icegan_jax.use.synthesis.course import LEAST_FRAMES

ALL = "all"
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
class Order:
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


def check(order: Order) -> None:
    """Refuses what cannot be made.

    Raises:
        UserError: names the option, its value, and what it may be.
    """
    _check_numbers(order)
    _check_out(order)


def _check_numbers(order: Order) -> None:
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


def _check_out(order: Order) -> None:
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
