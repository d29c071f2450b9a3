"""A recording, looked at and answered: as one clip, or as the events that are found in it."""

from pathlib import Path

from tqdm import tqdm

from icegan_jax.data.preparing.cropping import Options
from icegan_jax.use import events
from icegan_jax.use.flags import Flag, of_rate
from icegan_jax.use.inputs import Footage
from icegan_jax.use.model import Model
from icegan_jax.use.reading import Reading
from icegan_jax.use.sight import look

LONG_SECONDS = 3.0  # a longer recording is searched for events; six micro-expressions of half a second fit in
LONG_FRAMES = 300  # the same where the frame rate is not known: 1.5 s at 200 frames per second (CASME II)


def is_long(footage: Footage) -> bool:
    """Whether a recording is better searched for events than read as one clip."""
    count = len(footage.numbers)
    return count > LONG_FRAMES if footage.rate is None else count > LONG_SECONDS * footage.rate


def read_clip(footage: Footage, onset: str, options: Options, model: Model) -> Reading:
    """Reads frames as one clip.

    Args:
        footage: the frames.
        onset: see ``look``.
        options: how faces are cropped.
        model: whose discriminators answer.

    Raises:
        UserError: see ``look``.
    """
    sight = look(footage, onset, options)
    (lengths,) = model.recognise(sight.onset_face[None], sight.apex_face[None])
    label = -1 if footage.clip is None else footage.clip.label
    pair = footage.clip is not None and not footage.clip.dataset
    reading = Reading(
        name=footage.name,
        source=footage.source,
        kind="clip",
        first=footage.numbers[0],
        onset=sight.onset,
        apex=sight.apex,
        offset=sight.offset,
        rate=footage.rate,
        flags=() if pair else tuple(of_rate(footage.rate)),
        truth=model.classes[label] if label >= 0 else None,
    )
    return reading.answered(sight, lengths, _names(model))


def search(footage: Footage, options: Options, model: Model, folder: Path) -> tuple[list[Reading], list[Flag]]:
    """Searches a recording for events, and reads each.

    Args:
        footage, options, model: see ``read_clip``.
        folder: where ``events.TRACE`` is written.

    Returns:
        The events in the order of their onsets, and the flags of the recording as a whole.

    Raises:
        UserError: see ``events.spot``.
    """
    spotting = events.spot(footage, folder / events.TRACE)
    found = events.read_events(footage, spotting, options, model.recognise, _names(model))
    bar = tqdm(found, total=len(spotting.events), unit="event", desc="reading events", dynamic_ncols=True)
    return sorted(bar, key=lambda reading: reading.onset), events.of_recording(footage, spotting)


def _names(model: Model) -> tuple[str, ...]:
    return tuple(fold.name for fold in model.folds)
