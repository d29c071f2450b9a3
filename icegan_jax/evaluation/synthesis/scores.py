"""Scores of the synthetic apexes of held-out subjects, beside reference rows of real faces.

Means are over clips, with intervals from resampling subjects (docs/design.md, "Evaluation rules", rule 5).
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

# Rows of the table, in its order: the synthetic faces first, then the rows to compare them with.
SYNTHETIC = "synthetic"
WRONG = "wrong class"
COPY = "copy of the onset"
REAL = "real against real"
SAME_SUBJECT = "same person, another clip"
OTHER_SUBJECT = "another person"
ROWS = (SYNTHETIC, WRONG, COPY, REAL, SAME_SUBJECT, OTHER_SUBJECT)
REAL_FACES = (COPY, REAL, SAME_SUBJECT, OTHER_SUBJECT)  # rows that do not depend on the generator

# Means over clips with intervals, in the order of the table; the kernel distance is one number of a whole set.
COLUMNS = (*MEASURES, "classifier_accuracy", "classifier_clip_class")

# A function that returns the classifier trained without these held-out subjects.
ClassifierFactory = Callable[[tuple[tuple[str, str], ...]], LinearSVC]


class Mean(NamedTuple):
    """A mean over clips; NaN where no clip has a value.

    Attributes:
      mean: of the values.
      low: lower end of the 95% interval; None where fewer than two subjects have a value.
      high: upper end, likewise.
      n: number of values.
    """

    mean: float
    low: float | None
    high: float | None
    n: int


class RowValues(NamedTuple):
    """Values that one run contributes to a row.

    Attributes:
      clips: keys of the n clips.
      values: {column: float64[n]}.
      distances: kernel distances between the real apexes and sets of this row's faces, each with the size of the
        smaller set; without sets of a single face, which have no distance.
    """

    clips: list[ClipKey]
    values: dict[str, Values]
    distances: list[tuple[float, int]]


class SynthesisRow(NamedTuple):
    """One row of the table.

    Attributes:
      method: one of ``ROWS``.
      n: number of different clips.
      kid: mean over runs of the kernel distance of the real apexes and this row's faces; NaN where there is none: in
        runs of a single clip, and in rows of identity alone.
      kid_n: size of the smallest set of faces among these distances; 0 where there is none.
      scores: {column: mean} for ``COLUMNS``, over the clips of every run: a clip of several runs counts once for each.
      deviation: standard deviation over the runs of each column's mean; None for a single run, and for
        ``REAL_FACES``, where runs differ only by their clips.
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
    extractors: FeatureExtractors,
    progress: Callable[[], object] = lambda: None,
) -> list[SynthesisRow]:
    """Score the synthetic faces of some runs on the same data together, and the reference rows.

    * synthetic: G's face of the clip's true class. ``classifier_accuracy`` is over G's faces of every class: the share
      recognized as the requested class.
    * wrong class: G's faces of the other classes against the same apex, mean per clip.
    * copy of the onset: an unchanged face, which has no flow. The classifier receives no change and predicts one class,
      which is the requested one once in k.
    * real against real: other frames of the same apex (its neighbors, 1 and 2 frames away, mean per clip), as the
      comparison of the apex with itself is trivial. Identity and classifier are computed from the apex itself.
    * same person, another clip, and another person: other onsets against the clip's onset; only identity is computed.

    ``identity`` is the cosine with the clip's onset. ``classifier_clip_class`` is the share of the row's faces that
    are recognized as the clip's class. Every row is over the same clips with the same weights: the real faces too are
    measured for each run, over all its clips.

    Args:
      runs: of one data folder, as ``read_faces`` returns them.
      pairs: all real pairs of that folder.
      extractors: the pre-trained networks.
      progress: called once per measured face, ``count_faces`` times.

    Raises:
      UserError: the runs' clips are not those of the pairs, or too few subjects remain to train the classifier.
    """
    subjects = list(zip(pairs.dataset.tolist(), pairs.subject.tolist(), strict=True))
    features = LabeledFeatures(hog_features(pairs.apex) - hog_features(pairs.onset), pairs.label, subjects)
    classifier_without = functools.cache(functools.partial(train_classifier, features))
    values_of: dict[str, list[RowValues]] = {name: [] for name in ROWS}
    for faces in runs:
        real = prepare_real_clips(faces, extractors)
        rows = synthetic_rows(faces, real, classifier_without, extractors, progress)
        rows |= real_rows(faces, real, pairs, classifier_without, extractors, progress)
        for name, values in rows.items():
            values_of[name].append(values)
    return [_summarize_row(name, values_of[name]) for name in ROWS]


