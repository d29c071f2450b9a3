"""The ensemble: the networks of a run's finished folds, whose outputs are averaged.

A fold never trained on the subject that it held out, so the prediction for a subject of the run's own data must come
from that fold alone.

Axis letters: b face, n image side, k class.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from icegan_jax.config import NO_GENERATOR, build_models
from icegan_jax.config_fields import ICEGAN
from icegan_jax.data.synthetic.write import DATASET
from icegan_jax.errors import UserError, did_you_mean
from icegan_jax.evaluation.calibration import Calibration, read_calibration
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.inference.quality_flags import QualityFlag, flag_run
from icegan_jax.provenance import read_run_config
from icegan_jax.run_dir import CALIBRATION_FILE, FOLDS_DIR, PREDICTIONS_FILE, RESULT_FILE
from icegan_jax.training.checkpoint import DamagedCheckpoint, checkpoint_steps, read_checkpoint
from icegan_jax.training.fold_result import read_result
from icegan_jax.training.inference import motion_field, predict, synthesize
from icegan_jax.training.state import Models, TrainState, create_state, fold_key, state_template

_BATCH = 16  # faces at a time; a smaller batch is padded to a power of 2, so that few programs are compiled
_GRAY_PER_UNIT = 127.5  # gray levels per unit of the generator's range [-1, 1]

Gray = NDArray[np.uint8]
Floats = NDArray[np.float32]
Subject = tuple[str, str]  # (dataset, subject)

_predict = jax.jit(predict, static_argnums=0)
_synthesize = jax.jit(synthesize, static_argnums=0)
_motion_field = jax.jit(motion_field, static_argnums=0)


@dataclass(frozen=True)
class TrainedFold:
    """A finished fold.

    Attributes:
        name: the name of the fold.
        folder: the directory of its files.
        held_out: the subjects that its networks were not trained on.
        step: the step of its last checkpoint.
    """

    name: str
    folder: Path
    held_out: tuple[Subject, ...]
    step: int


def choose_folds(run_dir: Path, *, fold: str | None = None, exclude_subject: str | None = None) -> list[TrainedFold]:
    """Return the folds whose networks make up an ensemble, sorted by name; by default all finished folds.

    Args:
        run_dir: the run directory.
        fold: the name of the only fold to return.
        exclude_subject: ``DATASET/SUBJECT`` or ``SUBJECT``: return only the folds that held this subject out.

    Raises:
        UserError: The fold or the subject does not exist, the fold was trained on the subject, or no fold is finished.
    """
    finished = _finished_folds(run_dir)
    chosen = finished
    if fold is not None:
        chosen = [each for each in finished if each.name == fold]
        if not chosen:
            names = [each.name for each in finished]
            hint = did_you_mean(fold, names) or f"; there are {', '.join(names[:8])}"
            raise UserError(f"--fold={fold}: {run_dir} has no finished fold of that name{hint}")
    if exclude_subject is None:
        return chosen
    subject = _match_subject(exclude_subject, sorted({subject for each in finished for subject in each.held_out}))
    chosen = [each for each in chosen if subject in each.held_out]
    if not chosen:
        raise UserError(
            f"--exclude_subject={exclude_subject}: fold {fold} was trained on this subject; omit --fold, so that the "
            "fold that held the subject out is chosen"
        )
    return chosen


def _finished_folds(run_dir: Path) -> list[TrainedFold]:
    folds = []
    for path in sorted((run_dir / FOLDS_DIR).glob(f"*/{RESULT_FILE}")):
        folder = path.parent
        steps = checkpoint_steps(folder)
        if not steps:
            raise UserError(f"{folder}: has a result but no checkpoint; put checkpoints/ back, or train the run again")
        held_out = tuple((str(dataset), str(subject)) for dataset, subject in read_result(folder)["people"])
        folds.append(TrainedFold(folder.name, folder, held_out, max(steps)))
    if not folds:
        raise UserError(
            f"{run_dir}: no fold is finished yet; start the training command again, or wait for the first "
            f"folds/*/{RESULT_FILE}"
        )
    return folds


def _match_subject(name: str, held_out: Sequence[Subject]) -> Subject:
    """Return the only subject of that name, ``DATASET/SUBJECT`` or ``SUBJECT``.

    Raises:
        UserError: No subject has that name, or subjects of several datasets have it.
    """
    matches = [subject for subject in held_out if name in ("/".join(subject), subject[1])]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = " or ".join("/".join(subject) for subject in matches)
        raise UserError(f"--exclude_subject={name}: several datasets have a subject of that name; give {names}")
    if not held_out:
        raise UserError(
            f"--exclude_subject={name}: the run trained on all subjects and held none out; give a run with "
            "--config.protocol=loso, or omit the option for a person outside the training data"
        )
    hint = did_you_mean(name, map("/".join, held_out))
    raise UserError(
        f"--exclude_subject={name}: no finished fold of the run held out a subject of that name{hint}; omit the option "
        "for a person outside the training data"
    )


@dataclass(frozen=True)
class Ensemble:
    """The trained networks of one or several folds, which are read at their first use.

    Attributes:
        run_dir: the run directory.
        run_id: the id of the run.
        folds: the folds, in the order of ``states``.
        classes: the class names, in label order.
        calibration: that of the run; None where there is none, as of an unfinished run.
        drawn_faces: whether the networks were trained on drawn faces.
        models: the modules; their optimizers are not used.
        seed: the seed of the run.
        is_generator: whether the networks are the generators; else they are the discriminators.
    """

    run_dir: Path
    run_id: str
    folds: tuple[TrainedFold, ...]
    classes: tuple[str, ...]
    calibration: Calibration | None
    drawn_faces: bool
    models: Models
    seed: int
    is_generator: bool

    @functools.cached_property
    def states(self) -> tuple[TrainState, ...]:
        """The state of each fold, with the parameters of the discriminator or those of the generator only.

        Raises:
            UserError: A checkpoint is missing, damaged or of another config.
        """
        shapes = jax.eval_shape(functools.partial(create_state, self.models), jax.random.key(0))
        return tuple(_read_state(fold, self.run_id, self.seed, shapes, self.is_generator) for fold in self.folds)

    def load(self) -> None:
        """Read the networks now, so that a damaged checkpoint is found before a long computation."""
        _ = self.states

    @property
    def image_size(self) -> int:
        """Pixels on a side of a face."""
        return self.models.image_size

    @property
    def fold_names(self) -> tuple[str, ...]:
        """The names of the folds."""
        return tuple(fold.name for fold in self.folds)

    @property
    def threshold(self) -> float | None:
        """The length that the longest capsule of an expression exceeds; None where the run has none."""
        return None if self.calibration is None else self.calibration.threshold.length

    @property
    def flags(self) -> tuple[QualityFlag, ...]:
        """The quality flags that all answers of the networks have."""
        return tuple(flag_run(self.calibration, drawn_faces=self.drawn_faces))

    def predict(self, onset: Gray, apex: Gray) -> Floats:
        """Return the capsule lengths of onset/apex pairs, means over the folds.

        Args:
            onset: uint8[b, n, n], cropped as ``prepare`` crops.
            apex: uint8[b, n, n], registered to the onset.

        Returns:
            float32[b, k]. The lengths of a pair depend on the other pairs of the batch by rounding only.

        Raises:
            TypeError: Faces are not uint8.
            ValueError: Faces have another shape.
        """
        for name, faces in (("onset", onset), ("apex", apex)):
            _check_faces(name, faces, self.image_size)
        return self._mean_over_folds(_predict, onset[..., None], apex[..., None])

    def synthesize(self, onset: Gray, label: NDArray[np.int32], draw: NDArray[np.int32], intensity: Floats) -> Gray:
        """Return the generator's faces, means over the folds.

        Args:
            onset: uint8[b, n, n], the neutral faces.
            label: int32[b], indices into ``classes``.
            draw: int32[b], the number of the noise vector.
            intensity: float32[b], see ``Generator``.

        Returns:
            uint8[b, n, n].

        Raises:
            TypeError, ValueError: see ``predict``.
        """
        _check_faces("onset", onset, self.image_size)
        faces = self._mean_over_folds(_synthesize, onset[..., None], label, draw, np.asarray(intensity, np.float32))
        return np.asarray(np.rint((np.clip(faces, -1, 1) + 1) * _GRAY_PER_UNIT), np.uint8)

    def motion_field(self, onset: Gray, label: NDArray[np.int32], draw: NDArray[np.int32]) -> Floats:
        """Return the change from an onset to the generator's face at intensity 1, means over the folds.

        The change times an intensity is the change at that intensity. A face moved by the mean motion stays sharp,
        whereas the mean of faces that each fold moves in a different way, which ``synthesize`` returns, is blurred.

        Args:
            onset, label, draw: see ``synthesize``.

        Returns:
            float32[b, n, n, 3]: the rows and columns, in pixels, from each pixel to the pixel that replaces it, and
            the gray levels that are added.
        """
        return self._mean_over_folds(_motion_field, onset[..., None], label, draw) * np.array(
            (1, 1, _GRAY_PER_UNIT), np.float32
        )

    def _mean_over_folds(self, program: Callable[..., Any], *rows: NDArray[Any]) -> Floats:
        """Return the mean over the folds of a program's results for rows [b, ...], computed in batches."""
        means = []
        for start in range(0, len(rows[0]), _BATCH):
            batch = [row[start : start + _BATCH] for row in rows]
            count = len(batch[0])
            padded = [_pad(row, 1 << (count - 1).bit_length()) for row in batch]
            results = [np.asarray(program(self.models, state, *padded), np.float64)[:count] for state in self.states]
            means.append(np.mean(results, axis=0))
        return np.concatenate(means).astype(np.float32)


