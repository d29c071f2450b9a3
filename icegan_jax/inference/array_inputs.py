"""Pictures and clips that a Python program passes to recognition and synthesis, checked and converted to uint8."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.images import MIN_SIDE, read_color, read_gray, to_gray

_CHANNELS = 3

Gray = NDArray[np.uint8]
Color = NDArray[np.uint8]
AnyPath = str | Path
Array = NDArray[Any]
Picture = Array | AnyPath


def to_gray_picture(picture: Picture, name: str) -> Gray:
    """Return a picture as gray levels.

    Args:
        picture: the path of a picture file, or uint8[h, w] gray levels or uint8[h, w, 3] RGB, or floats in [0, 1] of
            these shapes.
        name: the name of the argument, for messages.

    Returns:
        uint8[h, w].

    Raises:
        TypeError: The dtype is neither uint8 nor a float.
        ValueError: The shape or the range is wrong.
        UserError: The file cannot be read.
    """
    if isinstance(picture, AnyPath):
        return read_gray(Path(picture), "give another picture")
    array = _to_picture(picture, name)
    return array if array.ndim == 2 else to_gray(array)


def to_color_picture(picture: Picture, name: str) -> Color:
    """Return a picture as RGB uint8[h, w, 3]; arguments and errors as ``to_gray_picture``."""
    if isinstance(picture, AnyPath):
        return read_color(Path(picture))
    array = _to_picture(picture, name)
    return array if array.ndim == 3 else np.repeat(array[..., None], _CHANNELS, axis=2)


def to_prepared_crop(picture: Picture, name: str, image_size: int) -> Gray:
    """Return a face crop uint8[n, n] as ``prepare`` makes it; arguments and errors as ``to_gray_picture``.

    Raises:
        ValueError: The crop is not of the size n that the networks were trained with.
    """
    crop = to_gray_picture(picture, name)
    if crop.shape != (image_size, image_size):
        raise ValueError(f"{name}: shape {crop.shape}; a prepared crop of this run is {image_size}x{image_size}")
    return crop


def to_gray_frames(frames: Array, name: str) -> Gray:
    """Return the frames of a clip as gray levels.

    Args:
        frames: uint8[t, h, w] gray levels or uint8[t, h, w, 3] RGB, or floats in [0, 1] of these shapes.
        name: the name of the argument, for messages.

    Returns:
        uint8[t, h, w].

    Raises:
        TypeError: The dtype is neither uint8 nor a float.
        ValueError: The shape or the range is wrong.
    """
    array = _to_uint8(frames, name)
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, _CHANNELS)):
        raise ValueError(f"{name}: shape {array.shape} is one picture, which shows no change; give the apex, too")
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, _CHANNELS)):
        raise ValueError(f"{name}: shape {array.shape}; give the frames [t, h, w] or [t, h, w, 3] of a clip")
    _check_side(array.shape[1:3], name)
    if array.ndim == 3:
        return array
    return array[..., 0] if array.shape[3] == 1 else np.stack([to_gray(frame) for frame in array])


def _to_picture(picture: Array, name: str) -> NDArray[np.uint8]:
    """Return uint8[h, w] or uint8[h, w, 3]."""
    array = _to_uint8(picture, name)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == _CHANNELS)):
        raise ValueError(f"{name}: shape {array.shape}; give a gray picture [h, w] or an RGB picture [h, w, 3]")
    _check_side(array.shape[:2], name)
    return array


def _to_uint8(values: Array, name: str) -> NDArray[np.uint8]:
    array = np.asarray(values)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"{name}: dtype {array.dtype}; give uint8, or floats in [0, 1]")
    if array.size and not (array.min() >= 0 and array.max() <= 1):  # NaN is refused, too
        raise ValueError(f"{name}: values from {array.min():g} to {array.max():g}; give floats in [0, 1], or uint8")
    return np.asarray(np.rint(array * 255), np.uint8)


def _check_side(shape: tuple[int, ...], name: str) -> None:
    if min(shape) < MIN_SIDE:
        raise ValueError(f"{name}: {shape[1]}x{shape[0]} pixels are too few to show a face; give a larger picture")
