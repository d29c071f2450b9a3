"""Which of a run's networks answer: each fold has its own, and a person must meet none that was trained on them.

The networks of a run's finished folds, ready to answer for faces: their lengths and faces averaged over the folds.

Axis letters: b face, n image side, k class, z noise.
"""

import difflib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from icegan_jax.config import NO_GENERATOR, build_models, validate
from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.provenance import config_fields, read_run_config
from icegan_jax.run_dir import PREDICTIONS_FILE, RESULT_FILE
from icegan_jax.training.checkpoint import DamagedCheckpoint, read_checkpoint, steps_in
from icegan_jax.training.fold_result import read_result
from icegan_jax.training.inference import motion_field, predict, synthesize
from icegan_jax.training.state import Models, TrainState, create_state, fold_key, state_template

Person = tuple[str, str]  # (dataset, subject)


@dataclass(frozen=True)
class TrainedFold:
    """A finished fold.

    Attributes:
      name: of the fold.
      folder: where its files are.
      people: (dataset, subject) of those held out, whom its networks never saw.
      step: of its checkpoint.
    """

    name: str
    folder: Path
    people: tuple[Person, ...]
    step: int


def choose_folds(run_dir: Path, *, fold: str | None = None, exclude: str | None = None) -> list[TrainedFold]:
    """The folds whose networks answer: all finished ones, for somebody whom the run does not know.

    Args:
      run_dir: the run directory.
      fold: this one alone.
      exclude: ``DATASET/SUBJECT`` or ``SUBJECT``: only folds that held this person out.

    Raises:
      UserError: there is no such fold or person, the fold was trained on that person, or none is finished.
    """
    there = _finished(run_dir)
    if fold is not None:
        named = [each for each in there if each.name == fold]
        if not named:
            raise UserError(f"--fold={fold}: {run_dir} has no finished fold of that name; {_check_known(fold, there)}")
        there = named
    if exclude is None:
        return there
    wanted = _person(exclude, sorted({person for each in _finished(run_dir) for person in each.people}))
    chosen = [each for each in there if wanted in each.people]
    if not chosen:
        raise UserError(
            f"--exclude_subject={exclude}: fold {fold} was trained on this person; leave --fold out, which finds the "
            "fold that was not"
        )
    return chosen


def _finished(run_dir: Path) -> list[TrainedFold]:
    folds = []
    for path in sorted((run_dir / "folds").glob(f"*/{RESULT_FILE}")):
        folder = path.parent
        steps = steps_in(folder)
        if not steps:
            raise UserError(f"{folder}: has a result but no checkpoint; put checkpoints/ back, or train the run again")
        held_out = tuple((str(dataset), str(subject)) for dataset, subject in read_result(folder)["people"])
        folds.append(TrainedFold(folder.name, folder, held_out, max(steps)))
    if not folds:
        raise UserError(
            f"{run_dir}: no fold is finished yet; start the training command again, or wait until one is (the first "
            f"folds/*/{RESULT_FILE})"
        )
    return folds


def _person(name: str, known: Sequence[Person]) -> Person:
    """The person of that name.

    Raises:
      UserError: there is none, or there are several of different datasets.
    """
    found = [person for person in known if name in ("/".join(person), person[1])]
    if len(found) == 1:
        return found[0]
    if found:
        names = " or ".join("/".join(person) for person in found)
        raise UserError(f"--exclude_subject={name}: there are several of that name; give {names}")
    if not known:
        raise UserError(
            f"--exclude_subject={name}: the run trained on everybody and held nobody out; give a run with "
            "--config.protocol=loso, or leave the option out for a stranger"
        )
    near = difflib.get_close_matches(name, ["/".join(person) for person in known], n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]}?" if near else ""
    raise UserError(
        f"--exclude_subject={name}: the run's finished folds held out nobody of that name{guess}; leave the option out "
        "for a stranger, whom no network ever saw"
    )


def _check_known(name: str, there: Sequence[TrainedFold]) -> str:
    near = difflib.get_close_matches(name, [each.name for each in there], n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(each.name for each in there[:8])}"


_predict = jax.jit(predict, static_argnums=0)

_synthesize = jax.jit(synthesize, static_argnums=0)

_motion_field = jax.jit(motion_field, static_argnums=0)

_BATCH = 16  # faces at a time; fewer are filled up to a power of 2, so that few programs are compiled