def count_faces(runs: Sequence[SynthesizedFaces], pairs: Pairs) -> int:
    """Return the number of faces that ``score_faces`` measures one by one."""
    total = 0
    for faces in runs:
        n, k = faces.synthetic.shape[:2]
        total += n * k + n + len(neighbor_frames(faces, pairs)[1])  # synthetic, copies of the onset, real
    return total


def synthetic_rows(
    faces: SynthesizedFaces,
    real: RealClips,
    classifier_without: ClassifierFactory,
    extractors: FeatureExtractors,
    progress: Callable[[], object],
) -> dict[str, RowValues]:
    """Return the values of the rows ``SYNTHETIC`` and ``WRONG``; ``progress`` is called once per face."""
    n, k = faces.synthetic.shape[:2]
    flat = faces.synthetic.reshape(n * k, *faces.synthetic.shape[2:])
    clip, requested = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)
    label = faces.label[clip]
    measured = measure_faces(flat, clip, real, extractors, progress)
    predicted = _predict(flat, clip, faces, classifier_without)
    measured["classifier_clip_class"] = (predicted == label).astype(np.float64)
    correct, of_clip_class = (predicted == requested).astype(np.float64), requested == label

    def per_clip(keep: NDArray[np.bool_]) -> dict[str, Values]:
        return {name: mean_per_clip(values[keep], clip[keep], n) for name, values in measured.items()}

    synthetic = per_clip(of_clip_class) | {"classifier_accuracy": mean_per_clip(correct, clip, n)}
    others = ~of_clip_class
    wrong = per_clip(others) | {"classifier_accuracy": mean_per_clip(correct[others], clip[others], n)}
    features = extractors.features(flat).reshape(n, k, -1)
    apex = extractors.features(faces.apex)
    # Set j has for each clip the face of the j-th class after the clip's own: set 0 is the clip's class.
    sets = [features[np.arange(n), (faces.label + j) % k] for j in range(k)]
    return {
        SYNTHETIC: RowValues(clip_keys(faces), synthetic, _distances(apex, sets[:1])),
        WRONG: RowValues(clip_keys(faces), wrong, _distances(apex, sets[1:])),
    }


def real_rows(
    faces: SynthesizedFaces,
    real: RealClips,
    pairs: Pairs,
    classifier_without: ClassifierFactory,
    extractors: FeatureExtractors,
    progress: Callable[[], object],
) -> dict[str, RowValues]:
    """Return the values of the rows ``REAL_FACES``; ``progress`` is called once per measured face."""
    n, k = faces.synthetic.shape[:2]
    every = np.arange(n)
    apex = extractors.features(faces.apex)

    copy = measure_faces(faces.onset, every, real, extractors, progress, identity=False)
    predicted = _predict(faces.onset, every, faces, classifier_without)
    copy["identity"] = np.ones(n)
    copy["classifier_accuracy"] = np.full(n, 1 / k)
    copy["classifier_clip_class"] = (predicted == faces.label).astype(np.float64)

    frames, clip, shift = neighbor_frames(faces, pairs)
    measured = measure_faces(frames, clip, real, extractors, progress, identity=False)
    again = {name: mean_per_clip(values, clip, n) for name, values in measured.items()}
    again["identity"] = (unit_embeddings(faces.apex, extractors) * real.embedding).sum(axis=1)
    predicted = _predict(faces.apex, every, faces, classifier_without)
    again["classifier_accuracy"] = again["classifier_clip_class"] = (predicted == faces.label).astype(np.float64)
    features = extractors.features(frames) if len(frames) else np.empty((0, apex.shape[1]))
    sets = [features[shift == value] for value in np.unique(shift)]
    return {
        COPY: RowValues(clip_keys(faces), copy, _distances(apex, [extractors.features(faces.onset)])),
        REAL: RowValues(clip_keys(faces), again, _distances(apex, sets)),
        **_other_faces(faces, real.embedding),
    }


