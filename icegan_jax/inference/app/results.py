"""The page's results: uploaded files in, HTML with embedded pictures out. No result is written to a file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.data.crop import CropOptions
from icegan_jax.data.images import to_gray
from icegan_jax.data.landmarks import Box
from icegan_jax.errors import UserError
from icegan_jax.inference.composite import build_renderer
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_crops import FACE_OPTION_HINT, FIRST, find_neutral_faces
from icegan_jax.inference.inputs import open_inputs, open_video
from icegan_jax.inference.media import encode_sequence, encode_still
from icegan_jax.inference.quality_flags import DRAWN_FACES, QualityFlag
from icegan_jax.inference.recognize import TRACE_FILE, Recognition, is_long, recognize_clip, recognize_events
from icegan_jax.inference.synthesize import MAX_INTENSITY, SynthesisRequest, provenance_metadata
from icegan_jax.inference.timeline import Timeline, read_timeline
from icegan_jax.inference.visualize import ANNOTATED_VIDEO, annotate_video, class_lengths, draw_recognition
from icegan_jax.reporting.face_grid import difference_image
from icegan_jax.reporting.render import data_url, encode_picture, render_macro
from icegan_jax.reporting.style import DIFFERENCE_GAIN

MAX_SECONDS = 60.0  # A longer recording would take minutes.
MAX_DRAWN = 20  # events of one recording with pictures
MAX_DRAW = 31
FACE, WHOLE = "face", "whole"
_FACE_PIXELS = 320  # on a side, of a face with its surroundings
_WHOLE_PIXELS = 800  # of the longer side; the command synthesize keeps the size of the picture
_RISE_FRAMES = 8  # of an animation, from the onset to the apex; as many lead back
_RISE_FPS = 25.0
_TEMPLATE = "app.html"

Color = NDArray[np.uint8]


def recognize_pair_html(ensemble: Ensemble, neutral: Path, expression: Path) -> str:
    """Recognize the expression of a pair of pictures.

    Raises:
        UserError: A picture cannot be read, the sizes differ, or no face is detected.
    """
    (source,) = open_inputs([str(neutral), str(expression)], None, ensemble.classes)
    result = recognize_clip(source, FIRST, CropOptions(size=ensemble.image_size), ensemble)
    return clip_html(result, ensemble.classes)


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
    if source.duration is None:
        raise UserError(f"{path}: has no frame rate; enter its frames per second")
    if source.duration > MAX_SECONDS:
        raise UserError(
            f"{path}: takes {source.duration:.0f} s, this page reads {MAX_SECONDS:.0f} at most; give it to python -m "
            f"icegan_jax.predict --workdir={ensemble.run_dir}"
        )
    options = CropOptions(size=ensemble.image_size)
    with TemporaryDirectory() as folder:
        if not is_long(source):
            result = recognize_clip(source, onset, options, ensemble)
            annotate_video(source, copy := Path(folder) / ANNOTATED_VIDEO, [result])
            return clip_html(result, ensemble.classes, data_url(copy.read_bytes(), "video/mp4"))
        recording = recognize_events(source, options, ensemble, trace := Path(folder) / TRACE_FILE)
        timeline = read_timeline(trace, recording.events)
    return recording_html(recording.events, recording.flags, ensemble.classes, timeline)


def synthesis_html(ensemble: Ensemble, path: Path, intensity: float, draw: int, view: str) -> str:
    """Synthesize every class of the run on a neutral face.

    Args:
        ensemble: the generators.
        path: a picture, whose largest face is used.
        intensity: the factor of the change, clipped to [0, ``MAX_INTENSITY``]; 1 as trained.
        draw: the number of the noise draw, clipped to [0, ``MAX_DRAW``].
        view: ``FACE`` shows the face and its surroundings, ``WHOLE`` the picture.

    Raises:
        UserError: The picture cannot be read or shows no face.
    """
    (neutral_face,) = find_neutral_faces([path], ensemble.image_size)
    intensity, draw = min(max(intensity, 0.0), MAX_INTENSITY), min(max(draw, 0), MAX_DRAW)
    close_up = neutral_face.close_up(_FACE_PIXELS)
    shown = neutral_face if view == WHOLE else close_up
    renderer = build_renderer(ensemble, [shown], range(len(ensemble.classes)), [draw], crop=False)
    pictures = renderer.render(intensity)[0]
    moving = replace(renderer, neutral_faces=[close_up])
    rising = [moving.render(intensity * share)[0] for share in np.linspace(0, 1, _RISE_FRAMES)]
    onset, faces = _gray_box(shown.picture, shown.box), []
    for label, (name, picture) in enumerate(zip(ensemble.classes, pictures, strict=True)):
        request = SynthesisRequest(path, Path(f"{name}_synthetic.png"), name, intensity, seed=draw)
        provenance = provenance_metadata(request, ensemble, [shown])
        still = encode_still(_shrink(picture, _WHOLE_PIXELS), ".png", provenance, None)
        frames = [row[label] for row in [*rising, *rising[-2::-1]]]
        animation = encode_sequence(frames, ".webp", _RISE_FPS, provenance, None, rising[-1][label])
        difference = difference_image(onset, _gray_box(picture, shown.box))
        faces.append(
            {
                "name": name,
                "still": data_url(still, "image/png"),
                "animation": data_url(animation, "image/webp"),
                "difference": _shrink(difference, _FACE_PIXELS),
            }
        )
    note = neutral_face.note.replace(str(path), path.name).replace(FACE_OPTION_HINT, "")
    notes = [f"{note}."] * bool(note)
    notes += [DRAWN_FACES.sentence] * ensemble.drawn_faces
    before = _shrink(shown.picture, _WHOLE_PIXELS)
    return render_macro(_TEMPLATE, "synthesis", faces=faces, before=before, notes=notes, gain=DIFFERENCE_GAIN)


def _gray_box(picture: Color, box: Box) -> NDArray[np.uint8]:
    """Return the gray levels in the box."""
    top, left = max(0, round(box.top)), max(0, round(box.left))
    return to_gray(np.ascontiguousarray(picture[top : round(box.bottom) + 1, left : round(box.right) + 1]))


def _shrink(picture: Color, side: int) -> Color:
    shown = Image.fromarray(picture)
    shown.thumbnail((side, side))
    return np.asarray(shown, np.uint8)


def error_html(message: str) -> str:
    """Return an error message of one line."""
    return render_macro(_TEMPLATE, "error", message=message)


def clip_html(result: Recognition, classes: Sequence[str], video: str = "") -> str:
    """Return the result for one clip: class, capsule lengths, quality flags, onset, apex and their difference.

    Args:
        result: the result.
        classes: the class names, in label order.
        video: the address of the annotated copy; empty for a pair.
    """
    return render_macro(_TEMPLATE, "clip", result=_result_fields(result, classes), video=video)


def recording_html(
    results: Sequence[Recognition], flags: Sequence[QualityFlag], classes: Sequence[str], timeline: Timeline
) -> str:
    """Return the events of a recording: timeline and table, and lengths and faces of each event with a prediction."""
    events = [
        (
            result.kind,
            result.label or "none",
            "–" if result.lengths is None else f"{max(result.lengths):.2f}",
            *(_time(result, frame) for frame in (result.onset, result.apex, result.offset)),
            " ".join(flag.sentence for flag in result.flags if flag not in flags),
        )
        for result in results
    ]
    predicted = [result for result in results if result.lengths is not None]
    return render_macro(
        _TEMPLATE,
        "recording",
        timeline=timeline,
        count=len(results),
        events=events,
        drawn=[_result_fields(result, classes) for result in predicted[:MAX_DRAWN]],
        cautions=[flag.sentence for flag in flags],
        num_others=max(0, len(predicted) - MAX_DRAWN),
    )


def _result_fields(result: Recognition, classes: Sequence[str]) -> dict[str, Any]:
    """Return what the template shows of a result with a prediction."""
    return {
        "name": result.name,
        "label": str(result.label),
        "longest_class": result.longest_class,
        "margin": result.margin,
        "time": _time(result, result.apex),
        "lengths": class_lengths(result, classes),
        "flags": [flag.sentence for flag in result.flags],
        "onset_face": result.onset_face,
        "apex_face": result.apex_face,
        "times": [_time(result, frame) for frame in (result.onset, result.apex, result.offset)],
        "strip": data_url(encode_picture(draw_recognition(result, classes), "PNG"), "image/png"),
        "folds": result.folds,
    }


def _time(result: Recognition, frame: int) -> str:
    """Return the seconds since the first frame; empty for a pair, which has no frame rate."""
    seconds = result.seconds(frame)
    return "" if seconds is None else f"{seconds:.2f} s"
