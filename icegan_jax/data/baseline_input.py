"""What the compared systems read in place of the two faces: pictures of the motion, or the enlarged apex."""

from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.motion import motion_pictures

INPUT_CHANNELS = MappingProxyType({"motion": 3, "apex": 1})


def baseline_input(
    pairs: Pairs, folder: Path, kind: str, *, size: int, flow: str, scaling: str
) -> NDArray[np.uint8]:
    """Return the input of a compared system for each pair, uint8[n, size, size, c].

    Args:
      pairs: the prepared pairs.
      folder: the prepared folder, which keeps the optical flow.
      kind: "motion": u, v and strain of the optical flow from onset to apex (c = 3), see ``data.motion``; "apex": the
        apex (c = 1).
      size: pixels on a side.
      flow: method of the optical flow, "tvl1" or "farneback".
      scaling: of the motion to 0..255, "minmax" or "symmetric".
    """
    if kind == "motion":
        return motion_pictures(pairs, folder, flow=flow, scaling=scaling, size=size)
    shrinks = size < pairs.apex.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.stack([cv2.resize(face, (size, size), interpolation=interpolation) for face in pairs.apex])[..., None]
