"""The synthetic faces of runs: distance to the real apexes, means over subjects, and pictures of them."""

import io
import statistics
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from icegan_jax.evaluation.synthesis.faces import read_faces
from icegan_jax.evaluation.synthesis.scores import mean_over_subjects
from icegan_jax.io import write_bytes
from icegan_jax.reporting.face_grid import Color


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


def mean_cells(
    name: str, values: Sequence[float], people: Sequence[Hashable], seeds: Sequence[int]
) -> dict[str, object]:
    """Return a mean over clips with interval and deviation, as cells that ``write_tables`` shows in one column.

    The interval is over subjects, each drawn with the clips of all seeds. NaN values are left out.

    Args:
      name: name of the column; the other cells are name_low, name_high and name_sd.
      values: a value per clip.
      people: the subject of each clip.
      seeds: the seed of each clip's run; name_sd is the standard deviation of the means of the seeds.
    """
    array, of_seed = np.asarray(values, np.float64), np.asarray(seeds)
    overall = mean_over_subjects(array, people)
    means = [
        mean_over_subjects(array[of_seed == seed], range(int((of_seed == seed).sum()))).mean for seed in set(seeds)
    ]
    known = [mean for mean in means if not np.isnan(mean)]
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {name: overall.mean, f"{name}_low": overall.low, f"{name}_high": overall.high, f"{name}_sd": sd}


def save_picture(picture: Color, path: Path) -> None:
    """Write a picture uint8[height, width, 3] as PNG."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "png")
    write_bytes(path, stream.getvalue())
