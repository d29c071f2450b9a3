"""How near the synthetic faces of held-out people come to the real apexes."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from icegan_jax.evaluation.synthesis.faces import read_faces


def l1_to_apex(runs: Sequence[Path]) -> dict[str, object]:
    """Mean absolute difference to the real apex in gray levels: of the synthesis of its class, and of the onset.

    The mean over the runs of the mean over their held-out clips; ``l1_sd`` is the deviation over the runs.
    """
    ours, copies = [], []
    for run in runs:
        found = read_faces(run)
        asked = found.synthetic[np.arange(len(found.label)), found.label].astype(float)
        ours.append(float(np.abs(asked - found.apex).mean()))
        copies.append(float(np.abs(found.onset.astype(float) - found.apex).mean()))
    sd = statistics.stdev(ours) if len(ours) > 1 else None
    return {"l1": statistics.mean(ours), "l1_sd": sd, "l1_of_onset": statistics.mean(copies)}
