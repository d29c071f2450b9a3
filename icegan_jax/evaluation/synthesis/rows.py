"""What a run's synthetic faces, and the real faces beside them, add to each row of the table."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import LinearSVC

from icegan_jax.data.dataset import Pairs
from icegan_jax.evaluation.synthesis.classifier import descriptors
from icegan_jax.evaluation.synthesis.clips import Clip, names, neighbours
from icegan_jax.evaluation.synthesis.faces import Faces, Grey
from icegan_jax.evaluation.synthesis.kernel_distance import Features, kernel_distance
from icegan_jax.evaluation.synthesis.measures import Networks, RealClips, Values, embeddings, measure, per_clip

# Rows of the table. The first is what is judged, the others are what to judge it by.
SYNTHETIC = "synthetic"
WRONG = "wrong class"
COPY = "copy of the onset"
REAL = "real against real"
SAME = "same person, another clip"
OTHER = "another person"
REAL_FACES = (COPY, REAL, SAME, OTHER)  # which no generator decides

# The classifier that learnt from everybody but these people.
Judge = Callable[[tuple[tuple[str, str], ...]], LinearSVC]


class Part(NamedTuple):
    """What one run adds to a row.

    Attributes:
      clips: n of them.
      values: by column, float64[n].
      distances: kernel distances between the real apexes and sets of this row's faces, each with how many faces the
        smaller side has; none of a side of one face, which has no distance.
    """

    clips: list[Clip]
    values: dict[str, Values]
    distances: list[tuple[float, int]]


def synthetic_rows(
    faces: Faces, real: RealClips, judge: Judge, networks: Networks, tick: Callable[[], object]
) -> dict[str, Part]:
    """The rows ``SYNTHETIC`` and ``WRONG``; ``tick`` is called once per face."""
    n, k = faces.synthetic.shape[:2]
    flat = faces.synthetic.reshape(n * k, *faces.synthetic.shape[2:])
    clip, asked = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)
    shown = faces.label[clip]
    measured = measure(flat, clip, real, networks, tick)
    told = _recognised(flat, clip, faces, judge)
    measured["classifier_clip_class"] = (told == shown).astype(np.float64)
    right, true = (told == asked).astype(np.float64), asked == shown

    def rows_where(keep: NDArray[np.bool_]) -> dict[str, Values]:
        return {name: per_clip(values[keep], clip[keep], n) for name, values in measured.items()}

    of_class = rows_where(true) | {"classifier_accuracy": per_clip(right, clip, n)}
    of_others = rows_where(~true) | {"classifier_accuracy": per_clip(right[~true], clip[~true], n)}
    features = networks.features(flat).reshape(n, k, -1)
    apex = networks.features(faces.apex)
    # The j-th set of wrong faces: of each clip that of the j-th class after its own.
    sets = [features[np.arange(n), (faces.label + step) % k] for step in range(k)]
    return {
        SYNTHETIC: Part(names(faces), of_class, _distances(apex, sets[:1])),
        WRONG: Part(names(faces), of_others, _distances(apex, sets[1:])),
    }


def real_rows(
    faces: Faces, real: RealClips, pairs: Pairs, judge: Judge, networks: Networks, tick: Callable[[], object]
) -> dict[str, Part]:
    """The rows ``REAL_FACES``, over the clips of the run; ``tick`` is called once per face measured."""
    n, k = faces.synthetic.shape[:2]
    every = np.arange(n)
    apex = networks.features(faces.apex)

    copy = measure(faces.onset, every, real, networks, tick, identity=False)
    told = _recognised(faces.onset, every, faces, judge)
    copy["identity"] = np.ones(n)
    copy["classifier_accuracy"] = np.full(n, 1 / k)
    copy["classifier_clip_class"] = (told == faces.label).astype(np.float64)

    near, clip, shift = neighbours(faces, pairs)
    again = measure(near, clip, real, networks, tick, identity=False)
    again = {name: per_clip(values, clip, n) for name, values in again.items()}
    again["identity"] = (embeddings(faces.apex, networks) * real.embedding).sum(axis=1)
    told = _recognised(faces.apex, every, faces, judge)
    again["classifier_accuracy"] = again["classifier_clip_class"] = (told == faces.label).astype(np.float64)
    features = networks.features(near) if len(near) else np.empty((0, apex.shape[1]))
    sets = [features[shift == step] for step in np.unique(shift)]
    return {
        COPY: Part(names(faces), copy, _distances(apex, [networks.features(faces.onset)])),
        REAL: Part(names(faces), again, _distances(apex, sets)),
        **_other_faces(faces, real.embedding),
    }


def _other_faces(faces: Faces, embedding: Values) -> dict[str, Part]:
    """Mean cosine of each clip's onset with the onsets of the person's other clips, and of other people's."""
    cosine = embedding @ embedding.T
    same = np.array([[one == other for other in faces.person] for one in faces.person])
    found = {}
    for name, pairs in ((SAME, same & ~np.eye(len(same), dtype=bool)), (OTHER, ~same)):
        counts = pairs.sum(axis=1)
        sums = np.where(pairs, cosine, 0).sum(axis=1)
        values = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
        found[name] = Part(names(faces), {"identity": values}, [])
    return found


def _distances(apex: Features, sets: Sequence[Features]) -> list[tuple[float, int]]:
    """Of the real apexes and each set; a set that has no distance is left out."""
    return [(kernel_distance(apex, one), min(len(apex), len(one))) for one in sets if min(len(apex), len(one)) > 1]


def _recognised(images: Grey, clip: NDArray[np.integer], faces: Faces, judge: Judge) -> NDArray[np.int64]:
    """The class of each image, int64[m], by the classifier of the fold that holds its clip's person out."""
    change = descriptors(images) - descriptors(faces.onset)[clip]
    fold = np.array(faces.fold)
    told = np.empty(len(images), np.int64)
    for name in np.unique(fold):
        held_out = {person for person, other in zip(faces.person, faces.fold, strict=True) if other == name}
        rows = np.flatnonzero(fold[clip] == name)
        told[rows] = judge(tuple(sorted(held_out))).predict(change[rows])
    return told
