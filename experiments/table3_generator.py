"""Table III, ablation of the generator: effect of each component on recognition (A to F) and on the synthetic faces.

    python -m experiments.table3_generator --preset=demo              drawn faces, minutes
    python -m experiments.table3_generator --preset=full --data=DATA  the paper: 48 people train, 20 are held out

The split by subjects differs between seeds and is the same for all models. A to F synthesize the whole face, as in the
paper; the last row is ours, F that moves the onset's pixels (generator.motion).
"""

import sys
from collections.abc import Sequence

from experiments.shared.faces import SPLIT_FACES, prepared_faces, split_fields
from experiments.shared.options import Options, parse_options, run_command
from experiments.shared.published import published_text
from experiments.shared.runs import train_seeds
from experiments.shared.scores import baseline_scores, difference_note, score_runs
from experiments.shared.synthesis import l1_to_apex
from experiments.shared.tables import write_tables

COLUMNS = (
    "model",
    "generator",
    "paper",
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
GENERATORS = {
    "A": ("none: the discriminator alone", {"generator.kind": "none"}),
    "B": ("DCGAN-like, from noise and class", {"generator.kind": "dcgan"}),
    "C": ("encoder-decoder", {"generator.kind": "encoder_decoder"}),
    "D": ("C + skips", {"generator.kind": "skips"}),
    "E": ("D + squeeze-and-excitation", {"generator.kind": "se"}),
    "F": ("D + graph reasoning (GRM)", {"generator.kind": "grm"}),
}
OURS = "F, motion"


def fields_of(options: Options, model: str) -> dict[str, object]:
    """Return the fields of a model of the table, ``A`` to ``F`` or ``F, motion``."""
    return {**split_fields(options), **GENERATORS[model[0]][1], "generator.motion": model == OURS}


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and write the table."""
    options, _ = parse_options(__doc__, argv)
    data = prepared_faces(options, SPLIT_FACES)
    rows, runs = [], {}
    for model in (*GENERATORS, OURS):
        runs[model] = train_seeds(options, fields_of(options, model), data)
        description = GENERATORS[model[0]][0] + (", moves the onset's pixels" if model == OURS else "")
        row = {
            "model": model,
            "generator": description,
            "paper": published_text("III", model),
            **score_runs(runs[model]),
            **baseline_scores(runs[model]),
        }
        rows.append(row | ({} if model == "A" else l1_to_apex(runs[model])))
    notes = (
        "paper: 48 people train and 20 are held out; how its step was selected is not stated.",
        f"{options.seeds} splits, the same people for all models of a seed; mean [95% interval over people] ± deviation"
        " over seeds.",
        "l1: mean absolute difference of the synthetic face and the real apex, gray levels of 255, held-out people; "
        "l1 of onset: of a copy of the onset.",
        *(
            difference_note(f"{better} against {worse}", runs[better], runs[worse])
            for better, worse in (("D", "C"), ("F", "D"), ("F", "A"), (OURS, "A"))
        ),
    )
    write_tables(options.out / "table3_generator", "Table III: ablation of the generator", COLUMNS, rows, notes)


if __name__ == "__main__":
    sys.exit(run_command(main))
