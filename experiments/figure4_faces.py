"""Figure 4: real and synthetic faces of held-out subjects by the models B, C and F of Table III, side by side.

    python -m experiments.figure4_faces --preset=demo              drawn faces
    python -m experiments.figure4_faces --preset=full --data=DATA  the licensed databases

The runs are those of Table III. Writes OUT/figure4_faces/ with figure4.png (subjects selected by a rule, every class),
extremes.png (the two best and the two worst faces of each model) and the table of L1 and SSIM to the real apex.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.shared.face_sheets import Extreme, draw_extremes, draw_models
from experiments.shared.faces import SPLIT_FACES, prepared_faces
from experiments.shared.options import parse_options, run_command
from experiments.shared.runs import train_seeds
from experiments.shared.synthesis import mean_cells, save_picture
from experiments.shared.tables import write_tables
from experiments.table3_generator import GENERATORS, OURS, fields_of
from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces, read_faces
from icegan_jax.evaluation.synthesis.measures import ssim
from icegan_jax.reporting.report_figures import choose_clips

MODELS = ("B", "C", "F", OURS)  # B, C and F: the paper's Figure 4
COPY = "copy of the onset"
_DESCRIPTIONS = {model: GENERATORS[model][0] for model in MODELS[:-1]} | {OURS: "moves the onset's pixels"}
COLUMNS = ("model", "generator", "l1", "ssim", "l1_of_wrong_class", "clips", "people")
_ROWS = 6  # subjects in the figure
_EXTREMES = 2  # number of best and of worst faces


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs, and write the table and the figures."""
    options, _ = parse_options(__doc__, argv)
    data = prepared_faces(options, SPLIT_FACES)
    runs = {model: train_seeds(options, fields_of(options, model), data) for model in MODELS}
    faces = {model: [read_faces(run) for run in runs[model]] for model in MODELS}
    for seed in range(options.seeds):
        check_same_clips({runs[model][seed]: faces[model][seed] for model in MODELS})
    classes, _ = read_predictions(runs[MODELS[0]][0] / "predictions.csv")
    rows = choose_clips(faces[MODELS[0]][0], _ROWS)
    first = {model: faces[model][0] for model in MODELS}

    out = options.out / "figure4_faces"
    write_tables(out, "Figure 4: synthetic faces and the real apex", COLUMNS, table_rows(faces), _notes(options.seeds))
    save_picture(draw_models(first, rows, classes), out / "figure4.png")
    best_and_worst = {model: extremes(faces[model], _EXTREMES) for model in MODELS}
    save_picture(draw_extremes(best_and_worst, classes), out / "extremes.png")
    print(f"pictures: {out / 'figure4.png'}, {out / 'extremes.png'}")


def check_same_clips(faces: Mapping[Path, SynthesizedFaces]) -> None:
    """Check that all runs held out the same clips in the same order.

    Raises:
      UserError: a run held out other clips.
    """
    first, *others = faces
    for run in others:
        mine, theirs = faces[run], faces[first]
        if (mine.subject, mine.clip) != (theirs.subject, theirs.clip) or not np.array_equal(mine.onset, theirs.onset):
            raise UserError(f"{run}: held out other clips than {first}; remove both and train them on the same data")


def table_rows(faces: Mapping[str, Sequence[SynthesizedFaces]]) -> list[dict[str, object]]:
    """Return a row per model, and a row in which the onset replaces every synthetic face."""
    rows = []
    for model, runs in faces.items():
        rows.append({"model": model, "generator": _DESCRIPTIONS[model], **_row(runs)})
    runs = next(iter(faces.values()))
    copies = [run._replace(synthetic=np.repeat(run.onset[:, None], run.synthetic.shape[1], 1)) for run in runs]
    return [*rows, {"model": COPY, "generator": "", **_row(copies)}]


def _row(runs: Sequence[SynthesizedFaces]) -> dict[str, object]:
    l1, like, wrong, people, seeds = [], [], [], [], []
    for seed, run in enumerate(runs):
        for row, apex in enumerate(run.apex):
            off = np.abs(run.synthetic[row].astype(float) - apex).mean((1, 2))
            label = int(run.label[row])
            l1.append(float(off[label]))
            wrong.append(float(np.delete(off, label).mean()) if len(off) > 1 else float("nan"))
            like.append(ssim(apex, run.synthetic[row, label]))
            people.append(run.subject[row])
            seeds.append(seed)
    means = {"l1": l1, "ssim": like, "l1_of_wrong_class": wrong}
    cells = {
        key: cell for name, values in means.items() for key, cell in mean_cells(name, values, people, seeds).items()
    }
    return cells | {"clips": len(l1), "people": len(set(people))}


def extremes(runs: Sequence[SynthesizedFaces], count: int) -> list[Extreme]:
    """Return the synthetic faces of the apex's class with the largest and the smallest SSIM to the real apex.

    A clip that was held out with several seeds occurs at most once among the best and once among the worst faces.

    Args:
      runs: the faces of one model, a run per seed.
      count: number of best and of worst faces.

    Returns:
      The best faces, best first, then the worst faces, worst last.
    """
    scored = []
    for seed, run in enumerate(runs):
        for row, apex in enumerate(run.apex):
            face = run.synthetic[row, run.label[row]]
            name, onset = "/".join((*run.subject[row], run.clip[row])), run.onset[row]
            likeness = ssim(apex, face), ssim(apex, onset)
            scored.append(Extreme(*likeness, name, seed, int(run.label[row]), onset, face, apex))
    scored.sort(key=lambda entry: (-entry.ssim, entry.name, entry.seed))
    best = _distinct(scored, count)
    worst = _distinct([entry for entry in reversed(scored) if all(entry is not other for other in best)], count)
    return [*best, *reversed(worst)]


def _distinct(scored: Sequence[Extreme], count: int) -> list[Extreme]:
    """Return the first ``count`` entries of different clips."""
    first: dict[str, Extreme] = {}
    for entry in scored:
        first.setdefault(entry.name, entry)
    return list(first.values())[:count]


def _notes(seeds: int) -> list[str]:
    return [
        f"{seeds} splits by people, the same for all models of a seed; mean [95% interval over people] ± deviation "
        "over seeds, held-out people.",
        "l1: mean absolute difference to the real apex in gray levels of 255, synthesis of the apex's own class; "
        "ssim: structural similarity to it (Wang et al. 2004).",
        f"{COPY}: the neutral face as it is, with no synthesis at all: a micro-expression changes little, and only a "
        "model above this row draws the person's expression better than nothing.",
        "l1 of wrong class: of the synthetic faces of the other classes; equal to l1 where the class has no effect.",
    ]


if __name__ == "__main__":
    sys.exit(run_command(main))
