"""The frames of whole clips, which LBP-TOP and 3D networks read: a fixed number per clip, from onset to offset.

Axis letters: n frame of a clip, t interpolated frame, c clip, h w side.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.clips import Clip
from icegan_jax.data.cropper import Cropper
from icegan_jax.data.dataset import Pairs
from icegan_jax.errors import UserError
from icegan_jax.io import NPZ_ERRORS, write_arrays

Gray = NDArray[np.uint8]

CLIP_FRAMES_FILE = "clip_frames.npz"  # beside the pairs of a prepared folder
CLIP_FRAMES = 10  # the number that the baseline of MEGC2019 interpolates
# LBP-TOP compares frames 4 apart on both sides; the most that a published system interpolates is 64.
MIN_FRAMES, MAX_FRAMES = 9, 64
REMEDY = f"--clip_frames={CLIP_FRAMES}"


def interpolate_frames(frames: NDArray[np.generic], count: int) -> NDArray[np.float64]:
    """Interpolate a clip to ``count`` frames by the temporal interpolation model (TIM; Zhou et al., CVPR 2011).

    The n frames are taken to lie on the curve f_k(t) = sin(pi k t + pi (n - k) / (2 n)), k = 1 to n - 1, at t = i / n,
    i = 1 to n. The curve is orthogonal at these points, so that the linear map from it to the frames, which the paper
    finds by a singular value decomposition, is the inner products with the frames, and no pixel influences another.

    Args:
        frames: [n, ...], two or more frames at equal distances in time.
        count: number of frames to return, at equal distances from the first to the last.

    Returns:
        float64[count, ...]; the first and the last frame are those given, and all are where ``count`` is n.
    """
    n = len(frames)
    order = np.arange(1, n)

    def curve(times: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sin(np.pi * (times[:, None] * order + (n - order) / (2 * n)))

    times = np.arange(1, n + 1) / n
    weights = 1 / n + 2 / n * curve(np.linspace(1 / n, 1, count)) @ curve(times).T
    return np.tensordot(weights, frames.astype(np.float64), axes=1)


def crop_clip_frames(cropper: Cropper, clip: Clip, later: Sequence[int], count: int) -> tuple[Gray, ...]:
    """Crop all frames of a clip as the apex is cropped, and interpolate ``count`` of them.

    Frames that do not show the face of the onset are left out.

    Args:
        cropper: crops the frames.
        clip: the clip; named in messages.
        later: numbers of the frames after the onset, up to the offset.
        count: number of frames to return.

    Returns:
        ``count`` faces, uint8[size, size] each.

    Raises:
        UserError: there is no frame between onset and offset.
    """
    crops = [cropper.onset, *cropper.crop_scene(later)]
    if len(crops) < 3:
        raise UserError(
            f"{clip.frames}: {clip.dataset} has no frames between onset {clip.onset} and offset {clip.offset}; give "
            "them, or prepare without --clip_frames"
        )
    return tuple(np.clip(np.rint(interpolate_frames(np.stack(crops), count)), 0, 255).astype(np.uint8))


def write_clip_frames(folder: Path, clips: Sequence[Clip], frames: Sequence[Sequence[Gray]]) -> None:
    """Write the frames of the clips, ``count`` faces uint8[h, w] each, into a prepared folder.

    Raises:
        OSError: the file cannot be written.
    """
    write_arrays(folder / CLIP_FRAMES_FILE, clip=np.array([clip.name for clip in clips]), frames=np.stack(frames))


def load_clip_frames(folder: Path, pairs: Pairs) -> Gray:
    """Return the frames of the clip of each pair, uint8[len(pairs), count, h, w].

    Raises:
        UserError: the folder was prepared without the frames, or their file is damaged.
    """
    path = folder / CLIP_FRAMES_FILE
    if not path.is_file():
        databases = ", ".join(dict.fromkeys(pairs.dataset.tolist()))
        raise UserError(
            f"{folder}: {databases} was prepared without the frames from onset to offset; prepare it with {REMEDY}"
        )
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            row_of = {name: row for row, name in enumerate(arrays["clip"].tolist())}
            frames: Gray = arrays["frames"]
        names = ["/".join(key) for key in zip(pairs.dataset, pairs.subject, pairs.clip, strict=True)]
        return frames[[row_of[name] for name in names]]
    except NPZ_ERRORS:
        raise UserError(f"{path}: damaged, or of other clips; prepare the folder again with {REMEDY}") from None
