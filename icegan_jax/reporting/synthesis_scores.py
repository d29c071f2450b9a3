"""How far the synthetic faces move, and how similar they are to the real apexes, beside the real motion."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.evaluation.synthesis import measures
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.reporting.render import NUMBER, Column, Row, Table, number_cell

_MEASURES = ("real motion, px", "synthetic motion, px", "direction", "SSIM", "SSIM of the onset", "PSNR, dB")
_DIGITS = (2, 2, 2, 3, 3, 1)


def measure_synthesis(faces: SynthesizedFaces) -> NDArray[np.float64]:
    """Compare the face that G synthesized for the class of each clip with the clip's real apex.

    Returns:
      float64[n, 6]. Mean length of the optical flow from the onset, real and synthetic, over the pixels that moved in
      the real clip; mean cosine of the two directions there (``flow_agreement``); structural similarity of the
      synthetic face and, for comparison, of the unchanged onset to the apex; peak signal-to-noise ratio. The first
      three are NaN where nothing moved.
    """
    rows = []
    label = faces.label.tolist()
    for clip in tqdm(range(len(label)), desc="synthesis scores", unit="clip", dynamic_ncols=True, disable=None):
        onset, apex, face = faces.onset[clip], faces.apex[clip], faces.synthetic[clip, label[clip]]
        real, synthetic = measures.optical_flow(onset, apex), measures.optical_flow(onset, face)
        length = np.linalg.norm(real, axis=2)
        moved = length >= measures.MOVED_PX
        motion = float(length[moved].mean()) if moved.any() else np.nan
        agreement = measures.flow_agreement(real, synthetic)
        similar = (measures.ssim(apex, face), measures.ssim(apex, onset), measures.psnr(apex, face))
        rows.append((motion, motion * agreement.magnitude_ratio, agreement.cosine, *similar))
    return np.array(rows)


def synthesis_table(faces: SynthesizedFaces, classes: Sequence[str]) -> Table:
    """Return the means of ``measure_synthesis`` over the clips of each class, and over all clips."""
    measured = measure_synthesis(faces)
    groups = {name: measured[faces.label == label] for label, name in enumerate(classes)} | {"all clips": measured}
    rows = []
    for name, values in groups.items():
        present = [column[~np.isnan(column)] for column in values.T]
        means = [float(column.mean()) if column.size else None for column in present]
        numbers = map(number_cell, means, _DIGITS)
        rows.append(Row([name, number_cell(len(values), 0), *numbers]))
    return Table("Synthesis scores", [Column("class"), *(Column(name, NUMBER) for name in ("clips", *_MEASURES))], rows)
