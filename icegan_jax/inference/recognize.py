"""A recording, looked at and answered: as one clip, or as the events that are found in it."""

from pathlib import Path

from tqdm import tqdm

from icegan_jax.data.crop import CropOptions
from icegan_jax.inference import events
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_crops import crop_source
from icegan_jax.inference.inputs import FrameSource
from icegan_jax.inference.quality_flags import Flag, flag_frame_rate
from icegan_jax.inference.recognition import Recognition

LONG_SECONDS = 3.0  # a longer recording is searched for events; six micro-expressions of half a second fit in
LONG_FRAMES = 300  # the same where the frame rate is not known: 1.5 s at 200 frames per second (CASME II)


def is_long(footage: FrameSource) -> bool:
    """Whether a recording is better searched for events than read as one clip."""
    count = len(footage.numbers)
    return count > LONG_FRAMES if footage.rate is None else count > LONG_SECONDS * footage.rate


def recognize_clip(footage: FrameSource, onset: str, options: CropOptions, model: Ensemble) -> Recognition:
    """Reads frames as one clip.

    Args:
        footage: the frames.
        onset: see ``look``.
        options: how faces are cropped.
        model: whose discriminators answer.

    Raises:
        UserError: see ``look``.
    """
    sight = crop_source(footage, onset, options)
    (lengths,) = model.predict(sight.onset_face[None], sight.apex_face[None])
    label = -1 if footage.clip is None else footage.clip.label
    pair = footage.clip is not None and not footage.clip.dataset
    reading = Recognition(
        name=footage.name,
        source=footage.source,
        kind="clip",
        first=footage.numbers[0],
        onset=sight.onset,
        apex=sight.apex,
        offset=sight.offset,
        rate=footage.rate,
        flags=() if pair else tuple(flag_frame_rate(footage.rate)),
        truth=model.classes[label] if label >= 0 else None,
    )
    return reading.answered(sight, lengths, _names(model))


def recognize_events(
    footage: FrameSource, options: CropOptions, model: Ensemble, folder: Path
) -> tuple[list[Recognition], list[Flag]]:
    """Searches a recording for events, and reads each.

    Args:
        footage, options, model: see ``read_clip``.
        folder: where ``events.TRACE`` is written.

    Returns:
        The events in the order of their onsets, and the flags of the recording as a whole.

    Raises:
        UserError: see ``events.spot``.
    """
    spotting = events.spot_events_in(footage, folder / events.TRACE)
    found = events.recognize_candidates(footage, spotting, options, model.predict, _names(model))
    bar = tqdm(found, total=len(spotting.events), unit="event", desc="reading events", dynamic_ncols=True)
    return sorted(bar, key=lambda reading: reading.onset), events.recording_flags(footage, spotting)


def _names(model: Ensemble) -> tuple[str, ...]:
    return tuple(fold.name for fold in model.folds)
