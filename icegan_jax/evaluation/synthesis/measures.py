"""What one face scores against the real clip that it stands for."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icegan_jax.evaluation.synthesis.faces import Faces, Grey
from icegan_jax.evaluation.synthesis.flow import Flow, flow_agreement, optical_flow
from icegan_jax.evaluation.synthesis.similarity import psnr, ssim

Values = NDArray[np.float64]

# In the order of the table.
MEASURES = ("ssim", "psnr", "lpips", "identity", "flow_cosine", "flow_magnitude_ratio", "flow_correlation")


class Networks(NamedTuple):
    """The pre-trained networks, from outside: this package knows no jax.

    Attributes:
      lpips: uint8[n, h, w] twice to float[n], pair by pair.
      features: uint8[n, h, w] to float[n, d], for the kernel distance.
      embed: uint8[h, w] to float[e], whose face it is.
    """

    lpips: Callable[[Grey, Grey], NDArray[np.floating]]
    features: Callable[[Grey], NDArray[np.floating]]
    embed: Callable[[Grey], Values]


class RealClips(NamedTuple):
    """n real clips, and what is computed of them once.

    Attributes:
      onset: uint8[n, h, w].
      apex: uint8[n, h, w].
      flow: float32[n, h, w, 2], onset to apex.
      embedding: float[n, e] of the onsets, of length 1.
    """

    onset: Grey
    apex: Grey
    flow: Flow
    embedding: Values


def real_clips(faces: Faces, networks: Networks) -> RealClips:
    """The real side of some faces."""
    flow = [optical_flow(onset, apex) for onset, apex in zip(faces.onset, faces.apex, strict=True)]
    return RealClips(faces.onset, faces.apex, np.stack(flow), embeddings(faces.onset, networks))


def embeddings(faces: Grey, networks: Networks) -> Values:
    """Of uint8[n, h, w]: float[n, e], of length 1."""
    found = np.stack([networks.embed(face) for face in faces])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def measure(
    faces: Grey,
    clip: Sequence[int] | NDArray[np.integer],
    real: RealClips,
    networks: Networks,
    tick: Callable[[], object],
    identity: bool = True,
) -> dict[str, Values]:
    """Each of ``MEASURES`` for m faces, float64[m].

    Args:
      faces: uint8[m, h, w].
      clip: int[m], the real clip of each.
      real: n clips.
      networks: the pre-trained ones.
      tick: called once a face.
      identity: False leaves it NaN: the network is the slowest part.
    """
    clip = np.asarray(clip, np.int64)
    found = {name: np.full(len(faces), np.nan) for name in MEASURES}
    if not len(faces):
        return found
    found["lpips"] = np.asarray(networks.lpips(real.apex[clip], faces), np.float64)
    for row, (face, number) in enumerate(zip(faces, clip, strict=True)):
        found["ssim"][row] = ssim(real.apex[number], face)
        found["psnr"][row] = psnr(real.apex[number], face)
        agreement = flow_agreement(real.flow[number], optical_flow(real.onset[number], face))
        found["flow_cosine"][row] = agreement.cosine
        found["flow_magnitude_ratio"][row] = agreement.magnitude_ratio
        found["flow_correlation"][row] = agreement.correlation
        if identity:
            embedding = networks.embed(face)
            found["identity"][row] = embedding @ real.embedding[number] / np.linalg.norm(embedding)
        tick()
    return found


def per_clip(values: Values, clip: NDArray[np.integer], n: int) -> Values:
    """The mean of each clip's faces, float64[n]: NaN where it has none, or one of them has no value."""
    sums, counts = np.bincount(clip, values, n), np.bincount(clip, minlength=n)
    return np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)
