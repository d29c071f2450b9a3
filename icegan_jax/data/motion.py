"""The motion from onset to apex that most compared systems read: optical flow, and optical strain.

The flow is computed from the prepared pairs: of pairs with ``prepare --register=...`` the movement of the head is taken
out before. Axis letters: n pair, h w side.
"""

import functools
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.ingest.parallel import run_parallel
from icegan_jax.io import NPZ_ERRORS, write_arrays

Gray = NDArray[np.uint8]
Floats = NDArray[np.float32]

SCALINGS = ("minmax", "symmetric")

# Pairs per task of a process: a task costs a message between processes, a pair about a second.
_PAIRS_PER_TASK = 4


def tvl1_flow(onset: Gray, apex: Gray) -> Floats:
    """Return the flow of TV-L1 (Zach et al. 2007) by scikit-image with its default settings, see ``optical_flow``.

    Most systems name TV-L1, and none of them its settings. The faces are scaled to [0, 1], as the library expects.
    """
    from skimage.registration import optical_flow_tvl1  # an import of half a second, which only this method needs

    rows, columns = optical_flow_tvl1(onset / np.float32(255), apex / np.float32(255), dtype=np.float32)
    return np.stack([columns, rows], axis=2)


def farneback_flow(onset: Gray, apex: Gray) -> Floats:
    """Return the flow of Farneback's method (2003) with the settings of ME-Recognizer, see ``optical_flow``."""
    flow = cv2.calcOpticalFlowFarneback(  # type: ignore[call-overload]  # None is allowed
        onset, apex, None, pyr_scale=0.5, levels=1, winsize=15, iterations=2, poly_n=5, poly_sigma=1.1, flags=0
    )
    return np.asarray(flow, np.float32)


FLOWS: Mapping[str, Callable[[Gray, Gray], Floats]] = MappingProxyType({"tvl1": tvl1_flow, "farneback": farneback_flow})


def optical_flow(onset: Gray, apex: Gray, method: str) -> Floats:
    """Return the displacement of each pixel from onset to apex.

    Args:
      onset, apex: uint8[h, w].
      method: a key of ``FLOWS``.

    Returns:
      float32[h, w, 2]: u to the right and v down, in pixels.
    """
    return FLOWS[method](onset, apex)


def optical_strain(flow: Floats) -> Floats:
    """Return the magnitude of the strain, float32[h, w], of a flow float32[h, w, 2].

    sqrt(u_x^2 + v_y^2 + (u_y + v_x)^2 / 2), the norm of the symmetric part of the flow's gradient (Liong et al. 2019,
    section III-B). A rotation by a small angle has no strain.
    """
    (u_y, u_x), (v_y, v_x) = (np.gradient(flow[..., index]) for index in (0, 1))
    return np.asarray(np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2), np.float32)


def resize_square(picture: NDArray[Any], size: int) -> NDArray[Any]:
    """Return a square picture [h, h] or [h, h, c] at ``size`` pixels on a side, of the same dtype."""
    interpolation = cv2.INTER_AREA if size < picture.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(picture, (size, size), interpolation=interpolation)


def motion_picture(flow: Floats, scaling: str, size: int) -> Gray:
    """Return a flow as a picture of u, v and strain.

    Args:
      flow: float32[h, w, 2].
      scaling: to gray levels. "minmax" stretches each channel of the picture from its minimum to its maximum, as the
        published systems do: the amplitude is lost, and no motion has another gray level in each picture. "symmetric"
        divides u and v by the largest displacement in the picture, and the strain by its maximum: no motion is 128, and
        the ratio of u and v is kept.
      size: pixels on a side.

    Returns:
      uint8[size, size, 3].
    """
    motion = resize_square(np.dstack([flow, optical_strain(flow)]), size)
    tiny = np.finfo(np.float32).tiny
    if scaling == "minmax":
        low, high = motion.min(axis=(0, 1)), motion.max(axis=(0, 1))
        return np.asarray(np.rint(255 * (motion - low) / np.maximum(high - low, tiny)), np.uint8)
    largest = np.abs(motion).max(axis=(0, 1))
    largest[:2] = largest[:2].max()
    return np.asarray(np.rint(128 + 127 * motion / np.maximum(largest, tiny)), np.uint8)


def motion_pictures(pairs: Pairs, folder: Path, *, flow: str, scaling: str, size: int) -> Gray:
    """Return the motion of all pairs as pictures, uint8[n, size, size, 3], with a progress bar where flow is computed.

    Args:
      pairs: the prepared pairs.
      folder: the prepared folder; it keeps the flow of every pair in ``flow_<method>.npz``, also of earlier selections
        of pairs. A folder that cannot be written is no error.
      flow: a key of ``FLOWS``.
      scaling, size: see ``motion_picture``.
    """
    faces = list(zip(pairs.onset, pairs.apex, strict=True))
    keys = [hashlib.sha256(onset.tobytes() + apex.tobytes()).hexdigest()[:24] for onset, apex in faces]
    path = folder / f"flow_{flow}.npz"
    flows = _read_flows(path)
    missing = {key: pair for key, pair in zip(keys, faces, strict=True) if key not in flows}
    if missing:
        flows |= _compute_flows(missing, flow)
        try:
            write_arrays(path, keys=np.array(list(flows)), flows=np.stack(list(flows.values())))
        except OSError:
            pass  # the next start computes the flow again
    return np.stack([motion_picture(flows[key], scaling, size) for key in keys])


def _read_flows(path: Path) -> dict[str, Floats]:
    """Return the stored flows by the digest of their pair; none where the file is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(zip(arrays["keys"].tolist(), arrays["flows"], strict=True))
    except NPZ_ERRORS:
        return {}


def _compute_flows(faces: Mapping[str, tuple[Gray, Gray]], method: str) -> dict[str, Floats]:
    """Compute the flows of pairs on all cores."""
    items = list(faces.values())
    tasks = [items[start : start + _PAIRS_PER_TASK] for start in range(0, len(items), _PAIRS_PER_TASK)]
    flows: list[Floats] = []
    with tqdm(total=len(items), desc=f"optical flow ({method})", unit="pair", dynamic_ncols=True, disable=None) as bar:
        for results in run_parallel(functools.partial(_flows_of, method), tasks, os.cpu_count() or 1):
            flows += results
            bar.update(len(results))
    return dict(zip(faces, flows, strict=True))


def _flows_of(method: str, faces: list[tuple[Gray, Gray]]) -> list[Floats]:
    return [optical_flow(onset, apex, method) for onset, apex in faces]
