"""Does synthesis help recognition, and does it help more than classical augmentation?

    python -m experiments.augmentation_against_gan --preset=demo              drawn faces, minutes
    python -m experiments.augmentation_against_gan --preset=full --data=DATA  the licensed databases

The discriminator alone, with and without mirroring, shifting and brightness; and the same beside the generator, without
and with recognition trained on the synthetic faces too. Leak-free: a fold's generator is trained with the fold, on its
training people, so that no synthetic face comes from a model that saw a held-out person.
"""

import sys
from collections.abc import Sequence

from experiments.shared.differences import difference_note
from experiments.shared.faces import SPLIT_FACES, prepared_faces, split_fields
from experiments.shared.options import parse_options, run_command
from experiments.shared.runs import train_seeds
from experiments.shared.scores import baseline_scores, score_runs
from experiments.shared.tables import write_tables

COLUMNS = ("training", "uf1", "uar", "selection", "floor_uf1", "random_uf1", "linear_uf1", "predictions")
_PLAIN = {"data.mirror": False, "data.shift": 0, "data.brightness": 0.0}
_CLASSICAL = {"data.mirror": True, "data.shift": 4, "data.brightness": 0.1}
_ALONE = {"model.generator": "none", "model.motion": False}
_BESIDE = {"loss.synthetic_recognition": 0.0}
_ON_SYNTHETIC = {"loss.synthetic_recognition": 1.0}
ROWS = {
    "D alone": _ALONE | _PLAIN,
    "D alone, classical augmentation": _ALONE | _CLASSICAL,
    "GAN, real faces recognized": _BESIDE | _PLAIN,
    "GAN, synthetic faces recognized too": _ON_SYNTHETIC | _PLAIN,
    "GAN, synthetic too, classical augmentation": _ON_SYNTHETIC | _CLASSICAL,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and writes the table."""
    options, _ = parse_options(__doc__, argv)
    data = prepared_faces(options, SPLIT_FACES)
    runs = {name: train_seeds(options, {**split_fields(options), **fields}, data) for name, fields in ROWS.items()}
    rows = [{"training": name, **score_runs(found), **baseline_scores(found)} for name, found in runs.items()]
    first, *others = runs
    notes = (
        f"{options.seeds} splits by people, the same for all rows of a seed; mean [95% interval over people] ± "
        "deviation over seeds.",
        "Classical augmentation: half of the pairs mirrored, all shifted by up to 4 pixels and made up to 10% brighter "
        "or darker, onset and apex alike.",
        *(difference_note(f"{name} against {first}", runs[name], runs[first]) for name in others),
    )
    write_tables(options.out / "augmentation_against_gan", "Does synthesis help recognition?", COLUMNS, rows, notes)


if __name__ == "__main__":
    sys.exit(run_command(main))
