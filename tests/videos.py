"""Videos for tests, written by PyAV."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from numpy.typing import NDArray

_CODECS = {  # pixels of the .mkv are exact
    ".avi": ("mjpeg", "yuvj420p", {"qmin": "3", "qmax": "3"}),
    ".mkv": ("ffv1", "gray", {}),
    ".mp4": ("libx264", "yuv420p", {"g": "12"}),
}


def write_test_video(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    fps: int = 25,
    positions: Sequence[int] | None = None,
    rotation: int = 0,
    **container_options: str,
) -> Path:
    """Write gray pictures uint8[h, w] as a video.

    Args:
        path: an .avi (Motion JPEG), .mkv (lossless) or .mp4 (H.264).
        pictures: the frames.
        fps: frames per second.
        positions: the time of each frame in 1 / fps; an .avi gets null frames in between. None: 0, 1, 2 ...
        rotation: the degrees, counterclockwise, by which a player turns the pictures.
        container_options: options of the container's format.
    """
    codec, pixel_format, options = _CODECS[path.suffix]
    with av.open(str(path), "w", options=container_options) as container:
        stream = cast(Any, container.add_stream(codec, rate=Fraction(fps), options=options))
        stream.height, stream.width = pictures[0].shape
        stream.pix_fmt = pixel_format
        if rotation:
            stream.set_display_rotation(rotation)
        for picture, position in zip(pictures, positions or range(len(pictures)), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "gray").reformat(format=pixel_format)
            frame.pts, frame.time_base = position, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