def _check_faces(name: str, faces: Gray, n: int) -> None:
    if faces.dtype != np.uint8:
        raise TypeError(f"{name}: dtype {faces.dtype}; give gray levels as uint8, from 0 to 255")
    if faces.ndim != 3 or faces.shape[1:] != (n, n):
        raise ValueError(f"{name}: shape {faces.shape}; give prepared gray crops [b, {n}, {n}]")


def load_ensemble(
    run_dir: Path, *, generator: bool, fold: str | None = None, exclude_subject: str | None = None
) -> Ensemble:
    """Choose the networks of a run's finished folds, which are read at their first use. Nothing is written.

    Args:
        run_dir: the run directory.
        generator: True: read the generators; False: read the discriminators. The other networks take no memory.
        fold, exclude_subject: see ``choose_folds``.

    Raises:
        UserError: The run or a fold is missing, damaged or of another config, or has no generator.
    """
    run_id, config = read_run_config(run_dir)
    if config.method != ICEGAN:
        raise UserError(
            f"{run_dir}: a run of the compared system {config.method!r}, not of ICE-GAN; give a run of ICE-GAN"
        )
    if generator and config.generator.kind == NO_GENERATOR:
        raise UserError(f"{run_dir}: trained without a generator (config.generator.kind=none); give another run")
    config.loss.perceptual = 0.0  # Only training uses the perceptual network.
    folds = choose_folds(run_dir, fold=fold, exclude_subject=exclude_subject)
    classes = read_classes(folds)
    models = build_models(config, max(1, folds[0].step), len(classes))
    return Ensemble(
        run_dir,
        run_id,
        tuple(folds),
        classes,
        read_calibration(run_dir / CALIBRATION_FILE),
        _has_drawn_faces(folds),
        models,
        int(config.seed),
        generator,
    )


