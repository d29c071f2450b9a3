"""The clips that are scored, and the real frames beside their apexes."""

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.errors import UserError
from icegan_jax.evaluation.synthesis.faces import Faces, Grey

Clip = tuple[tuple[str, str], str]  # the person and the clip's name


def names(faces: Faces) -> list[Clip]:
    """Of each clip."""
    return list(zip(faces.person, faces.clip, strict=True))


def neighbours(faces: Faces, pairs: Pairs) -> tuple[Grey, NDArray[np.int64], NDArray[np.int64]]:
    """Real frames beside the apexes of the clips: faces uint8[m, h, w], clip int64[m], shift int64[m].

    Raises:
      UserError: a clip is not among the pairs, or looks otherwise there.
    """
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