Grey = NDArray[np.uint8]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Ensemble:
    """One or several trained networks of a run.

    Attributes:
      run_dir: the run directory.
      run: its id.
      folds: whose networks these are.
      classes: names, in label order.
      models: the modules; no optimizer of theirs is used.
      states: one of each fold, with the parameters that were asked for alone.
    """

    run_dir: Path
    run: str
    folds: tuple[TrainedFold, ...]
    classes: tuple[str, ...]
    models: Models
    states: tuple[TrainState, ...]

    @property
    def size(self) -> int:
        """Pixels on a side of a face."""
        return self.models.image_size

    def predict(self, onset: Grey, apex: Grey) -> Floats:
        """Capsule lengths float32[b, k], means over the folds, of faces uint8[b, n, n] cropped as ``prepare`` does.

        Faces that are looked at together or apart get the same lengths but for rounding.
        """
        return self._mean(_predict, onset[..., None], apex[..., None])

    def synthesize(self, onset: Grey, label: NDArray[np.int32], draw: NDArray[np.int32], intensity: Floats) -> Grey:
        """Faces uint8[b, n, n]: each onset uint8[b, n, n] with a class, means over the folds.

        Args:
          label: int32[b], indices into ``classes``.
          draw: int32[b], which noise: an onset with another one gets another face.
          intensity: float32[b], see ``Generator``.
        """
        faces = self._mean(_synthesize, onset[..., None], label, draw, np.asarray(intensity, np.float32))
        return np.asarray(np.rint((np.clip(faces, -1, 1) + 1) * 127.5), np.uint8)

    def motion_field(self, onset: Grey, label: NDArray[np.int32], draw: NDArray[np.int32]) -> Floats:
        """What makes an onset uint8[b, n, n] the face of a class: float32[b, n, n, 3], means over the folds.

        Of each pixel the way, rows and columns in pixels, to the one that takes its place, and grey levels that are
        added. Times an intensity it is the change at that intensity. The mean motion moves a face; the mean of faces
        that each fold moves in its own way, as ``synthesize`` gives it, is blurred.

        Args:
          label, draw: see ``synthesize``.
        """
        return self._mean(_motion_field, onset[..., None], label, draw) * np.array((1, 1, 127.5), np.float32)

    def _mean(self, program: Callable[..., Any], *rows: NDArray[Any]) -> Floats:
        """The mean over the folds of what a program says of rows [b, ...]."""
        found = []
        for start in range(0, len(rows[0]), _BATCH):
            batch = [row[start : start + _BATCH] for row in rows]
            count = len(batch[0])
            filled = [_filled(row, 1 << (count - 1).bit_length()) for row in batch]
            answers = [np.asarray(program(self.models, state, *filled), np.float64)[:count] for state in self.states]
            found.append(np.mean(answers, axis=0))
        return np.concatenate(found).astype(np.float32)


def load_ensemble(run_dir: Path, *, generator: bool, fold: str | None = None, exclude: str | None = None) -> Ensemble:
    """Reads the networks of a run's finished folds; nothing is written.

    Args:
      run_dir: the run directory.
      generator: whether the generator is wanted, or the discriminator. Each fold holds one of them in memory.
      fold, exclude: see ``choose_folds``.

    Raises:
      UserError: the run, a fold or a checkpoint is missing, damaged or of another config, or has no generator.
    """
    stored, config = _read_run(run_dir)
    if generator and config.model.generator == NO_GENERATOR:
        raise UserError(f"{run_dir}: trained without a generator (config.model.generator=none); give another run")
    config.loss.perceptual = 0.0  # its network serves training alone
    folds = choose_folds(run_dir, fold=fold, exclude=exclude)
    classes = read_predictions(folds[0].folder / PREDICTIONS_FILE)[0]
    models = build_models(config, max(1, folds[0].step), len(classes))
    shapes = jax.eval_shape(functools.partial(create_state, models), jax.random.key(0))
    states = tuple(_state(each, str(stored["id"]), int(config.seed), shapes, generator) for each in folds)
    return Ensemble(run_dir, str(stored["id"]), tuple(folds), classes, models, states)


def has_generator(run_dir: Path) -> bool:
    """Whether the run trained one.

    Raises:
      UserError: as ``load_model``.
    """
    return bool(_read_run(run_dir)[1].model.generator != NO_GENERATOR)


def _read_run(run_dir: Path) -> tuple[dict[str, Any], ConfigDict]:
    """config.json and the config in it."""
    stored = read_run_config(run_dir)
    config = ConfigDict(config_fields(stored))
    try:
        validate(config)
    except UserError as error:
        path = run_dir / "config.json"
        raise UserError(f"{path}: of another version of the program ({error}); train the run anew") from None
    return stored, config


def _state(fold: TrainedFold, run: str, seed: int, shapes: TrainState, generator: bool) -> TrainState:
    """A fold's trained parameters; the trees that are not asked for are empty."""
    like = state_template(shapes, fold_key(seed, fold.name))
    try:
        state = read_checkpoint(fold.folder, fold.step, f"{run} {fold.name}", like)
    except DamagedCheckpoint as error:
        raise UserError(
            f"{fold.folder / 'checkpoints' / str(fold.step)}: damaged or of another config: {error}; start the "
            "training command again, or choose another fold with --fold"
        ) from None
    nothing: Any = {}
    state = state.replace(g_opt_state=nothing, d_opt_state=nothing)  # type: ignore[attr-defined]
    if generator:
        state = state.replace(d_params=nothing, d_stats=nothing)
    else:
        state = state.replace(g_params=nothing, g_stats=nothing)
    return jax.device_put(state)


def _filled(rows: NDArray[Any], size: int) -> jax.Array:
    """Rows [b, ...] with the first one repeated behind them, [size, ...]."""
    return jnp.asarray(np.concatenate([rows, np.repeat(rows[:1], size - len(rows), axis=0)]))
