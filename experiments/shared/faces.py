"""The prepared faces of an experiment: the user's, or drawn faces that all experiments share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from experiments.shared.options import PRESETS, Options
from icegan_jax.data.dataset import SUMMARY_FILE
from icegan_jax.data.ingest.build import prepare_procedural
from icegan_jax.errors import UserError

_SEED = 0  # of the drawn faces; the seeds of the runs change the training, not the faces
_FRAMES = 15  # per clip, as in configs/demo.py


class DrawnFaces(NamedTuple):
    """The faces that are drawn where no data are given.

    Attributes:
      people: number of subjects.
      clips_per_class: number of clips per subject and class.
      databases: number of databases to which the subjects are assigned.
    """

    people: int
    clips_per_class: int
    databases: int


LOSO_FACES = DrawnFaces(people=8, clips_per_class=2, databases=2)  # subjects as in configs/demo.py
SYNTHESIS_FACES = DrawnFaces(people=17, clips_per_class=2, databases=1)
# A quarter of the 68 subjects of the paper's Table III.
SPLIT_FACES = DrawnFaces(people=17, clips_per_class=1, databases=1)


def prepared_faces(options: Options, drawn: DrawnFaces) -> str:
    """Return the prepared folder, or an empty text for the configuration's own; faces are drawn once per --out."""
    if options.data or not PRESETS[options.preset].drawn:
        return options.data
    folder = options.out / "faces" / "_".join(f"{number}_{name}" for name, number in drawn._asdict().items())
    if not (folder / SUMMARY_FILE).is_file():
        prepare_procedural(
            folder,
            seed=_SEED,
            subjects=drawn.people,
            clips_per_class=drawn.clips_per_class,
            frames=_FRAMES,
            databases=drawn.databases,
        )
    return str(folder)


def split_fields(options: Options) -> dict[str, object]:
    """Return the fields of a run on a split by subjects: 20 of 68 as in the paper, but 11 of 17 drawn subjects.

    With 12 drawn training subjects every model of Table III recognized all held-out clips (UF1 1.000 after 60 steps),
    so that the models did not differ.
    """
    preset = PRESETS[options.preset]
    share = {"split_share": 11 / 17} if preset.drawn and not options.data else {}
    return {"protocol": "split", **share, **preset.split}


def run_data_dir(run: Path, config: Mapping[str, Any], remedy: str) -> Path:
    """Return the prepared folder on which a run was trained.

    Args:
      run: the run directory.
      config: content of the run's config.json.
      remedy: the end of the error message.

    Raises:
      UserError: config.json has no folder.
    """
    data = config.get("data")
    folder = data.get("dir") if isinstance(data, dict) else None
    if not isinstance(folder, str):
        raise UserError(f"{run / 'config.json'}: no data.dir; {remedy}")
    return Path(folder) if folder else run / "data"
