"""A camera: recorded for some seconds first, then read as any video is."""

import time
from pathlib import Path

import cv2
from tqdm import tqdm

from icegan_jax.errors import UserError
from icegan_jax.inference.visualize import check_room

RECORDING = "recording.avi"
_CAMERA_CODEC = "MJPG"  # every frame a picture of its own: nothing is lost between frames
_NOMINAL_RATE = 30.0  # written into a header that cannot be changed later; what was measured is used instead


def record_camera(index: int, seconds: float, out: Path) -> float:
    """Records a camera.

    Args:
        index: of the camera, 0 is the first.
        seconds: how long.
        out: the avi to write.

    Returns:
        Frames per second, as they came.

    Raises:
        UserError: there is no such camera, or it gives no pictures.
    """
    camera = cv2.VideoCapture(index)
    if not camera.isOpened():
        raise UserError(
            f"camera {index}: cannot be opened; see that it is connected, free and yours to read, or give a video"
        )
    writer: cv2.VideoWriter | None = None
    start = now = time.perf_counter()
    frames = 0
    try:
        with tqdm(total=seconds, unit="s", desc=f"camera {index}", dynamic_ncols=True) as bar:
            while now - start < seconds:
                ok, picture = camera.read()
                if not ok:
                    break
                if writer is None:
                    start = time.perf_counter()  # the first picture may take a second to come
                    size = (picture.shape[1], picture.shape[0])
                    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*_CAMERA_CODEC), _NOMINAL_RATE, size)
                writer.write(picture)
                frames += 1
                now = time.perf_counter()
                bar.n = min(seconds, round(now - start, 1))
                bar.refresh()
    finally:
        camera.release()
        if writer is not None:
            writer.release()
    check_room(out)
    if frames < 2:
        raise UserError(f"camera {index}: gives no pictures; see that nothing else uses it, or give a video")
    return (frames - 1) / (now - start)
