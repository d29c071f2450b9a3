"""Scores of synthetic apexes of held-out people, beside reference rows (docs/design.md, "Evaluation rules", rule 5)."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from icegan_jax.data.dataset import Pairs
from icegan_jax.evaluation.synthesis import rows
from icegan_jax.evaluation.synthesis.classifier import Real, descriptors, learn
from icegan_jax.evaluation.synthesis.clips import neighbours
from icegan_jax.evaluation.synthesis.faces import Faces
from icegan_jax.evaluation.synthesis.measures import MEASURES, Networks, real_clips
from icegan_jax.evaluation.synthesis.people import Mean, mean_over_people

# In the order of the table. The first is what is judged, the others are what to judge it by.
ROWS = (rows.SYNTHETIC, rows.WRONG, rows.COPY, rows.REAL, rows.SAME, rows.OTHER)

# Means over clips with intervals, in the order of the table; the kernel distance is one number of a whole set.
COLUMNS = (*MEASURES, "classifier_accuracy", "classifier_clip_class")


class Row(NamedTuple):
    """One row of the table.

    Attributes:
      method: one of ``ROWS``.
      n: how many different clips it is over.
      kid: mean over runs of the kernel distance of the real apexes and this row's faces; NaN where there is none: of
        runs of a single clip, and of rows that are about identity alone.
      kid_n: how many faces of each kind the smallest of these distances compares; 0 where there is none.
      scores: of each of ``COLUMNS``, over the clips of every run: a clip that several runs have counts for each.
      deviation: standard deviation over the runs of each column's mean; None of a single run, and of ``REAL_FACES``:
        what differs between runs there is which clips they have.
    """

    method: str
    n: int
    kid: float
    kid_n: int
    scores: dict[str, Mean]
    deviation: dict[str, float | None]


def score_faces(
    runs: Sequence[Faces], pairs: Pairs, networks: Networks, tick: Callable[[], object] = lambda: None
) -> list[Row]:
    """Scores the synthetic faces of some runs on the same data together, and the reference rows.

    * synthetic: G's face of the clip's true class. ``classifier_accuracy`` is over its faces of every class: the share
      recognised as the class asked for.
    * wrong class: G's faces of the other classes against the same apex, mean per clip.
    * copy of the onset: nothing was done. Flow agrees with nothing; the classifier sees no change and gives one
      answer, which is that asked for once in k.
    * real against real: other frames of the same apex (its neighbours, 1 and 2 frames away, mean per clip), since the
      apex against itself says nothing. Identity and classifier: the apex itself.
    * same person, another clip, and another person: their onsets against the clip's; identity alone.

    ``identity`` is the cosine with the clip's onset. ``classifier_clip_class`` is the share recognised as the clip's
    class, of the faces that the row is about. Every row is over the same clips with the same weights: those of
    real faces too are measured for each run, over all its clips.

    Args:
      runs: of one data folder, as ``read_faces`` gives them.
      pairs: all real pairs of that folder.
      networks: the pre-trained ones.
      tick: called once per measured face, ``count_faces`` times.

    Raises:
      UserError: the runs' clips are not those of the pairs, or too few people are left to learn from.
    """
    people = list(zip(pairs.dataset.tolist(), pairs.subject.tolist(), strict=True))
    learnt = Real(descriptors(pairs.apex) - descriptors(pairs.onset), pairs.label, people)
    judge = functools.cache(functools.partial(learn, learnt))
    parts: dict[str, list[rows.Part]] = {name: [] for name in ROWS}
    for faces in runs:
        real = real_clips(faces, networks)
        found = rows.synthetic_rows(faces, real, judge, networks, tick)
        found |= rows.real_rows(faces, real, pairs, judge, networks, tick)
        for name, part in found.items():
            parts[name].append(part)
    return [_row(name, parts[name]) for name in ROWS]


def count_faces(runs: Sequence[Faces], pairs: Pairs) -> int:
    """How many faces ``score_faces`` measures one by one."""
    total = 0
    for faces in runs:
        n, k = faces.synthetic.shape[:2]
        total += n * k + n + len(neighbours(faces, pairs)[1])  # synthetic, copies of the onset, real
    return total


def _row(name: str, parts: Sequence[rows.Part]) -> Row:
    clips = [clip for part in parts for clip in part.clips]
    people = [person for person, _ in clips]
    nothing = [np.full(len(part.clips), np.nan) for part in parts]
    scores, deviation = {}, {}
    for column in COLUMNS:
        values = [part.values.get(column, blank) for part, blank in zip(parts, nothing, strict=True)]
        scores[column] = mean_over_people(np.concatenate(values), people)
        means = [float(np.nanmean(run)) for run in values if not np.isnan(run).all()]
        spread = len(means) > 1 and name not in rows.REAL_FACES
        deviation[column] = float(np.std(means, ddof=1)) if spread else None
    distances = [distance for part in parts for distance, _ in part.distances]
    sizes = [size for part in parts for _, size in part.distances]
    kid = float(np.mean(distances)) if distances else float("nan")
    return Row(name, len(set(clips)), kid, min(sizes, default=0), scores, deviation)
