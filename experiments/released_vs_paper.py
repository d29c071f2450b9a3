"""Effect of each difference between the authors' released definitions (`configs/released.py`) and the paper.

    python -m experiments.released_vs_paper --preset=demo              drawn faces, minutes
    python -m experiments.released_vs_paper --preset=full --data=DATA  the licensed databases

The base is the preset; every row changes one difference to the value of the released definitions, the last row all.
The split by subjects is that of Table III.
"""

import sys
from collections.abc import Sequence

from experiments.shared.faces import SPLIT_FACES, prepared_faces, split_fields
from experiments.shared.options import Options, parse_options, run_command
from experiments.shared.runs import build_config, train_seeds
from experiments.shared.scores import baseline_scores, difference_note, score_runs
from experiments.shared.synthesis import l1_to_apex
from experiments.shared.tables import write_tables

COLUMNS = (
    "difference",
    "uf1",
    "uar",
    "selection",
    "l1",
    "l1_of_onset",
    "floor_uf1",
    "random_uf1",
    "linear_uf1",
    "predictions",
)
BASE, ALL = "the preset", "all of them"


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and write the table."""
    options, _ = parse_options(__doc__, argv)
    data = prepared_faces(options, SPLIT_FACES)
    runs = {
        name: train_seeds(options, {**split_fields(options), **fields}, data)
        for name, fields in difference_fields(options).items()
    }
    rows = [
        {"difference": name, **score_runs(seeds), **baseline_scores(seeds), **l1_to_apex(seeds)}
        for name, seeds in runs.items()
    ]
    notes = (
        f"{options.seeds} splits by people, the same for all rows of a seed; mean [95% interval over people] ± "
        "deviation over seeds.",
        "l1: mean absolute difference of the synthetic face and the real apex, gray levels of 255, held-out people.",
        *(difference_note(f"{name} against {BASE}", runs[name], runs[BASE]) for name in runs if name != BASE),
    )
    write_tables(options.out / "released_vs_paper", "The paper against the released definitions", COLUMNS, rows, notes)


def difference_fields(options: Options) -> dict[str, dict[str, object]]:
    """Return the changed fields of every row; widths that the preset scales stay scaled."""
    discriminator = build_config(options, 0, {}, "").discriminator
    split = {
        "discriminator.primary_types": 2 * discriminator.primary_types,
        "discriminator.primary_dimension": discriminator.primary_dimension // 2,
    }
    single: dict[str, dict[str, object]] = {
        "generator.compact_grm": {"generator.compact_grm": True},
        "generator.compact_grm, model.released_start": {"generator.compact_grm": True, "model.released_start": True},
        "model.fixed_spectral_norm": {"model.fixed_spectral_norm": True},
        "no discriminator.pointwise_activation": {"discriminator.pointwise_activation": False},
        "discriminator.exact_lengths": {"discriminator.exact_lengths": True},
        "discriminator.routing_axis input": {"discriminator.routing_axis": "input"},
        "loss.margin_power 1": {"loss.margin_power": 1},
        "primary capsules, twice as many of half the dimension": split,
        "d_adv = d_exp": {"discriminator.adversarial_dimension": discriminator.expression_dimension},
        "reconstruction 512, 1024, 5120, spectral norm": {
            "discriminator.reconstruction_hidden": (512, 1024, 5120),
            "discriminator.reconstruction_spectral": True,
        },
    }
    together = {field: value for fields in single.values() for field, value in fields.items()}
    return {BASE: {}, **single, ALL: together}


if __name__ == "__main__":
    sys.exit(run_command(main))
