"""The faces that an experiment runs on: the user's, or drawn ones, kept for all experiments."""

from pathlib import Path

from experiments.shared.options import Options
from experiments.shared.presets import PRESETS
from icegan_jax.data.dataset import SUMMARY_FILE
from icegan_jax.data.preparing.preparation import prepare_procedural

_SEED = 0  # of the drawing; the runs' seeds change the training, not the faces
_CLIPS_PER_CLASS = 2  # of each person, as in configs/demo.py
_FRAMES = 15


def faces(options: Options, people: int, databases: int = 1) -> str:
    """The prepared folder; faces of so many people, dealt out to so many databases, are drawn once per OUT.

    Empty: the configuration's own.
    """
    if options.data or not PRESETS[options.preset].drawn:
        return options.data
    folder = options.out / "faces" / f"drawn_{people}_people_{databases}_databases"
    if not (folder / SUMMARY_FILE).is_file():
        prepare_procedural(
            folder,
            seed=_SEED,
            subjects=people,
            clips_per_class=_CLIPS_PER_CLASS,
            frames=_FRAMES,
            databases=databases,
        )
    return str(folder)


def of_run(run: Path, data_dir: str) -> Path:
    """The prepared folder of a run whose config has this ``data.dir``."""
    return Path(data_dir) if data_dir else run / "data"