def read_classes(folds: Sequence[TrainedFold]) -> tuple[str, ...]:
    """Return the class names of a run, in label order."""
    return read_predictions(folds[0].folder / PREDICTIONS_FILE)[0]


def _has_drawn_faces(folds: Sequence[TrainedFold]) -> bool:
    """Return whether all clips in the folds' predictions.csv, of subjects that were held out or not, are drawn."""
    rows = (row for fold in folds for row in read_predictions(fold.folder / PREDICTIONS_FILE)[1])
    return all(row.dataset.split("_")[0] == DATASET for row in rows)


def has_generator(run_dir: Path) -> bool:
    """Return whether the run trained a generator.

    Raises:
        UserError: The run's config.json is missing, damaged, or of another version of the program.
    """
    return bool(read_run_config(run_dir)[1].generator.kind != NO_GENERATOR)


def _read_state(fold: TrainedFold, run_id: str, seed: int, shapes: TrainState, generator: bool) -> TrainState:
    """Return a fold's trained state; the optimizers and the parameters of the other network are empty."""
    like = state_template(shapes, fold_key(seed, fold.name))
    try:
        state, _ = read_checkpoint(fold.folder, fold.step, run_id, like)
    except DamagedCheckpoint as error:
        raise UserError(
            f"{fold.folder / 'checkpoints' / str(fold.step)}: damaged or of another config: {error}; start the "
            "training command again, or choose another fold with --fold"
        ) from None
    empty: Any = {}
    state = state.replace(g_opt_state=empty, d_opt_state=empty)  # type: ignore[attr-defined]
    if generator:
        state = state.replace(d_params=empty, d_stats=empty)
    else:
        state = state.replace(g_params=empty, g_stats=empty)
    return jax.device_put(state)


def _pad(rows: NDArray[Any], size: int) -> jax.Array:
    """Append copies of the first row to rows [b, ...], up to [size, ...]."""
    return jnp.asarray(np.concatenate([rows, np.repeat(rows[:1], size - len(rows), axis=0)]))
