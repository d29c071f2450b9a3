"""What changed in a face, in colours."""

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.reporting.synthesis_sheet import GAIN

Grey = NDArray[np.uint8]


def difference(onset: Grey, face: Grey) -> Image.Image:
    """The signed change from uint8[h, w] to uint8[h, w], RGB: red brighter, blue darker, ``GAIN`` times enlarged."""
    change = (face.astype(np.float64) - onset) * GAIN / 255
    return Image.fromarray(matplotlib.colormaps["RdBu_r"]((change + 1) / 2, bytes=True)[..., :3])
