"""Measures of a face against the real clip it stands for: similarity, identity, optical flow, kernel distance."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import mean_squared_error, structural_similarity

from icegan_jax.evaluation.synthesis.faces import GrayImages, SynthesizedFaces

# In the order of the table.
MEASURES = ("ssim", "psnr", "lpips", "identity", "flow_cosine", "flow_magnitude_ratio", "flow_correlation")

# Minimal length of the real flow, in pixels, for a pixel to count as moved: the 95th percentile of the flow that noise
# of 1.5 gray levels alone produces (on drawn faces; 0.1 on the moved test faces). The length is fixed and not a
# percentile of the clip, since in a clip with hardly any motion a percentile would keep the noise.
MOVED_PX = 0.2

# A face whose flow is shorter than this leaves the pixel in place. Noise alone produces a longer flow in half of the
# pixels.
_STILL_PX = 0.05

# The mean squared error of two equal faces is taken as the variance of rounding to whole gray levels, 1/12: 58.9 dB
# where the formula gives infinity, which would make every mean infinite.
_ROUNDING_VARIANCE = 1 / 12

Flow = NDArray[np.float32]
Features = NDArray[np.floating]
Values = NDArray[np.float64]


class FlowAgreement(NamedTuple):
    """Agreement of a face's flow from the onset with the real flow.

    Attributes:
      cosine: mean cosine of the two directions over the pixels that moved, weighted by the real length; a pixel that
        the face leaves in place counts 0. 1: the same direction; -1: the opposite direction.
      magnitude_ratio: the face's mean length over the real mean length, in the same pixels.
      correlation: Pearson correlation of the two lengths over all pixels; 0 where one of them is constant.
    """

    cosine: float
    magnitude_ratio: float
    correlation: float


class FeatureExtractors(NamedTuple):
    """The pre-trained networks, given by the caller: this package does not import jax.

    Attributes:
      lpips: maps uint8[n, h, w] and uint8[n, h, w] to float[n], pair by pair.
      features: maps uint8[n, h, w] to float[n, d], for the kernel distance.
      embed: maps uint8[h, w] to float[e], the embedding for identity.
    """

    lpips: Callable[[GrayImages, GrayImages], NDArray[np.floating]]
    features: Callable[[GrayImages], NDArray[np.floating]]
    embed: Callable[[GrayImages], Values]


class RealClips(NamedTuple):
    """n real clips, and the values that are computed once for each clip.

    Attributes:
      onset: uint8[n, h, w].
      apex: uint8[n, h, w].
      flow: float32[n, h, w, 2], onset to apex.
      embedding: float[n, e] of the onsets, each of length 1.
    """

    onset: GrayImages
    apex: GrayImages
    flow: Flow
    embedding: Values


def optical_flow(onset: GrayImages, face: GrayImages) -> Flow:
    """Compute the displacement of each pixel from the onset to a face of the same subject.

    The method is dense inverse search (Kroeger et al. 2016) with OpenCV's medium preset, down to full resolution. The
    method was chosen by measurement: prepared faces, drawn and real, were moved by known smooth fields of up to 3
    pixels with noise of 1.5 gray levels. The mean error where the faces moved is 0.11 and 0.10 pixels, against 0.22 and
    0.21 of the unchanged preset and 0.25 and 0.18 of the best of four settings of Farneback's method, which also
    reports motion between equal faces.

    Args:
      onset: uint8[h, w].
      face: uint8[h, w].

    Returns:
      float32[h, w, 2], x and y in pixels; all 0 for equal faces.
    """
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setFinestScale(0)
    start = np.zeros((*onset.shape, 2), np.float32)
    return np.asarray(method.calc(np.ascontiguousarray(onset), np.ascontiguousarray(face), start), np.float32)


def flow_agreement(real: Flow, face: Flow) -> FlowAgreement:
    """Compare two flows float32[h, w, 2] of one onset; all NaN where the real flow moves no pixel."""
    real_length, face_length = (np.linalg.norm(flow.astype(np.float64), axis=2) for flow in (real, face))
    moved = real_length >= MOVED_PX
    if not moved.any():
        return FlowAgreement(float("nan"), float("nan"), float("nan"))
    weight = real_length[moved]
    inner = (real.astype(np.float64) * face).sum(axis=2)[moved]
    length = face_length[moved]
    # The weighted cosine is w * inner / (w * length), with the real length as w: w cancels.
    aligned = np.divide(inner, length, out=np.zeros_like(inner), where=length >= _STILL_PX)
    return FlowAgreement(
        cosine=float(aligned.sum() / weight.sum()),
        magnitude_ratio=float(length.mean() / weight.mean()),
        correlation=_correlation(real_length, face_length),
    )


def ssim(real: GrayImages, face: GrayImages) -> float:
    """Return the structural similarity of two uint8[h, w] (Wang et al. 2004), windows of 7 pixels; 1 if equal."""
    return float(structural_similarity(real, face, data_range=255))


def psnr(real: GrayImages, face: GrayImages) -> float:
    """Return the peak signal-to-noise ratio of two uint8[h, w] in decibels; at most 58.9, the value if equal."""
    error = mean_squared_error(real, face)
    return float(10 * np.log10(255**2 / max(error, _ROUNDING_VARIANCE)))


def kernel_distance(real: Features, synthetic: Features) -> float:
    """Return the squared maximum mean discrepancy of float[m, d] and float[n, d], by the unbiased estimator.

    The estimator is that of Gretton et al. 2012, eq. 3, with the cubic kernel (x . y / d + 1)^3 of the Kernel Inception
    Distance (Binkowski et al. 2018, section 4). As an unbiased estimate, the distance can be negative for similar sets,
    and is negative where each face of one set is a near copy of a face of the other. The distance is NaN where a set
    has fewer than two faces.

    Raises:
      ValueError: the features are not matrices of equal width.
    """
    x, y = np.asarray(real, np.float64), np.asarray(synthetic, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"features {x.shape} beside {y.shape}")
    if min(len(x), len(y)) < 2:
        return float("nan")
    return _off_diagonal_mean(_kernel(x, x)) + _off_diagonal_mean(_kernel(y, y)) - 2 * float(_kernel(x, y).mean())


def prepare_real_clips(faces: SynthesizedFaces, extractors: FeatureExtractors) -> RealClips:
    """Compute flow and embedding of the real clips of a run."""
    flow = [optical_flow(onset, apex) for onset, apex in zip(faces.onset, faces.apex, strict=True)]
    return RealClips(faces.onset, faces.apex, np.stack(flow), unit_embeddings(faces.onset, extractors))


def unit_embeddings(faces: GrayImages, extractors: FeatureExtractors) -> Values:
    """Return the embeddings of uint8[n, h, w] as float[n, e], each of length 1."""
    embeddings = np.stack([extractors.embed(face) for face in faces])
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def measure_faces(
    faces: GrayImages,
    clip: Sequence[int] | NDArray[np.integer],
    real: RealClips,
    extractors: FeatureExtractors,
    progress: Callable[[], object],
    identity: bool = True,
) -> dict[str, Values]:
    """Compute each of ``MEASURES`` for m faces.

    Args:
      faces: uint8[m, h, w].
      clip: int[m], index of the real clip of each face.
      real: n clips.
      extractors: the pre-trained networks.
      progress: called once per face.
      identity: False leaves the identity NaN, as the embedding is the slowest part.

    Returns:
      {measure: float64[m]}.
    """
    clip = np.asarray(clip, np.int64)
    values = {name: np.full(len(faces), np.nan) for name in MEASURES}
    if not len(faces):
        return values
    values["lpips"] = np.asarray(extractors.lpips(real.apex[clip], faces), np.float64)
    for row, (face, index) in enumerate(zip(faces, clip, strict=True)):
        values["ssim"][row] = ssim(real.apex[index], face)
        values["psnr"][row] = psnr(real.apex[index], face)
        agreement = flow_agreement(real.flow[index], optical_flow(real.onset[index], face))
        values["flow_cosine"][row] = agreement.cosine
        values["flow_magnitude_ratio"][row] = agreement.magnitude_ratio
        values["flow_correlation"][row] = agreement.correlation
        if identity:
            embedding = extractors.embed(face)
            values["identity"][row] = embedding @ real.embedding[index] / np.linalg.norm(embedding)
        progress()
    return values


def mean_per_clip(values: Values, clip: NDArray[np.integer], n: int) -> Values:
    """Return the mean over each clip's faces as float64[n]; NaN for a clip without faces or with a NaN among them."""
    sums, counts = np.bincount(clip, values, n), np.bincount(clip, minlength=n)
    return np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return Pearson's correlation over all entries; 0 where an array is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale else 0.0


def _kernel(x: Features, y: Features) -> Features:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _off_diagonal_mean(kernel: Features) -> float:
    """Return the mean of float[n, n] over pairs of different faces."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))
