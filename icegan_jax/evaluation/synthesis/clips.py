"""Which clips are scored, and the real frames beside their apexes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.errors import UserError
from icegan_jax.evaluation.synthesis.faces import Faces, Grey

Clip = tuple[tuple[str, str], str]  # the person and the clip's name


def names(faces: Faces) -> list[Clip]:
    """Of each clip."""
    return list(zip(faces.person, faces.clip, strict=True))


def new_clips(runs: Sequence[Faces]) -> list[NDArray[np.int64]]:
    """For each run the places of those clips that no earlier run has."""
    seen: set[Clip] = set()
    found = []
    for faces in runs:
        clips = names(faces)
        found.append(np.array([row for row, clip in enumerate(clips) if clip not in seen], np.int64))
        seen |= set(clips)
    return found


def chosen(faces: Faces, rows: NDArray[np.int64]) -> Faces:
    """These clips of them, in this order."""
    return Faces(
        onset=faces.onset[rows],
        synthetic=faces.synthetic[rows],
        apex=faces.apex[rows],
        label=faces.label[rows],
        person=[faces.person[row] for row in rows],
        clip=[faces.clip[row] for row in rows],
        fold=[faces.fold[row] for row in rows],
    )


def neighbours(faces: Faces, pairs: Pairs) -> tuple[Grey, NDArray[np.int64], NDArray[np.int64]]:
    """Real frames beside the apexes of the clips: faces uint8[m, h, w], clip int64[m], shift int64[m]."""
    places = {clip: row for row, clip in enumerate(names(faces))}
    there = set()
    rows, clip = [], []
    people = zip(pairs.dataset.tolist(), pairs.subject.tolist(), strict=True)
    for row, key in enumerate(zip(people, pairs.clip.tolist(), strict=True)):
        place = places.get(key)
        if place is None:
            continue
        if pairs.shift[row]:
            rows.append(row)
            clip.append(place)
        elif np.array_equal(pairs.apex[row], faces.apex[place]) and np.array_equal(
            pairs.onset[row], faces.onset[place]
        ):
            there.add(place)
    missing = set(places.values()) - there
    if missing:
        name = " ".join((*faces.person[min(missing)], faces.clip[min(missing)]))
        raise UserError(f"the clip {name} of the run is not in the data folder; give the folder that it was trained on")
    kept = np.array(rows, np.int64)
    return pairs.apex[kept], np.array(clip, np.int64), pairs.shift[kept].astype(np.int64)
