"""Distance of the synthetic faces of held-out subjects to the real apexes."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from icegan_jax.evaluation.synthesis.faces import read_faces


def l1_to_apex(runs: Sequence[Path]) -> dict[str, object]:
    """Return the mean absolute difference to the real apex in gray levels, of the synthetic face and of the onset.

    The synthetic face is that of the apex's class. The values are means over the runs of means over the held-out clips;
    ``l1_sd`` is the deviation over the runs.
    """
    synthetic, copies = [], []
    for run in runs:
        faces = read_faces(run)
        of_class = faces.synthetic[np.arange(len(faces.label)), faces.label].astype(float)
        synthetic.append(float(np.abs(of_class - faces.apex).mean()))
        copies.append(float(np.abs(faces.onset.astype(float) - faces.apex).mean()))
    sd = statistics.stdev(synthetic) if len(synthetic) > 1 else None
    return {"l1": statistics.mean(synthetic), "l1_sd": sd, "l1_of_onset": statistics.mean(copies)}
