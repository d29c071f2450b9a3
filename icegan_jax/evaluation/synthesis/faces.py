"""The synthetic faces that a finished run left, beside the real ones of the same held-out clips.

The clips that are scored, and the real frames beside their apexes.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.errors import UserError
from icegan_jax.evaluation.results import require_scored
from icegan_jax.io import ARRAY_DAMAGE

GrayImages = NDArray[np.uint8]


class SynthesizedFaces(NamedTuple):
    """n held-out clips of a run, k classes; fold by fold, in the order of the folds' names.

    Attributes:
      onset: uint8[n, h, w], the neutral faces, all that G sees beside noise and class.
      synthetic: uint8[n, k, h, w], G's face of each class.
      apex: uint8[n, h, w], the real expression.
      label: int64[n], the class that the apex shows.
      person: (dataset, subject) of each clip.
      clip: its name, unique within the person.
      fold: name of the folder of the fold that held the person out.
    """

    onset: GrayImages
    synthetic: GrayImages
    apex: GrayImages
    label: NDArray[np.int64]
    subject: list[tuple[str, str]]
    clip: list[str]
    fold: list[str]


def read_faces(run_dir: Path) -> SynthesizedFaces:
    """Reads ``folds/<fold>/synthesis.npz`` of every fold of a run.

    Raises:
      UserError: there is none (no run directory, an unfinished run, or one without a generator), one is damaged or of
        a program that did not name the people yet, two folds do not fit together, or the run trained on everybody.
    """
    require_scored(Path(run_dir))
    return read_any_faces(run_dir)


def read_any_faces(run_dir: Path) -> SynthesizedFaces:
    """What ``read_faces`` reads, also of a run that trained on everybody: its clips are held out by no fold.

    Raises:
      UserError: as there.
    """
    files = sorted(Path(run_dir).glob("folds/*/synthesis.npz"))
    if not files:
        raise UserError(f"{run_dir}: no folds/*/synthesis.npz; give the directory of a finished run with a generator")
    parts = [_read_fold(file) for file in files]
    for file, part in zip(files, parts, strict=True):
        if part.synthetic.shape[1:] != parts[0].synthetic.shape[1:]:
            raise UserError(
                f"{file}: faces of shape {part.synthetic.shape[1:]} beside {parts[0].synthetic.shape[1:]} of "
                f"{files[0].parent.name}; a run holds one shape, train this fold again"
            )
    faces = join_faces(parts)
    clips = list(zip(faces.subject, faces.clip, strict=True))
    if len(set(clips)) != len(clips):
        raise UserError(f"{run_dir}: two folds hold the same clip out; train the run again in an empty directory")
    return faces


def join_faces(parts: list[SynthesizedFaces]) -> SynthesizedFaces:
    """One after another; at least one, all of one shape."""
    onset = np.concatenate([part.onset for part in parts])
    synthetic = np.concatenate([part.synthetic for part in parts])
    apex = np.concatenate([part.apex for part in parts])
    label = np.concatenate([part.label for part in parts])
    person = [entry for part in parts for entry in part.subject]
    clip = [entry for part in parts for entry in part.clip]
    fold = [entry for part in parts for entry in part.fold]
    return SynthesizedFaces(onset, synthetic, apex, label, person, clip, fold)


def _read_fold(file: Path) -> SynthesizedFaces:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            onset, apex, synthetic = (_grey(content[name]) for name in ("onset", "apex", "synthetic"))
            label = content["label"]
            if not np.issubdtype(label.dtype, np.integer):
                raise ValueError(f"labels of {label.dtype}")
            label = label.astype(np.int64)
            if "dataset" not in content or "subject" not in content:
                raise UserError(f"{file}: written before the people's names were kept; train this run again")
            names = [[str(name) for name in content[column]] for column in ("dataset", "subject", "clip")]
    except ARRAY_DAMAGE as error:
        raise UserError(f"{file}: damaged or incomplete; train this fold again") from error
    n = len(onset) if onset.ndim else 0
    fits = onset.ndim == 3 and synthetic.ndim == 4 and apex.shape == onset.shape and 0 < n == len(synthetic)
    fits = fits and 0 not in onset.shape and synthetic.shape[2:] == onset.shape[1:]
    fits = fits and all(len(column) == n for column in names)
    if not fits or label.shape != (n,):
        raise UserError(
            f"{file}: onset {onset.shape}, synthetic {synthetic.shape} and apex {apex.shape} do not belong together; "
            "train this fold again"
        )
    if not np.isin(label, range(synthetic.shape[1])).all():
        raise UserError(f"{file}: a label is none of the {synthetic.shape[1]} classes; train this fold again")
    dataset, subject, clip = names
    return SynthesizedFaces(
        onset, synthetic, apex, label, list(zip(dataset, subject, strict=True)), clip, [file.parent.name] * n
    )


def _grey(image: NDArray[np.uint8]) -> GrayImages:
    if image.dtype != np.uint8:
        raise ValueError(f"{image.dtype} instead of uint8")
    return image


ClipKey = tuple[tuple[str, str], str]  # the person and the clip's name


def clip_keys(faces: SynthesizedFaces) -> list[ClipKey]:
    """Of each clip."""
    return list(zip(faces.subject, faces.clip, strict=True))


def neighbor_frames(faces: SynthesizedFaces, pairs: Pairs) -> tuple[GrayImages, NDArray[np.int64], NDArray[np.int64]]:
    """Real frames beside the apexes of the clips: faces uint8[m, h, w], clip int64[m], shift int64[m].

    Raises:
      UserError: a clip is not among the pairs, or looks otherwise there.
    """
    places = {clip: row for row, clip in enumerate(clip_keys(faces))}
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
        name = " ".join((*faces.subject[min(missing)], faces.clip[min(missing)]))
        raise UserError(f"the clip {name} of the run is not in the data folder; give the folder that it was trained on")
    kept = np.array(rows, np.int64)
    return pairs.apex[kept], np.array(clip, np.int64), pairs.shift[kept].astype(np.int64)
