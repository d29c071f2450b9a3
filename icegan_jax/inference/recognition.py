"""What was read of one clip or event: where its frames are, what the networks answer, and what to be wary of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Box
from icegan_jax.inference.face_crops import FaceCrops
from icegan_jax.inference.quality_flags import Flag, flag_margin

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Recognition:
    """One clip or event.

    Attributes:
        name: unique within a call; names its strip of pictures.
        source: the input, as given.
        kind: "clip", or of an event "micro" (at most half a second) or "macro", which no network is asked about.
        first: frame number that counts as second 0.
        onset: frame number of the neutral face.
        apex: of the strongest change.
        offset: of the end.
        rate: frames per second; None where that is not known.
        flags: what to be wary of.
        truth: the class that the input's annotation gives; None where there is none.
        lengths: float32[k], capsule lengths; None where no network was asked.
        onset_face: uint8[n, n], the neutral face, cropped; None with ``lengths``.
        apex_face: uint8[n, n], registered to it; None with ``lengths``.
        box: of the crop, in pixels of the onset; None with ``lengths``.
        folds: whose networks answered.
    """

    name: str
    source: str
    kind: str
    first: int
    onset: int
    apex: int
    offset: int
    rate: float | None
    flags: tuple[Flag, ...]
    truth: str | None = None
    lengths: NDArray[np.float32] | None = None
    onset_face: Grey | None = None
    apex_face: Grey | None = None
    box: Box | None = None
    folds: tuple[str, ...] = ()

    def answered(self, sight: FaceCrops, lengths: NDArray[np.float32], folds: tuple[str, ...]) -> "Recognition":
        """The reading with what the networks of ``folds`` said, float32[k], of what was seen."""
        reading = replace(
            self,
            onset=sight.onset,
            apex=sight.apex,
            offset=sight.offset,
            lengths=lengths,
            onset_face=sight.onset_face,
            apex_face=sight.apex_face,
            box=sight.box,
            folds=folds,
        )
        return replace(reading, flags=(*self.flags, *sight.flags, *flag_margin(reading.margin)))

    def seconds(self, frame: int) -> float | None:
        """When a frame is, in seconds since the first one; None where the rate is not known."""
        return None if self.rate is None else (frame - self.first) / self.rate

    def answer(self, classes: Sequence[str]) -> str | None:
        """The class of the longest capsule."""
        return None if self.lengths is None else classes[int(np.argmax(self.lengths))]

    @property
    def margin(self) -> float | None:
        """How much longer the longest capsule is than the next."""
        if self.lengths is None or len(self.lengths) < 2:
            return None
        second, first = np.sort(self.lengths)[-2:]
        return float(first - second)
