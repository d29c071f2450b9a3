"""The page's recognition: uploaded files in, HTML out."""

from pathlib import Path

from icegan_jax.data.crop import CropOptions
from icegan_jax.errors import UserError
from icegan_jax.inference.app import html
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_crops import FIRST
from icegan_jax.inference.inputs import open_inputs, open_video
from icegan_jax.inference.recognize import is_long, recognize_clip, recognize_events

MAX_SECONDS = 60.0  # A longer recording would take minutes.


def recognize_pair_html(ensemble: Ensemble, neutral: Path, expression: Path) -> str:
    """Recognize the expression of a pair of pictures.

    Raises:
        UserError: A picture cannot be read, the sizes differ, or no face is detected.
    """
    (source,) = open_inputs([str(neutral), str(expression)], None, ensemble.classes)
    result = recognize_clip(source, FIRST, CropOptions(size=ensemble.image_size), ensemble)
    return html.clip_html(result, ensemble.classes)


def recognize_video_html(ensemble: Ensemble, path: Path, fps: float | None, onset: str) -> str:
    """Recognize the expression of a video of up to 3 seconds, or those of the events in one of up to a minute.

    Args:
        ensemble: the networks.
        path: the video.
        fps: frames per second; None: the rate in the video's header.
        onset: see ``face_crops.crop_source``; used for a short video only.

    Raises:
        UserError: The video cannot be read, has no frame rate, is too long, or shows no face.
    """
    source = open_video(path, fps)
    if source.fps is None:
        raise UserError(f"{path}: has no frame rate; enter its frames per second")
    seconds = len(source.frame_numbers) / source.fps
    if seconds > MAX_SECONDS:
        raise UserError(
            f"{path}: takes {seconds:.0f} s, this page reads {MAX_SECONDS:.0f} at most; give it to python -m "
            f"icegan_jax.predict --workdir={ensemble.run_dir}"
        )
    options = CropOptions(size=ensemble.image_size)
    if not is_long(source):
        return html.clip_html(recognize_clip(source, onset, options, ensemble), ensemble.classes)
    recording = recognize_events(source, options, ensemble)
    return html.recording_html(recording.events, recording.flags, ensemble.classes)
