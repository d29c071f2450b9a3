"""What the page does when it is asked to recognize: files in, HTML out."""

from pathlib import Path
from tempfile import TemporaryDirectory

from icegan_jax.data.crop import CropOptions
from icegan_jax.errors import UserError
from icegan_jax.inference.app import html
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_crops import FIRST
from icegan_jax.inference.inputs import open_inputs, open_video
from icegan_jax.inference.recognize import is_long, recognize_clip, recognize_events

MOST_SECONDS = 60.0  # a longer recording keeps the page waiting for minutes


def recognize_pair_html(model: Ensemble, neutral: Path, expression: Path) -> str:
    """Recognizes the expression of a pair of pictures.

    Raises:
        UserError: a picture cannot be read, their sizes differ, or they show no face.
    """
    (footage,) = open_inputs([str(neutral), str(expression)], None, model.classes)
    return html.clip_html(recognize_clip(footage, FIRST, CropOptions(size=model.size), model), model.classes)


def recognize_video_html(model: Ensemble, path: Path, rate: float | None, onset: str) -> str:
    """Recognizes the expression of a video of up to 3 seconds, or those of the events in one of up to a minute.

    Args:
        path: the video.
        rate: frames per second; None: what the file says.
        onset: see ``look``; only of a short one.

    Raises:
        UserError: the video cannot be read, is too long, or shows no face.
    """
    footage = open_video(path, rate)
    if footage.rate is None:
        raise UserError(f"{path}: does not say its frames per second; write them beside it")
    seconds = len(footage.numbers) / footage.rate
    if seconds > MOST_SECONDS:
        raise UserError(
            f"{path}: takes {seconds:.0f} s, this page reads {MOST_SECONDS:.0f} at most; give it to python -m "
            f"icegan_jax.predict --workdir={model.run_dir}"
        )
    options = CropOptions(size=model.size)
    if not is_long(footage):
        return html.clip_html(recognize_clip(footage, onset, options, model), model.classes)
    with TemporaryDirectory() as folder:
        readings, flags = recognize_events(footage, options, model, Path(folder))
    return html.recording_html(readings, flags, model.classes)
