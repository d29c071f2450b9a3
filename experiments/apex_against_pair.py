"""Does the neutral face help recognition? The same LOSO run with the apex alone and with the pair, over seeds.

    python -m experiments.apex_against_pair --data=DATA --out=runs/apex_against_pair [--seeds=3] [-- --config.X=Y]

Trains `configs/demo.py` on prepared faces once per input and seed (minutes each on two CPU cores), and writes
OUT/scores.csv and OUT/scores.md: a row per run, then mean and standard deviation per input. Selection: last step.
"""

import argparse
import csv
import io
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from icegan_jax.evaluation.files import write_text
from icegan_jax.evaluation.results import read_results

INPUTS = ("apex", "pair")
COLUMNS = ("input", "seed", "uf1", "uar", "clips")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what is not finished, and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a folder that prepare wrote")
    parser.add_argument("--out", required=True, type=Path, help="folder of the runs and tables")
    parser.add_argument("--seeds", type=int, default=3, help="runs per input (default: 3)")
    parser.add_argument("overrides", nargs="*", help="further options of icegan_jax.main, after --")
    args = parser.parse_args(argv)
    rows = []
    for kind in INPUTS:
        for seed in range(args.seeds):
            workdir = args.out / f"{kind}_{seed}"
            code = _train(args.data, workdir, kind, seed, args.overrides)
            if code:
                return code
            results = read_results(workdir / "results.json")
            overall = results["overall"]
            rows.append((kind, seed, overall["uf1"], overall["uar"], results["num_clips"]))
    table = [*rows, *_summary(rows)]
    write_text(args.out / "scores.csv", _csv(table))
    write_text(args.out / "scores.md", _markdown(table))
    print(_markdown(table))
    return 0


def _train(data: str, workdir: Path, kind: str, seed: int, overrides: Sequence[str]) -> int:
    fields = (f"data.dir={data}", f"model.recognition_input={kind}", f"seed={seed}")
    command = [sys.executable, "-m", "icegan_jax.main", "--config=configs/demo.py", f"--workdir={workdir}"]
    return subprocess.run([*command, *(f"--config.{field}" for field in fields), *overrides]).returncode


def _summary(rows: Sequence[tuple[str, int, float, float, int]]) -> list[tuple[str, str, float, float, int]]:
    """Mean and, of several seeds, standard deviation per input."""
    lines = []
    for kind in INPUTS:
        mine = [row for row in rows if row[0] == kind]
        uf1, uar = [row[2] for row in mine], [row[3] for row in mine]
        lines.append((kind, "mean", statistics.mean(uf1), statistics.mean(uar), mine[0][4]))
        if len(mine) > 1:
            lines.append((kind, "sd", statistics.stdev(uf1), statistics.stdev(uar), mine[0][4]))
    return lines


def _csv(table: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *table])
    return text.getvalue()


def _markdown(table: Sequence[Sequence[object]]) -> str:
    cells = [[f"{value:.3f}" if isinstance(value, float) else str(value) for value in row] for row in table]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(COLUMNS), ["---"] * len(COLUMNS), *cells]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
