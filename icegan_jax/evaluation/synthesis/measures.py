"""Whether a synthetic face moves as the real one did: agreement of their optical flows from the onset.

How alike two faces are, pixel by pixel: SSIM and PSNR.

Kernel distance of two sets of features, as in the Kernel Inception Distance (Binkowski et al. 2018).

What one face scores against the real clip that it stands for.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import mean_squared_error, structural_similarity

from icegan_jax.evaluation.synthesis.faces import GrayImages, SynthesizedFaces

# Pixels that moved: those whose real flow is this long. It is the 95th percentile of the flow that noise of 1.5 grey
# levels alone makes (faces drawn by prepare; 0.1 on faces/micro). A fixed length and not a percentile of the clip: of a
# clip that hardly moves, a percentile would keep the noise.
MOVED_PX = 0.2

# A face whose flow is shorter than this leaves the pixel in place: half of what noise alone makes is longer there.
_STILL_PX = 0.05

Flow = NDArray[np.float32]


class FlowAgreement(NamedTuple):
    """Of a face's flow with the real one.

    Attributes:
      cosine: mean cosine of the two directions over the pixels that moved, weighted by how far they really did; a
        pixel that the face leaves in place counts 0. 1: the same way; -1: the opposite way.
      magnitude_ratio: the face's mean length over the real one's, in the same pixels. 1: as far; 0: not at all.
      correlation: of the two lengths over all pixels (Pearson): whether the same places move. 0 where the face moves
        nowhere.
    """

    cosine: float
    magnitude_ratio: float
    correlation: float


def optical_flow(onset: GrayImages, face: GrayImages) -> Flow:
    """Where each pixel of the onset went, float32[h, w, 2], x and y in pixels; all 0 for equal faces.

    Dense inverse search (Kroeger et al. 2016), OpenCV's medium preset down to full resolution. Chosen by measurement:
    prepared faces, drawn and real, moved by known smooth fields of up to 3 pixels with noise of 1.5 grey levels give a
    mean error of 0.11 and 0.10 pixels where they moved, against 0.22 and 0.21 of the preset as it comes and 0.25 and
    0.18 of the best of four settings of Farneback's method, which also moves equal faces.
    """
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setFinestScale(0)
    start = np.zeros((*onset.shape, 2), np.float32)
    return np.asarray(method.calc(np.ascontiguousarray(onset), np.ascontiguousarray(face), start), np.float32)


def flow_agreement(real: Flow, face: Flow) -> FlowAgreement:
    """Compares float32[h, w, 2] flows of one onset; all NaN where nothing really moved."""
    real_length, face_length = (np.linalg.norm(flow.astype(np.float64), axis=2) for flow in (real, face))
    moved = real_length >= MOVED_PX
    if not moved.any():
        return FlowAgreement(float("nan"), float("nan"), float("nan"))
    weight = real_length[moved]
    inner = (real.astype(np.float64) * face).sum(axis=2)[moved]
    length = face_length[moved]
    # The weighted cosine: w * inner / (w * length), w being the real length.
    aligned = np.divide(inner, length, out=np.zeros_like(inner), where=length >= _STILL_PX)
    return FlowAgreement(
        cosine=float(aligned.sum() / weight.sum()),
        magnitude_ratio=float(length.mean() / weight.mean()),
        correlation=_correlation(real_length, face_length),
    )


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Pearson's, over all entries; 0 where one of the two is the same everywhere."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale else 0.0


# The mean squared error of two equal faces is taken as the variance of rounding to whole grey levels, 1/12: 58.9 dB
# where the formula says infinity, which no mean survives.
_ROUNDING = 1 / 12


def ssim(real: GrayImages, face: GrayImages) -> float:
    """Structural similarity of two uint8[h, w] (Wang et al. 2004), windows of 7 pixels; 1 for equal faces."""
    return float(structural_similarity(real, face, data_range=255))


def psnr(real: GrayImages, face: GrayImages) -> float:
    """Peak signal to noise ratio of two uint8[h, w], in decibels; at most 58.9, which equal faces get."""
    error = mean_squared_error(real, face)
    return float(10 * np.log10(255**2 / max(error, _ROUNDING)))


Features = NDArray[np.floating]


def kernel_distance(real: Features, synthetic: Features) -> float:
    """Squared maximum mean discrepancy of float[m, d] and float[n, d], by the unbiased estimator.

    Gretton et al. 2012, eq. 3, with the cubic kernel (x . y / d + 1)^3 of Binkowski et al. 2018, section 4. Being
    unbiased, it can be negative where the sets are alike, and is where each face of one is a near copy of one of the
    other. NaN where a set has fewer than two faces.
    """
    x, y = np.asarray(real, np.float64), np.asarray(synthetic, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"features {x.shape} beside {y.shape}")
    if min(len(x), len(y)) < 2:
        return float("nan")
    return _mean_of_different(_kernel(x, x)) + _mean_of_different(_kernel(y, y)) - 2 * float(_kernel(x, y).mean())


def _kernel(x: Features, y: Features) -> Features:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_of_different(kernel: Features) -> float:
    """Mean over pairs of different faces: all but the diagonal of float[n, n]."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


Values = NDArray[np.float64]

# In the order of the table.
MEASURES = ("ssim", "psnr", "lpips", "identity", "flow_cosine", "flow_magnitude_ratio", "flow_correlation")


class FeatureExtractors(NamedTuple):
    """The pre-trained networks, from outside: this package knows no jax.

    Attributes:
      lpips: uint8[n, h, w] twice to float[n], pair by pair.
      features: uint8[n, h, w] to float[n, d], for the kernel distance.
      embed: uint8[h, w] to float[e], whose face it is.
    """

    lpips: Callable[[GrayImages, GrayImages], NDArray[np.floating]]
    features: Callable[[GrayImages], NDArray[np.floating]]
    embed: Callable[[GrayImages], Values]


class RealClips(NamedTuple):
    """n real clips, and what is computed of them once.

    Attributes:
      onset: uint8[n, h, w].
      apex: uint8[n, h, w].
      flow: float32[n, h, w, 2], onset to apex.
      embedding: float[n, e] of the onsets, of length 1.
    """

    onset: GrayImages
    apex: GrayImages
    flow: Flow
    embedding: Values


def prepare_real_clips(faces: SynthesizedFaces, networks: FeatureExtractors) -> RealClips:
    """The real side of some faces."""
    flow = [optical_flow(onset, apex) for onset, apex in zip(faces.onset, faces.apex, strict=True)]
    return RealClips(faces.onset, faces.apex, np.stack(flow), unit_embeddings(faces.onset, networks))


def unit_embeddings(faces: GrayImages, networks: FeatureExtractors) -> Values:
    """Of uint8[n, h, w]: float[n, e], of length 1."""
    found = np.stack([networks.embed(face) for face in faces])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def measure_faces(
    faces: GrayImages,
    clip: Sequence[int] | NDArray[np.integer],
    real: RealClips,
    networks: FeatureExtractors,
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


def mean_per_clip(values: Values, clip: NDArray[np.integer], n: int) -> Values:
    """The mean of each clip's faces, float64[n]: NaN where it has none, or one of them has no value."""
    sums, counts = np.bincount(clip, values, n), np.bincount(clip, minlength=n)
    return np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)
