"""Effect of synthesis on recognition, compared with classical augmentation.

    python -m experiments.augmentation_against_gan --preset=demo              drawn faces, minutes
    python -m experiments.augmentation_against_gan --preset=full --data=DATA  the licensed databases

Trains the discriminator alone, with and without mirroring, shifting and brightness, and together with the generator,
without and with recognition trained on synthetic faces. There is no leakage: the generator of a fold is trained on the
training subjects of the fold, so that no synthetic face comes from a model that was trained on a held-out subject.
"""

import sys
from collections.abc import Sequence

from experiments.shared.faces import SPLIT_FACES, prepared_faces, split_fields
from experiments.shared.options import parse_options, run_command
from experiments.shared.runs import train_seeds
from experiments.shared.scores import baseline_scores, difference_note, score_runs
from experiments.shared.tables import write_tables

COLUMNS = ("training", "uf1", "uar", "selection", "floor_uf1", "random_uf1", "linear_uf1", "predictions")
_NO_AUGMENTATION = {"augmentation.mirror": False, "augmentation.shift": 0, "augmentation.brightness": 0.0}
_CLASSICAL = {"augmentation.mirror": True, "augmentation.shift": 4, "augmentation.brightness": 0.1}
_ALONE = {"generator.kind": "none", "generator.motion": False}
_REAL_ONLY = {"loss.synthetic_recognition": 0.0}
_ON_SYNTHETIC = {"loss.synthetic_recognition": 1.0}
ROWS = {
    "D alone": _ALONE | _NO_AUGMENTATION,
    "D alone, classical augmentation": _ALONE | _CLASSICAL,
    "GAN, real faces recognized": _REAL_ONLY | _NO_AUGMENTATION,
    "GAN, synthetic faces recognized too": _ON_SYNTHETIC | _NO_AUGMENTATION,
    "GAN, synthetic too, classical augmentation": _ON_SYNTHETIC | _CLASSICAL,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and write the table."""
    options, _ = parse_options(__doc__, argv)
    data = prepared_faces(options, SPLIT_FACES)
    runs = {name: train_seeds(options, {**split_fields(options), **fields}, data) for name, fields in ROWS.items()}
    rows = [{"training": name, **score_runs(seeds), **baseline_scores(seeds)} for name, seeds in runs.items()]
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
