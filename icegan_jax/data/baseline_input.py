"""What the compared systems read in place of the two faces: pictures of the motion, the apex, or frames of the clip."""

from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.clip_frames import load_clip_frames
from icegan_jax.data.dataset import Pairs
from icegan_jax.data.motion import motion_pictures, resize_square

CHANNELS = MappingProxyType({"motion": 3, "apex": 1})  # of the pictures that networks read


def baseline_input(pairs: Pairs, folder: Path, kind: str, *, size: int, flow: str, scaling: str) -> NDArray[np.uint8]:
    """Return the input of a compared system for each pair.

    Args:
      pairs: the prepared pairs.
      folder: the prepared folder, which holds the frames of clips and keeps the optical flow.
      kind: "motion": u, v and strain of the optical flow from onset to apex, see ``data.motion``; "apex": the apex;
        "clip": frames from onset to offset at the size of the prepared faces, see ``data.clip_frames``.
      size: pixels on a side of motion and apex.
      flow: method of the optical flow, "tvl1" or "farneback".
      scaling: of the motion to 0..255, "minmax" or "symmetric".

    Returns:
      uint8[n, size, size, 3] of "motion", uint8[n, size, size, 1] of "apex", uint8[n, frames, h, w] of "clip".

    Raises:
      UserError: the folder was prepared without the frames of the clips.
    """
    if kind == "clip":
        return load_clip_frames(folder, pairs)
    if kind == "motion":
        return motion_pictures(pairs, folder, flow=flow, scaling=scaling, size=size)
    return np.stack([resize_square(face, size) for face in pairs.apex])[..., None]
