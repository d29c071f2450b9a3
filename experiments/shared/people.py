"""What the figures of synthetic faces share: means with intervals over people, and rows chosen by rule."""

from collections.abc import Hashable, Sequence

import numpy as np

from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.evaluation.synthesis.scores import mean_over_subjects


def mean_cells(
    name: str, values: Sequence[float], people: Sequence[Hashable], seeds: Sequence[int]
) -> dict[str, object]:
    """A mean over clips as the cells of a table's row, which ``write_tables`` shows together.

    The interval is over people, each drawn with the clips of all seeds. NaN is left out.

    Args:
      name: of the column; the others are name_low, name_high and name_sd.
      values: one per clip.
      people: of each clip.
      seeds: of the run that each clip comes from; name_sd is the standard deviation of their means.
    """
    array, of_seed = np.asarray(values, np.float64), np.asarray(seeds)
    found = mean_over_subjects(array, people)
    means = [
        mean_over_subjects(array[of_seed == seed], range(int((of_seed == seed).sum()))).mean for seed in set(seeds)
    ]
    known = [mean for mean in means if not np.isnan(mean)]
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high, f"{name}_sd": sd}


def select_clips(faces: SynthesizedFaces, count: int, num_classes: int) -> list[int]:
    """Positions of at most ``count`` clips of as many people, by a rule that looks at no face.

    People are spread evenly over their sorted names. The wanted class turns from row to row, in label order; the
    person's first clip of that class is taken, by name, or the first clip where there is none.
    """
    people = sorted(set(faces.subject))
    places = np.linspace(0, len(people) - 1, min(count, len(people))).round().astype(int)
    rows = []
    for turn, place in enumerate(places):
        mine = [row for row, person in enumerate(faces.subject) if person == people[place]]
        mine.sort(key=lambda row: faces.clip[row])
        wanted = [row for row in mine if faces.label[row] == turn % num_classes]
        rows.append((wanted or mine)[0])
    return rows
