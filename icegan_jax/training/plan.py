"""How the folds are trained, and where what they leave lies."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from icegan_jax.data.folds import Fold

ON_NONFINITE = ("stop", "skip_fold")  # what a run does when a fold's loss or gradient is no finite number
RESULT = "result.json"  # written last: its presence says that the fold is done


@dataclass(frozen=True)
class Plan:
    """How every fold is trained.

    Attributes:
      steps: updates of each fold, a multiple of ``steps_per_call``.
      steps_per_epoch: of the whole prepared set; only names the epoch in the logs.
      steps_per_call: updates per call of the compiled program, and between log lines.
      checkpoint_every: updates between checkpoints, at least.
      folds_per_device: folds side by side on a device; 0: as many as fit into its memory.
      batch_size: pairs per update.
      mirror: flips half of the training pairs.
      seed: of everything random.
      parallel: what several devices share out, ``folds`` or each ``batch``.
      process: which of several processes trains them, noted with their times.
      evaluate_every: updates between evaluations of the held-out clips during training, a multiple of
        ``steps_per_call``; 0: none.
      shift: training pairs are moved by up to this many pixels, see ``data.pipeline``.
      brightness: training pairs get brighter or darker by up to this share of white.
      on_nonfinite: one of ``ON_NONFINITE``.
      collapse_after: passes over the training set in each of which all clips are taken for one class, before that is
        reported; 0: never.
      run: the run's own name (``id`` in config.json), which its checkpoints carry.
    """

    steps: int
    steps_per_epoch: int
    steps_per_call: int
    checkpoint_every: int
    folds_per_device: int
    batch_size: int
    mirror: bool
    seed: int
    parallel: str = "folds"
    process: int = 0
    evaluate_every: int = 0
    shift: int = 0
    brightness: float = 0.0
    on_nonfinite: str = "stop"
    collapse_after: int = 0
    run: str = ""


class Spent(NamedTuple):
    """Time that went into a fold or a group.

    Attributes:
      wall_s: seconds.
      compile_s: those of them that went into compiling.
    """

    wall_s: float
    compile_s: float


NOTHING = Spent(0.0, 0.0)


def fold_dir(run_dir: Path, fold: Fold) -> Path:
    """The folder of a fold in a run directory."""
    return run_dir / "folds" / fold.name


def events_dir(run_dir: Path, fold: Fold) -> Path:
    """The folder of a fold's events in a run directory, of which TensorBoard is given the parent."""
    return run_dir / "tensorboard" / fold.name


def finished(run_dir: Path, fold: Fold) -> bool:
    """Whether the fold's result is there."""
    return (fold_dir(run_dir, fold) / RESULT).is_file()
