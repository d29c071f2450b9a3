"""Means over clips, with intervals from resampling people.

What a run's synthetic faces, and the real faces beside them, add to each row of the table.

Scores of synthetic apexes of held-out people, beside reference rows (docs/design.md, "Evaluation rules", rule 5).
"""

import functools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import LinearSVC

from icegan_jax.data.dataset import Pairs
from icegan_jax.evaluation import bootstrap, metrics
from icegan_jax.evaluation.synthesis.classifier import LabeledFeatures, hog_features, train_classifier
from icegan_jax.evaluation.synthesis.faces import ClipKey, GrayImages, SynthesizedFaces, clip_keys, neighbor_frames
from icegan_jax.evaluation.synthesis.measures import (
    MEASURES,
    FeatureExtractors,
    Features,
    RealClips,
    Values,
    kernel_distance,
    mean_per_clip,
    measure_faces,
    prepare_real_clips,
    unit_embeddings,
)


class Mean(NamedTuple):
    """A mean over clips; NaN where no clip has a value.

    Attributes:
      mean: of the values.
      low: lower end of the 95% interval, None where fewer than two people have a value.
      high: upper end, likewise.
      n: how many values there were.
    """

    mean: float
    low: float | None
    high: float | None
    n: int


def mean_over_subjects(
    values: NDArray[np.floating],
    people: Iterable[Hashable],
    *,
    draws: int = bootstrap.NUM_DRAWS,
    seed: int = 0,
) -> Mean:
    """The mean of the values, and its percentile interval over resampled people (as ``subject_bootstrap``).

    Each draw takes as many people as there are, with replacement, each with all clips; a clip's weight is its
    person's count. NaN is a clip without a value: it is left out.

    Args:
      values: float[n], one per clip.
      people: n keys, such as (dataset, subject).
      draws: how many resamples.
      seed: of the resampling.
    """
    values = np.asarray(values, np.float64)
    owner = metrics.group_ids(people)
    if len(owner) != len(values):
        raise ValueError(f"{len(values)} values of {len(owner)} clips")
    there = ~np.isnan(values)
    values, owner = values[there], owner[there]
    if not len(values):
        return Mean(float("nan"), None, None, 0)
    _, owner = np.unique(owner, return_inverse=True)
    mean, number = float(values.mean()), int(owner.max()) + 1
    if number < 2:
        return Mean(mean, None, None, len(values))
    sums, counts = np.bincount(owner, values), np.bincount(owner)
    drawn = bootstrap.draw_groups(number, draws, seed)
    return Mean(mean, *bootstrap.percentile_interval((drawn @ sums) / (drawn @ counts)), len(values))


# Rows of the table. The first is what is judged, the others are what to judge it by.
SYNTHETIC = "synthetic"

WRONG = "wrong class"

COPY = "copy of the onset"

REAL = "real against real"

SAME_SUBJECT = "same person, another clip"

OTHER_SUBJECT = "another person"

REAL_FACES = (COPY, REAL, SAME_SUBJECT, OTHER_SUBJECT)  # which no generator decides

# The classifier that learnt from everybody but these people.
ClassifierFactory = Callable[[tuple[tuple[str, str], ...]], LinearSVC]


class RowValues(NamedTuple):
    """What one run adds to a row.

    Attributes:
      clips: n of them.
      values: by column, float64[n].
      distances: kernel distances between the real apexes and sets of this row's faces, each with how many faces the
        smaller side has; none of a side of one face, which has no distance.
    """

    clips: list[ClipKey]
    values: dict[str, Values]
    distances: list[tuple[float, int]]


