"""The networks of a run's finished folds, ready to answer for faces: their lengths and faces averaged over the folds.

Axis letters: b face, n image side, k class, z noise.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from icegan_jax import settings
from icegan_jax.claim import began_with, config_fields
from icegan_jax.config_fields import NO_GENERATOR
from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.training.checkpoint import DamagedCheckpoint, read_checkpoint
from icegan_jax.training.evaluate import PREDICTIONS
from icegan_jax.training.state import Networks, TrainState, blank_state, create_state, fold_key
from icegan_jax.training.step import change_with, recognise, synthesise_with
from icegan_jax.use.choice import Trained, choose_folds

_recognise = jax.jit(recognise, static_argnums=0)
_synthesise = jax.jit(synthesise_with, static_argnums=0)
_change = jax.jit(change_with, static_argnums=0)

_BATCH = 16  # faces at a time; fewer are filled up to a power of 2, so that few programs are compiled

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Model:
    """One or several trained networks of a run.

    Attributes:
      run_dir: the run directory.
      run: its id.
      folds: whose networks these are.
      classes: names, in label order.
      networks: the modules; no optimiser of theirs is used.
      states: one of each fold, with the parameters that were asked for alone.
    """

    run_dir: Path
    run: str
    folds: tuple[Trained, ...]
    classes: tuple[str, ...]
    networks: Networks
    states: tuple[TrainState, ...]

    @property
    def size(self) -> int:
        """Pixels on a side of a face."""
        return self.networks.image_size

    def recognise(self, onset: Grey, apex: Grey) -> Floats:
        """Capsule lengths float32[b, k], means over the folds, of faces uint8[b, n, n] cropped as ``prepare`` does.

        Faces that are looked at together or apart get the same lengths but for rounding.
        """
        return self._mean(_recognise, onset[..., None], apex[..., None])

    def synthesise(self, onset: Grey, label: NDArray[np.int32], draw: NDArray[np.int32], intensity: Floats) -> Grey:
        """Faces uint8[b, n, n]: each onset uint8[b, n, n] with a class, means over the folds.

        Args:
          label: int32[b], indices into ``classes``.
          draw: int32[b], which noise: an onset with another one gets another face.
          intensity: float32[b], see ``Generator``.
        """
        faces = self._mean(_synthesise, onset[..., None], label, draw, np.asarray(intensity, np.float32))
        return np.asarray(np.rint((np.clip(faces, -1, 1) + 1) * 127.5), np.uint8)

    def change(self, onset: Grey, label: NDArray[np.int32], draw: NDArray[np.int32]) -> Floats:
        """What makes an onset uint8[b, n, n] the face of a class: float32[b, n, n, 3], means over the folds.

        Of each pixel the way, rows and columns in pixels, to the one that takes its place, and grey levels that are
        added. Times an intensity it is the change at that intensity. The mean motion moves a face; the mean of faces
        that each fold moves in its own way, as ``synthesise`` gives it, is blurred.

        Args:
          label, draw: see ``synthesise``.
        """
        return self._mean(_change, onset[..., None], label, draw) * np.array((1, 1, 127.5), np.float32)

    def _mean(self, program: Callable[..., Any], *rows: NDArray[Any]) -> Floats:
        """The mean over the folds of what a program says of rows [b, ...]."""
        found = []
        for start in range(0, len(rows[0]), _BATCH):
            batch = [row[start : start + _BATCH] for row in rows]
            count = len(batch[0])
            filled = [_filled(row, 1 << (count - 1).bit_length()) for row in batch]
            answers = [np.asarray(program(self.networks, state, *filled), np.float64)[:count] for state in self.states]
            found.append(np.mean(answers, axis=0))
        return np.concatenate(found).astype(np.float32)


def load_model(run_dir: Path, *, generator: bool, fold: str | None = None, exclude: str | None = None) -> Model:
    """Reads the networks of a run's finished folds; nothing is written.

    Args:
      run_dir: the run directory.
      generator: whether the generator is wanted, or the discriminator. Each fold holds one of them in memory.
      fold, exclude: see ``choose_folds``.

    Raises:
      UserError: the run, a fold or a checkpoint is missing, damaged or of another config, or has no generator.
    """
    stored, config = _read(run_dir)
    if generator and config.model.generator == NO_GENERATOR:
        raise UserError(f"{run_dir}: trained without a generator (config.model.generator=none); give another run")
    config.loss.perceptual = 0.0  # its network serves training alone
    folds = choose_folds(run_dir, fold=fold, exclude=exclude)
    classes = read_predictions(folds[0].folder / PREDICTIONS)[0]
    networks = settings.networks_of(config, max(1, folds[0].step), len(classes))
    shapes = jax.eval_shape(functools.partial(create_state, networks), jax.random.key(0))
    states = tuple(_state(each, str(stored["id"]), int(config.seed), shapes, generator) for each in folds)
    return Model(run_dir, str(stored["id"]), tuple(folds), classes, networks, states)


def has_generator(run_dir: Path) -> bool:
    """Whether the run trained one.

    Raises:
      UserError: as ``load_model``.
    """
    return bool(_read(run_dir)[1].model.generator != NO_GENERATOR)


def _read(run_dir: Path) -> tuple[dict[str, Any], ConfigDict]:
    """config.json and the config in it."""
    stored = began_with(run_dir)
    config = ConfigDict(config_fields(stored))
    try:
        settings.check(config)
    except UserError as error:
        path = run_dir / "config.json"
        raise UserError(f"{path}: of another version of the program ({error}); train the run anew") from None
    return stored, config


def _state(fold: Trained, run: str, seed: int, shapes: TrainState, generator: bool) -> TrainState:
    """A fold's trained parameters; the trees that are not asked for are empty."""
    like = blank_state(shapes, fold_key(seed, fold.name))
    try:
        state = read_checkpoint(fold.folder, fold.step, f"{run} {fold.name}", like)
    except DamagedCheckpoint as error:
        raise UserError(
            f"{fold.folder / 'checkpoints' / str(fold.step)}: damaged or of another config: {error}; start the "
            "training command again, or choose another fold with --fold"
        ) from None
    nothing: Any = {}
    state = state.replace(g_optimizer=nothing, d_optimizer=nothing)  # type: ignore[attr-defined]
    if generator:
        state = state.replace(d_params=nothing, d_stats=nothing)
    else:
        state = state.replace(g_params=nothing, g_stats=nothing)
    return jax.device_put(state)


def _filled(rows: NDArray[Any], size: int) -> jax.Array:
    """Rows [b, ...] with the first one repeated behind them, [size, ...]."""
    return jnp.asarray(np.concatenate([rows, np.repeat(rows[:1], size - len(rows), axis=0)]))
