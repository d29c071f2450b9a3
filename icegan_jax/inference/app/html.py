"""The page's results as HTML with embedded pictures: no result is written to a file."""

from collections.abc import Sequence
from typing import Any

from icegan_jax.inference.quality_flags import QualityFlag
from icegan_jax.inference.recognize import Recognition
from icegan_jax.inference.visualize import draw_recognition
from icegan_jax.reporting.face_grid import difference_image
from icegan_jax.reporting.render import Picture, data_url, encode_picture, render_macro
from icegan_jax.reporting.style import DIFFERENCE_GAIN, class_color

MAX_DRAWN = 20  # events of one recording with pictures
TEMPLATE = "app.html"


def error_html(message: str) -> str:
    """Return an error message of one line."""
    return render_macro(TEMPLATE, "error", message=message)


def clip_html(result: Recognition, classes: Sequence[str]) -> str:
    """Return the result for one clip: class, capsule lengths, quality flags, onset, apex and their difference."""
    return render_macro(TEMPLATE, "clip", result=_result_fields(result, classes))


def recording_html(results: Sequence[Recognition], flags: Sequence[QualityFlag], classes: Sequence[str]) -> str:
    """Return the events of a recording: a table, and capsule lengths and pictures of each event with a prediction."""
    shared = [flag for flag in flags if all(flag in result.flags for result in results)]
    events = [
        (
            result.kind,
            result.label or "none",
            "–" if result.lengths is None else f"{max(result.lengths):.2f}",
            *(_time(result, frame) for frame in (result.onset, result.apex, result.offset)),
            " ".join(flag.sentence for flag in result.flags if flag not in shared),
        )
        for result in results
    ]
    predicted = [result for result in results if result.lengths is not None]
    return render_macro(
        TEMPLATE,
        "recording",
        count=len(results),
        events=events,
        drawn=[_result_fields(result, classes) for result in predicted[:MAX_DRAWN]],
        cautions=[flag.sentence for flag in flags],
        num_others=max(0, len(predicted) - MAX_DRAWN),
    )


def png_url(picture: Picture) -> str:
    """Return the address of an embedded PNG."""
    return data_url(encode_picture(picture, "PNG"), "image/png")


def _result_fields(result: Recognition, classes: Sequence[str]) -> dict[str, Any]:
    """Return what the template shows of a result with a prediction."""
    assert result.lengths is not None and result.onset_face is not None and result.apex_face is not None
    difference = difference_image(result.onset_face, result.apex_face)
    return {
        "name": result.name,
        "label": str(result.label),
        "margin": result.margin,
        "time": _time(result, result.apex),
        "lengths": [
            (name, float(length), class_color(label))
            for label, (name, length) in enumerate(zip(classes, result.lengths, strict=True))
        ],
        "flags": [flag.sentence for flag in result.flags],
        "pictures": [
            ("onset", _time(result, result.onset), png_url(result.onset_face)),
            ("apex", _time(result, result.apex), png_url(result.apex_face)),
            ("difference", f"x{DIFFERENCE_GAIN}; red is brighter", png_url(difference)),
        ],
        "strip": png_url(draw_recognition(result, classes)),
        "folds": result.folds,
    }


def _time(result: Recognition, frame: int) -> str:
    """Return the seconds since the first frame; empty for a pair, which has no frame rate."""
    seconds = result.seconds(frame)
    return "" if seconds is None else f"{seconds:.2f} s"
