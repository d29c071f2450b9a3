"""The faces that an experiment runs on: the user's, or drawn ones, kept for all experiments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from experiments.shared.options import Options
from experiments.shared.presets import PRESETS
from icegan_jax.data.dataset import SUMMARY_FILE
from icegan_jax.data.ingest.build import prepare_procedural
from icegan_jax.errors import UserError

_SEED = 0  # of the drawing; the runs' seeds change the training, not the faces
_FRAMES = 15  # of a clip, as in configs/demo.py


class DrawnFaces(NamedTuple):
    """Which faces are drawn where no data are named.

    Attributes:
      people: how many.
      clips_per_class: of each person.
      databases: to how many databases the people are dealt out.
    """

    people: int
    clips_per_class: int
    databases: int


LOSO_FACES = DrawnFaces(people=8, clips_per_class=2, databases=2)  # each person in turn; people as in configs/demo.py
SYNTHESIS_FACES = DrawnFaces(people=17, clips_per_class=2, databases=1)
SPLIT_FACES = DrawnFaces(
    people=17, clips_per_class=1, databases=1
)  # a quarter of the 68 people of the paper's Table III


def prepared_faces(options: Options, drawn: DrawnFaces) -> str:
    """The prepared folder; drawn faces are made once per OUT. Empty: the configuration's own."""
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
    """The fields of a run on a split by people: the paper's 20 of 68, but of the drawn people 11 of 17.

    With 12 drawn people to train on every model of Table III recognized all held-out clips (UF1 1.000 after 60 steps),
    so that nothing could be told apart.
    """
    preset = PRESETS[options.preset]
    share = {"split_share": 11 / 17} if preset.drawn and not options.data else {}
    return {"protocol": "split", **share, **preset.split}


def run_data_dir(run: Path, config: Mapping[str, Any], remedy: str) -> Path:
    """The prepared folder that a run was trained on.

    Args:
      run: its directory.
      config: its config.json.
      remedy: what to do where that names no folder.

    Raises:
      UserError: it names none.
    """
    data = config.get("data")
    folder = data.get("dir") if isinstance(data, dict) else None
    if not isinstance(folder, str):
        raise UserError(f"{run / 'config.json'}: no data.dir; {remedy}")
    return Path(folder) if folder else run / "data"
