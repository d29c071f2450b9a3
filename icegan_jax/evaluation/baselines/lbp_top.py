"""Local binary patterns on three orthogonal planes (LBP-TOP), the features of the baseline of MEGC2019.

Source: Zhao and Pietikäinen, PAMI 2007; the settings are those of See et al., "MEGC 2019 - the second facial
micro-expressions grand challenge", FG 2019.

Axis letters: c clip, t frame, h w side, p neighbor, k block.
"""

import numpy as np
from numpy.typing import NDArray

RADIUS = 1  # in pixels, of the plane XY and of the spatial axis of XT and YT
TIME_RADIUS = 4  # in frames
BLOCKS = 5  # along each side of the face
NEIGHBORS = 4
_CODES = 2**NEIGHBORS
# The neighbors (t, y, x) of each plane, in the order of their bits: counterclockwise from the end of the first axis.
# They lie on the axes, so that no pixel is interpolated.
_X, _Y, _T = (0, 0, RADIUS), (0, RADIUS, 0), (TIME_RADIUS, 0, 0)
_PLANES = {"XY": (_X, _Y), "XT": (_X, _T), "YT": (_Y, _T)}


def lbp_top_codes(clip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pattern of each pixel of a clip on the planes XY, XT and YT.

    Bit p of a pattern is set where neighbor p is at least as bright as the pixel. Pixels that lack a neighbor have no
    pattern (the paper's "central part"): of 10 frames only the two in the middle have neighbors 4 frames away.

    Args:
        clip: uint8[t, h, w].

    Returns:
        uint8[3, t - 8, h - 2, w - 2], 0 to 15.

    Raises:
        ValueError: there are fewer than 9 frames.
    """
    if len(clip) <= 2 * TIME_RADIUS:
        raise ValueError(f"{len(clip)} frames; neighbors {TIME_RADIUS} frames away need {2 * TIME_RADIUS + 1}")
    shape = np.array(clip.shape) - (2 * TIME_RADIUS, 2 * RADIUS, 2 * RADIUS)

    def moved(offset: NDArray[np.int_]) -> NDArray[np.uint8]:
        start = offset + (TIME_RADIUS, RADIUS, RADIUS)
        return clip[tuple(slice(first, first + length) for first, length in zip(start, shape, strict=True))]

    codes = np.zeros((len(_PLANES), *shape), np.uint8)
    for code, (across, down) in zip(codes, _PLANES.values(), strict=True):
        right, below = np.array(across), np.array(down)
        for bit, offset in enumerate((right, -below, -right, below)):
            code |= (moved(offset) >= moved(0 * right)).astype(np.uint8) << bit
    return codes


def lbp_top_features(clips: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the histograms of the patterns in 5 x 5 blocks of each clip.

    Args:
        clips: uint8[c, t, h, w], as of ``data.clip_frames.load_clip_frames``.

    Returns:
        float64[c, 1200]: 25 blocks, 3 planes, 16 patterns; each histogram sums to 1.

    Raises:
        ValueError: there are fewer than 9 frames.
    """
    features = []
    for clip in clips:
        codes = lbp_top_codes(clip)
        for rows in np.array_split(codes, BLOCKS, axis=2):
            for block in np.array_split(rows, BLOCKS, axis=3):
                features += [np.bincount(plane.ravel(), minlength=_CODES) / plane.size for plane in block]
    return np.reshape(features, (len(clips), -1))
