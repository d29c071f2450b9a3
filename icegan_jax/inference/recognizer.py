"""The recognizer: the discriminators of a run, applied to pictures, clips and long recordings."""

import math
from pathlib import Path

from icegan_jax.data.crop import REGISTRATIONS, CropOptions
from icegan_jax.errors import UserError
from icegan_jax.inference.ensemble import load_ensemble
from icegan_jax.inference.face_crops import FIRST, QUIETEST
from icegan_jax.inference.inputs import (
    AnyPath,
    Array,
    FrameSource,
    Picture,
    array_source,
    open_inputs,
    pair_source,
    to_gray_frames,
    to_gray_pair,
    to_prepared_crop,
)
from icegan_jax.inference.recognize import (
    Recognition,
    RecordingResult,
    recognize_clip,
    recognize_crops,
    recognize_events,
)


class Recognizer:
    """Recognizes micro-expressions with the networks of a trained run.

    Attributes:
        ensemble: the networks; ``ensemble.predict`` takes batches of prepared crops.
    """

    def __init__(self, path: AnyPath, fold: str | None = None, exclude_subject: str | None = None) -> None:
        """Read the discriminators of a run, see ``icegan_jax.load_run``."""
        self.ensemble = load_ensemble(Path(path), generator=False, fold=fold, exclude_subject=exclude_subject)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in label order."""
        return self.ensemble.classes

    @property
    def image_size(self) -> int:
        """Pixels on a side of a prepared crop."""
        return self.ensemble.image_size

    def recognize(
        self,
        onset: Picture | FrameSource,
        apex: Picture | None = None,
        *,
        onset_frame: int | str = FIRST,
        fps: float | None = None,
        register: str = REGISTRATIONS[0],
        cropped: bool = False,
    ) -> Recognition:
        """Recognize the expression of an onset/apex pair or of a clip.

        The face is detected in the onset, the apex is registered to the onset, and both are cropped as ``prepare``
        does. The apex of a clip is the frame that differs most from the onset.

        Args:
            onset: the neutral face: the path of a picture, uint8[h, w] gray or uint8[h, w, 3] RGB, or floats in [0, 1]
                of these shapes. Without ``apex``: the clip, as the path of a video or of a folder of frames, or as
                frames [t, h, w] or [t, h, w, 3].
            apex: the face at the strongest expression, of the same size; None for a clip.
            onset_frame: the onset of a clip: "first", "quietest" (the middle of the interval with the least motion),
                or a frame number.
            fps: frames per second of a clip, which overrides the rate in a video's header.
            register: "rigid" moves each frame onto the onset, "none" does not; as the run was prepared.
            cropped: ``onset`` and ``apex`` are prepared crops [n, n] already.

        Raises:
            TypeError: An array is neither uint8 nor a float.
            ValueError: The shape, range or value of an argument is wrong.
            UserError: A file cannot be read, or no face is detected.
        """
        if cropped:
            if apex is None or isinstance(onset, FrameSource):
                raise ValueError("apex: missing; with cropped=True give two crops")
            n = self.image_size
            crops = to_prepared_crop(onset, "onset", n), to_prepared_crop(apex, "apex", n)
            return recognize_crops(*crops, self.ensemble)
        source = self._source(onset, fps) if apex is None else _pair(onset, apex, fps)
        return recognize_clip(source, _onset_text(onset_frame), self._options(register), self.ensemble)

    def recognize_events(
        self,
        recording: AnyPath | Array | FrameSource,
        *,
        fps: float | None = None,
        register: str = REGISTRATIONS[0],
        trace: AnyPath | None = None,
        progress: bool = False,
    ) -> RecordingResult:
        """Spot the events of a long recording and recognize the expression of each.

        Args:
            recording: the path of a video or of a folder of frames, or frames [t, h, w] or [t, h, w, 3].
            fps: frames per second, which overrides the rate in a video's header; a folder and an array need it.
            register: see ``recognize``.
            trace: a csv to write, with the change and the head motion of each frame; None: none is written.
            progress: draw progress bars on stderr.

        Returns:
            The events, ordered by their onsets; empty where none is found.

        Raises:
            TypeError, ValueError: see ``recognize``.
            UserError: The recording cannot be read, shows no face, or its frame rate is unknown.
        """
        source = self._source(recording, fps, name="recording")
        path = None if trace is None else Path(trace)
        return recognize_events(source, self._options(register), self.ensemble, path, progress=progress)

    def _options(self, register: str) -> CropOptions:
        if register not in REGISTRATIONS:
            raise ValueError(f"register: {register!r}; give {' or '.join(map(repr, REGISTRATIONS))}")
        return CropOptions(register=register, size=self.image_size)

    def _source(self, clip: AnyPath | Array | FrameSource, fps: float | None, name: str = "onset") -> FrameSource:
        """Return the frames of a clip or recording; ``name`` is the argument that messages name."""
        if fps is not None and not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps: {fps}; give a number above 0")
        if isinstance(clip, FrameSource):
            return clip
        if isinstance(clip, AnyPath):
            path = Path(clip)
            if path.suffix.lower() == ".csv":
                raise UserError(f"{path}: holds several clips; give one, or use python -m icegan_jax.predict")
            (source,) = open_inputs([str(path)], fps, self.classes)
            return source
        return array_source(to_gray_frames(clip, name), Path(name), fps)


def _pair(onset: Picture | FrameSource, apex: Picture, fps: float | None) -> FrameSource:
    if isinstance(onset, FrameSource):
        raise ValueError("apex: not of a clip; leave it out")
    if fps is not None:
        raise ValueError(f"fps: {fps}; two pictures have no frame rate, leave it out")
    frames = to_gray_pair(onset, apex)
    if frames[0].shape != frames[1].shape:
        raise ValueError(
            f"apex: shape {frames[1].shape}, but the onset has {frames[0].shape}; give two frames of one recording"
        )
    paths = (
        Path(each) if isinstance(each, AnyPath) else Path(name) for name, each in (("onset", onset), ("apex", apex))
    )
    return pair_source(*frames, *paths)


def _onset_text(onset_frame: int | str) -> str:
    """Return the onset as ``crop_source`` takes it."""
    text = str(onset_frame)
    if text not in (FIRST, QUIETEST) and not (text.isascii() and text.isdigit()):
        raise ValueError(f"onset_frame: {onset_frame!r}; give {FIRST!r}, {QUIETEST!r} or a frame number")
    return text