def mean_over_subjects(
    values: NDArray[np.floating],
    subjects: Iterable[Hashable],
    *,
    draws: int = bootstrap.NUM_DRAWS,
    seed: int = 0,
) -> Mean:
    """Return the mean of the values, and its percentile interval over resampled subjects (``subject_bootstrap``).

    Each draw takes as many subjects as there are, with replacement, each with all clips; a clip's weight is the count
    of its subject. NaN marks a clip without a value, which is left out.

    Args:
      values: float[n], one per clip.
      subjects: n keys, such as (dataset, subject).
      draws: number of resamples.
      seed: of the resampling.

    Raises:
      ValueError: there is not one subject per value.
    """
    values = np.asarray(values, np.float64)
    group = metrics.group_ids(subjects)
    if len(group) != len(values):
        raise ValueError(f"{len(values)} values of {len(group)} clips")
    present = ~np.isnan(values)
    values, group = values[present], group[present]
    if not len(values):
        return Mean(float("nan"), None, None, 0)
    _, group = np.unique(group, return_inverse=True)
    mean, number = float(values.mean()), int(group.max()) + 1
    if number < 2:
        return Mean(mean, None, None, len(values))
    sums, counts = np.bincount(group, values), np.bincount(group)
    drawn = bootstrap.draw_groups(number, draws, seed)
    return Mean(mean, *bootstrap.percentile_interval((drawn @ sums) / (drawn @ counts)), len(values))


def _other_faces(faces: SynthesizedFaces, embedding: Values) -> dict[str, RowValues]:
    """Return the mean cosine of each clip's onset with those of the subject's other clips, and of other subjects."""
    cosine = embedding @ embedding.T
    same = np.array([[one == other for other in faces.subject] for one in faces.subject])
    rows = {}
    for name, chosen in ((SAME_SUBJECT, same & ~np.eye(len(same), dtype=bool)), (OTHER_SUBJECT, ~same)):
        counts = chosen.sum(axis=1)
        sums = np.where(chosen, cosine, 0).sum(axis=1)
        values = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
        rows[name] = RowValues(clip_keys(faces), {"identity": values}, [])
    return rows


def _distances(apex: Features, sets: Sequence[Features]) -> list[tuple[float, int]]:
    """Return the distance of the real apexes and each set, with the smaller size; sets without one are left out."""
    sizes = [min(len(apex), len(one)) for one in sets]
    return [(kernel_distance(apex, one), size) for one, size in zip(sets, sizes, strict=True) if size > 1]


def _predict(
    images: GrayImages, clip: NDArray[np.integer], faces: SynthesizedFaces, classifier_without: ClassifierFactory
) -> NDArray[np.int64]:
    """Predict the class of each image, int64[m], by the classifier of the fold that holds out the clip's subject."""
    features = hog_features(images) - hog_features(faces.onset)[clip]
    fold = np.array(faces.fold)
    predicted = np.empty(len(images), np.int64)
    for name in np.unique(fold):
        held_out = {subject for subject, other in zip(faces.subject, faces.fold, strict=True) if other == name}
        rows = np.flatnonzero(fold[clip] == name)
        predicted[rows] = classifier_without(tuple(sorted(held_out))).predict(features[rows])
    return predicted


def _summarize_row(name: str, runs: Sequence[RowValues]) -> SynthesisRow:
    clips = [clip for run in runs for clip in run.clips]
    subjects = [subject for subject, _ in clips]
    missing = [np.full(len(run.clips), np.nan) for run in runs]
    scores, deviation = {}, {}
    for column in COLUMNS:
        values = [run.values.get(column, nan) for run, nan in zip(runs, missing, strict=True)]
        scores[column] = mean_over_subjects(np.concatenate(values), subjects)
        means = [float(np.nanmean(of_run)) for of_run in values if not np.isnan(of_run).all()]
        varies = len(means) > 1 and name not in REAL_FACES
        deviation[column] = float(np.std(means, ddof=1)) if varies else None
    distances = [distance for run in runs for distance, _ in run.distances]
    sizes = [size for run in runs for _, size in run.distances]
    kid = float(np.mean(distances)) if distances else float("nan")
    return SynthesisRow(name, len(set(clips)), kid, min(sizes, default=0), scores, deviation)
