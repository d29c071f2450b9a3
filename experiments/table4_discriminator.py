"""Table IV, capsules or convolutions in the discriminator, with the numbers of parameters.

    python -m experiments.table4_discriminator --preset=demo              drawn faces, minutes
    python -m experiments.table4_discriminator --preset=full --data=DATA  the paper

D_CNN has two convolutional layers instead of the capsules; the enlarged D_CNN has as many parameters as D_CE (d_exp =
32) within 2%. The other rows vary the dimension d_exp of the expression capsules. The split is that of Table III.
"""

import sys
from collections.abc import Mapping, Sequence

from experiments.shared.faces import SPLIT_FACES, prepared_faces, split_fields
from experiments.shared.options import Options, parse_options, run_command
from experiments.shared.published import published_text
from experiments.shared.runs import build_config, train_seeds
from experiments.shared.scores import baseline_scores, difference_note, score_runs
from experiments.shared.tables import write_tables
from icegan_jax import config
from icegan_jax.config import build_models
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.dataset import load_pairs
from icegan_jax.training.parameters import count_discriminator, match_cnn_width

COLUMNS = (
    "discriminator",
    "parameters",
    "paper",
    "uf1",
    "uar",
    "selection",
    "floor_uf1",
    "random_uf1",
    "linear_uf1",
    "predictions",
)
DIMENSIONS = (8, 16, 32, 64, 128)
REFERENCE_DIMENSION = 32  # d_exp of the D_CE whose number of parameters the enlarged D_CNN has
CNN, ENLARGED = "D_CNN", "D_CNN enlarged"


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and write the table."""
    options, _ = parse_options(__doc__, argv)
    data = prepared_faces(options, SPLIT_FACES)
    rows, runs = [], {}
    classes = len(load_pairs(data).classes) if data else len(EXPRESSIONS)
    for name, fields in discriminators(options, classes).items():
        runs[name] = train_seeds(options, {**split_fields(options), **fields}, data)
        row = {
            "discriminator": name,
            "parameters": parameters(options, fields, classes),
            "paper": published_text("IV", name),
        }
        rows.append(row | score_runs(runs[name]) | baseline_scores(runs[name]))
    notes = (
        "paper: 48 people train and 20 are held out; how its step was selected is not stated.",
        f"{options.seeds} splits, the same people for all models of a seed; mean [95% interval over people] ± deviation"
        " over seeds.",
        *(
            difference_note(
                f"{capsule_row(REFERENCE_DIMENSION)} against {cnn}", runs[capsule_row(REFERENCE_DIMENSION)], runs[cnn]
            )
            for cnn in (CNN, ENLARGED)
        ),
    )
    write_tables(options.out / "table4_discriminator", "Table IV: capsules against convolutions", COLUMNS, rows, notes)


def capsule_row(dimension: int) -> str:
    """Return the name of the row of the capsule discriminator with this d_exp."""
    return f"D_CE, d_exp {dimension}"


def discriminators(options: Options, classes: int) -> dict[str, dict[str, object]]:
    """Return the fields of every row, by name."""
    capsules = {capsule_row(dimension): {"discriminator.expression_dimension": dimension} for dimension in DIMENSIONS}
    cnn = {"discriminator.kind": "cnn"}
    target = parameters(options, capsules[capsule_row(REFERENCE_DIMENSION)], classes)
    width = match_cnn_width(_networks(options, cnn, classes), target)
    return {CNN: cnn, ENLARGED: cnn | {"discriminator.cnn_width": width}, **capsules}


def parameters(options: Options, fields: Mapping[str, object], classes: int) -> int:
    """Return the number of trainable parameters of the discriminator with these fields."""
    return count_discriminator(_networks(options, fields, classes))


def _networks(options: Options, fields: Mapping[str, object], classes: int) -> config.Models:
    return build_models(build_config(options, 0, fields, ""), steps=1, classes=classes)


if __name__ == "__main__":
    sys.exit(run_command(main))
