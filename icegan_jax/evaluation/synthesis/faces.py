"""The synthetic faces that a run stored, beside the real faces of the same clips."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.errors import UserError
from icegan_jax.evaluation.results import require_scored
from icegan_jax.io import NPZ_ERRORS

GrayImages = NDArray[np.uint8]
ClipKey = tuple[tuple[str, str], str]  # ((dataset, subject), clip name)


class SynthesizedFaces(NamedTuple):
    """Faces of the n held-out clips of a run, for k classes; fold by fold, in the order of the folds' names.

    Attributes:
      onset: uint8[n, h, w], the neutral faces: the input of G beside noise and class.
      synthetic: uint8[n, k, h, w], G's face of each class.
      apex: uint8[n, h, w], the real expression.
      label: int64[n], the class of the apex.
      subject: (dataset, subject) of each clip.
      clip: name of each clip, unique within the subject.
      fold: name of the folder of the fold that holds the subject out.
    """

    onset: GrayImages
    synthetic: GrayImages
    apex: GrayImages
    label: NDArray[np.int64]
    subject: list[tuple[str, str]]
    clip: list[str]
    fold: list[str]


def read_faces(run_dir: Path) -> SynthesizedFaces:
    """Read ``folds/<fold>/synthesis.npz`` of every fold of a run.

    Raises:
      UserError: there is no such file (not a run directory, an unfinished run, or a run without a generator), a file
        is damaged or of an older version without names of subjects, two folds do not fit together, or the run trained
        on everybody.
    """
    require_scored(Path(run_dir))
    return read_any_faces(run_dir)


def read_any_faces(run_dir: Path) -> SynthesizedFaces:
    """Read the faces as ``read_faces`` does, also of a run that trained on everybody and holds out no clip.

    Raises:
      UserError: as ``read_faces``, except that the run may have trained on everybody.
    """
    files = sorted(Path(run_dir).glob("folds/*/synthesis.npz"))
    if not files:
        raise UserError(f"{run_dir}: no folds/*/synthesis.npz; give the directory of a finished run with a generator")
    folds = [_read_fold(file) for file in files]
    shape = folds[0].synthetic.shape[1:]
    for file, fold in zip(files, folds, strict=True):
        if fold.synthetic.shape[1:] != shape:
            raise UserError(
                f"{file}: faces of shape {fold.synthetic.shape[1:]} beside {shape} of {files[0].parent.name}; "
                "all folds of a run have one shape, train this fold again"
            )
    onset, synthetic, apex, label = (np.concatenate([fold[field] for fold in folds]) for field in range(4))
    subject = [entry for fold in folds for entry in fold.subject]
    clip = [entry for fold in folds for entry in fold.clip]
    faces = SynthesizedFaces(
        onset, synthetic, apex, label, subject, clip, [name for fold in folds for name in fold.fold]
    )
    if len(set(clip_keys(faces))) != len(faces.clip):
        raise UserError(f"{run_dir}: two folds hold the same clip out; train the run again in an empty directory")
    return faces


def clip_keys(faces: SynthesizedFaces) -> list[ClipKey]:
    """Return the key of each clip, unique within a run."""
    return list(zip(faces.subject, faces.clip, strict=True))


def neighbor_frames(faces: SynthesizedFaces, pairs: Pairs) -> tuple[GrayImages, NDArray[np.int64], NDArray[np.int64]]:
    """Return the real frames next to the apexes of the clips: the pairs of shift other than 0.

    Args:
      faces: of n clips.
      pairs: the data that the run was trained on.

    Returns:
      Frames uint8[m, h, w], the index of each frame's clip int64[m], and the frame's shift from the apex int64[m].

    Raises:
      UserError: a clip is not among the pairs, or has another onset or apex there.
    """
    index_of = {key: index for index, key in enumerate(clip_keys(faces))}
    verified = set()
    rows, clip = [], []
    subjects = zip(pairs.dataset.tolist(), pairs.subject.tolist(), strict=True)
    for row, key in enumerate(zip(subjects, pairs.clip.tolist(), strict=True)):
        index = index_of.get(key)
        if index is None:
            continue
        if pairs.shift[row]:
            rows.append(row)
            clip.append(index)
        elif np.array_equal(pairs.apex[row], faces.apex[index]) and np.array_equal(
            pairs.onset[row], faces.onset[index]
        ):
            verified.add(index)
    missing = set(index_of.values()) - verified
    if missing:
        name = " ".join((*faces.subject[min(missing)], faces.clip[min(missing)]))
        raise UserError(f"the clip {name} of the run is not in the data folder; give the folder that it was trained on")
    kept = np.array(rows, np.int64)
    return pairs.apex[kept], np.array(clip, np.int64), pairs.shift[kept].astype(np.int64)


def _read_fold(file: Path) -> SynthesizedFaces:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            onset, synthetic, apex, label = (content[name] for name in ("onset", "synthetic", "apex", "label"))
            names = [[str(name) for name in content[key]] for key in ("dataset", "subject", "clip")]
    except NPZ_ERRORS as error:
        raise UserError(f"{file}: damaged or incomplete; train this fold again") from error
    n = len(onset) if onset.ndim == 3 and onset.size else 0
    classes = synthetic.shape[1] if synthetic.ndim == 4 else 0
    fits = n > 0 and apex.shape == onset.shape and synthetic.shape == (n, classes, *onset.shape[1:])
    fits = fits and all(images.dtype == np.uint8 for images in (onset, synthetic, apex))
    fits = fits and label.shape == (n,) and bool(np.isin(label, range(classes)).all())
    if not fits or any(len(column) != n for column in names):
        raise UserError(
            f"{file}: onset {onset.shape}, synthetic {synthetic.shape}, apex {apex.shape} and labels do not belong "
            "together; train this fold again"
        )
    dataset, subject, clip = names
    subjects = list(zip(dataset, subject, strict=True))
    return SynthesizedFaces(onset, synthetic, apex, label.astype(np.int64), subjects, clip, [file.parent.name] * n)