def synthetic_rows(
    faces: SynthesizedFaces,
    real: RealClips,
    judge: ClassifierFactory,
    networks: FeatureExtractors,
    tick: Callable[[], object],
) -> dict[str, RowValues]:
    """The rows ``SYNTHETIC`` and ``WRONG``; ``tick`` is called once per face."""
    n, k = faces.synthetic.shape[:2]
    flat = faces.synthetic.reshape(n * k, *faces.synthetic.shape[2:])
    clip, asked = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)
    shown = faces.label[clip]
    measured = measure_faces(flat, clip, real, networks, tick)
    told = _recognized(flat, clip, faces, judge)
    measured["classifier_clip_class"] = (told == shown).astype(np.float64)
    right, true = (told == asked).astype(np.float64), asked == shown

    def rows_where(keep: NDArray[np.bool_]) -> dict[str, Values]:
        return {name: mean_per_clip(values[keep], clip[keep], n) for name, values in measured.items()}

    of_class = rows_where(true) | {"classifier_accuracy": mean_per_clip(right, clip, n)}
    of_others = rows_where(~true) | {"classifier_accuracy": mean_per_clip(right[~true], clip[~true], n)}
    features = networks.features(flat).reshape(n, k, -1)
    apex = networks.features(faces.apex)
    # The j-th set of wrong faces: of each clip that of the j-th class after its own.
    sets = [features[np.arange(n), (faces.label + step) % k] for step in range(k)]
    return {
        SYNTHETIC: RowValues(clip_keys(faces), of_class, _distances(apex, sets[:1])),
        WRONG: RowValues(clip_keys(faces), of_others, _distances(apex, sets[1:])),
    }


def real_rows(
    faces: SynthesizedFaces,
    real: RealClips,
    pairs: Pairs,
    judge: ClassifierFactory,
    networks: FeatureExtractors,
    tick: Callable[[], object],
) -> dict[str, RowValues]:
    """The rows ``REAL_FACES``, over the clips of the run; ``tick`` is called once per face measured."""
    n, k = faces.synthetic.shape[:2]
    every = np.arange(n)
    apex = networks.features(faces.apex)

    copy = measure_faces(faces.onset, every, real, networks, tick, identity=False)
    told = _recognized(faces.onset, every, faces, judge)
    copy["identity"] = np.ones(n)
    copy["classifier_accuracy"] = np.full(n, 1 / k)
    copy["classifier_clip_class"] = (told == faces.label).astype(np.float64)

    near, clip, shift = neighbor_frames(faces, pairs)
    again = measure_faces(near, clip, real, networks, tick, identity=False)
    again = {name: mean_per_clip(values, clip, n) for name, values in again.items()}
    again["identity"] = (unit_embeddings(faces.apex, networks) * real.embedding).sum(axis=1)
    told = _recognized(faces.apex, every, faces, judge)
    again["classifier_accuracy"] = again["classifier_clip_class"] = (told == faces.label).astype(np.float64)
    features = networks.features(near) if len(near) else np.empty((0, apex.shape[1]))
    sets = [features[shift == step] for step in np.unique(shift)]
    return {
        COPY: RowValues(clip_keys(faces), copy, _distances(apex, [networks.features(faces.onset)])),
        REAL: RowValues(clip_keys(faces), again, _distances(apex, sets)),
        **_other_faces(faces, real.embedding),
    }


def _other_faces(faces: SynthesizedFaces, embedding: Values) -> dict[str, RowValues]:
    """Mean cosine of each clip's onset with the onsets of the person's other clips, and of other people's."""
    cosine = embedding @ embedding.T
    same = np.array([[one == other for other in faces.subject] for one in faces.subject])
    found = {}
    for name, pairs in ((SAME_SUBJECT, same & ~np.eye(len(same), dtype=bool)), (OTHER_SUBJECT, ~same)):
        counts = pairs.sum(axis=1)
        sums = np.where(pairs, cosine, 0).sum(axis=1)
        values = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
        found[name] = RowValues(clip_keys(faces), {"identity": values}, [])
    return found


def _distances(apex: Features, sets: Sequence[Features]) -> list[tuple[float, int]]:
    """Of the real apexes and each set; a set that has no distance is left out."""
    return [(kernel_distance(apex, one), min(len(apex), len(one))) for one in sets if min(len(apex), len(one)) > 1]


def _recognized(
    images: GrayImages, clip: NDArray[np.integer], faces: SynthesizedFaces, judge: ClassifierFactory
) -> NDArray[np.int64]:
    """The class of each image, int64[m], by the classifier of the fold that holds its clip's person out."""
    change = hog_features(images) - hog_features(faces.onset)[clip]
    fold = np.array(faces.fold)
    told = np.empty(len(images), np.int64)
    for name in np.unique(fold):
        held_out = {person for person, other in zip(faces.subject, faces.fold, strict=True) if other == name}
        rows = np.flatnonzero(fold[clip] == name)
        told[rows] = judge(tuple(sorted(held_out))).predict(change[rows])
    return told


# In the order of the table. The first is what is judged, the others are what to judge it by.
ROWS = (SYNTHETIC, WRONG, COPY, REAL, SAME_SUBJECT, OTHER_SUBJECT)

# Means over clips with intervals, in the order of the table; the kernel distance is one number of a whole set.
COLUMNS = (*MEASURES, "classifier_accuracy", "classifier_clip_class")


class SynthesisRow(NamedTuple):
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
    runs: Sequence[SynthesizedFaces],
    pairs: Pairs,
    networks: FeatureExtractors,
    tick: Callable[[], object] = lambda: None,
) -> list[SynthesisRow]:
    """Scores the synthetic faces of some runs on the same data together, and the reference rows.

    * synthetic: G's face of the clip's true class. ``classifier_accuracy`` is over its faces of every class: the share
      recognized as the class asked for.
    * wrong class: G's faces of the other classes against the same apex, mean per clip.
    * copy of the onset: nothing was done. Flow agrees with nothing; the classifier sees no change and gives one
      answer, which is that asked for once in k.
    * real against real: other frames of the same apex (its neighbours, 1 and 2 frames away, mean per clip), since the
      apex against itself says nothing. Identity and classifier: the apex itself.
    * same person, another clip, and another person: their onsets against the clip's; identity alone.

    ``identity`` is the cosine with the clip's onset. ``classifier_clip_class`` is the share recognized as the clip's
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
    learnt = LabeledFeatures(hog_features(pairs.apex) - hog_features(pairs.onset), pairs.label, people)
    judge = functools.cache(functools.partial(train_classifier, learnt))
    parts: dict[str, list[RowValues]] = {name: [] for name in ROWS}
    for faces in runs:
        real = prepare_real_clips(faces, networks)
        found = synthetic_rows(faces, real, judge, networks, tick)
        found |= real_rows(faces, real, pairs, judge, networks, tick)
        for name, part in found.items():
            parts[name].append(part)
    return [_row(name, parts[name]) for name in ROWS]


def count_faces(runs: Sequence[SynthesizedFaces], pairs: Pairs) -> int:
    """How many faces ``score_faces`` measures one by one."""
    total = 0
    for faces in runs:
        n, k = faces.synthetic.shape[:2]
        total += n * k + n + len(neighbor_frames(faces, pairs)[1])  # synthetic, copies of the onset, real
    return total


def _row(name: str, parts: Sequence[RowValues]) -> SynthesisRow:
    clips = [clip for part in parts for clip in part.clips]
    people = [person for person, _ in clips]
    nothing = [np.full(len(part.clips), np.nan) for part in parts]
    scores, deviation = {}, {}
    for column in COLUMNS:
        values = [part.values.get(column, blank) for part, blank in zip(parts, nothing, strict=True)]
        scores[column] = mean_over_subjects(np.concatenate(values), people)
        means = [float(np.nanmean(run)) for run in values if not np.isnan(run).all()]
        spread = len(means) > 1 and name not in REAL_FACES
        deviation[column] = float(np.std(means, ddof=1)) if spread else None
    distances = [distance for part in parts for distance, _ in part.distances]
    sizes = [size for part in parts for _, size in part.distances]
    kid = float(np.mean(distances)) if distances else float("nan")
    return SynthesisRow(name, len(set(clips)), kid, min(sizes, default=0), scores, deviation)
