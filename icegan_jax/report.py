"""Show a finished run: score table, confusion matrix, training curves, synthesis sheet, one page.

python -m icegan_jax.report RUN
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icegan_jax.errors import UserError, what_the_system_said
from icegan_jax.evaluation import metrics, table
from icegan_jax.evaluation.files import SEAL, read_json, sha256_of, unsealed, write_text
from icegan_jax.evaluation.predictions import Prediction, read_predictions
from icegan_jax.evaluation.results import ANEW, PARTIAL, read_results
from icegan_jax.reporting import confusion, curves, page, style, synthesis_sheet

EPILOG = """\
RUN is the directory that training wrote. It must be finished, that is hold config.json,
predictions.csv and results.json; curves and pictures are taken from RUN/folds/ where they exist.

what is written to RUN/report/:
  index.html      everything below on one page that needs no network: send it, open it on a phone
  scores.csv      the score table, six decimals
  confusion.png   counts and row percentages of all held-out clips
  losses.png      every logged quantity, a thin line per fold and their mean
  synthesis.png   G's faces for held-out subjects, beside onset and real apex

how to read the table:
  UF1, UAR        from counts pooled over all folds (MEGC2019), never a mean over folds
  [low, high]     95% interval when subjects are resampled; it does not cover the training seed
  floors          always negative (of other classes: always the one with most clips), and a
                  guess drawn from the class frequencies
  references      a linear classifier on raw apex pixels: a network that does not clear it may
                  have learnt a shortcut in the recordings

example:
  python -m icegan_jax.report runs/demo
"""


def write_report(run_dir: Path) -> Path:
    """Write RUN/report/ from a finished run; an older report is replaced.

    Returns:
      The page, RUN/report/index.html.

    Raises:
      UserError: the run is missing, unfinished, damaged or disagrees with itself.
    """
    _require_finished(run_dir)
    results = read_results(run_dir / "results.json")
    config = _config(run_dir / "config.json")
    classes, predictions = _predictions(run_dir / "predictions.csv", results)
    counts = metrics.confusion(
        [row.label for row in predictions], [row.prediction for row in predictions], len(classes)
    )
    if list(classes) != results["classes"] or counts.tolist() != results["overall"]["confusion"]:
        raise UserError(
            f"{run_dir}: predictions.csv ({counts.sum()} clips) and results.json "
            f"({results['num_clips']} clips) do not agree: {ANEW}"
        )

    out = run_dir / "report"
    rows = table.score_rows(results)
    table.write_scores_csv(out / "scores.csv", rows)
    pictures = (
        *_warnings(results),
        _confusion_picture(out / "confusion.png", counts, classes),
        _synthesis_picture(out / "synthesis.png", run_dir, classes),
        _losses_picture(out / "losses.png", run_dir, classes),
    )
    name = run_dir.resolve().name
    index = out / "index.html"
    write_text(index, page.render_page(name, results, config, rows, predictions, pictures))
    return index


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m icegan_jax.report",
        description="Write the report of a finished run and print its score table.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="directory of a finished run")
    run_dir = parser.parse_args(argv).run
    try:
        index = write_report(run_dir)
        results = read_results(run_dir / "results.json")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {what_the_system_said(error, str(run_dir))}, then run the same command", file=sys.stderr)
        return 2
    print(table.format_table(table.score_rows(results)))
    print(f"\nselection: {results['selection']}\nreport:    {index}")
    return 0


def _require_finished(run_dir: Path) -> None:
    if not run_dir.is_dir():
        raise UserError(f"{run_dir}: no such run directory: give the one that training wrote")
    if (run_dir / "results.json").exists():
        return
    folds = _fold_dirs(run_dir)
    if not folds and not (run_dir / "config.json").exists():
        raise UserError(f"{run_dir}: not a run directory: it has neither config.json nor folds/")
    if (run_dir / PARTIAL).is_file():
        raise UserError(f"{run_dir}: {_progress(run_dir)}; the same command that began it goes on")
    done = sum((fold / "result.json").exists() for fold in folds)
    raise UserError(
        f"{run_dir}: this run is not finished ({done} of {len(folds)} started folds are done, no "
        "results.json): start the same training command again, it continues"
    )


def _progress(run_dir: Path) -> str:
    """How many folds are finished now: some may be since the partial results were written."""
    folds = read_json(run_dir / PARTIAL).get("folds")
    if not isinstance(folds, dict) or not {"finished", "missing"} <= set(folds):
        raise UserError(f"{run_dir / PARTIAL}: the field folds is missing or damaged; remove the file")
    names = [*folds["finished"], *folds["missing"]]
    done = sum((fold / "result.json").exists() for fold in _fold_dirs(run_dir) if fold.name in names)
    return f"{done} of {len(names)} folds are finished ({PARTIAL})"


def _config(path: Path) -> dict[str, Any]:
    """What the run began with; nothing can write it anew."""
    try:
        config = read_json(path)
        return unsealed(path, config) if SEAL in config else config
    except UserError as error:
        raise UserError(f"{error}; put the file back from a copy, or train in another folder") from error


def _predictions(path: Path, results: Mapping[str, Any]) -> tuple[tuple[str, ...], list[Prediction]]:
    """The run's predictions, which must be those that its results were computed from."""
    try:
        classes, predictions = read_predictions(path)
    except UserError as error:
        raise UserError(f"{error}; {ANEW}") from error
    wanted = results.get("files", {}).get(path.name)
    if wanted is not None and sha256_of(path) != wanted:
        raise UserError(f"{path}: not what the results were computed from; {ANEW}")
    return classes, predictions


def _warnings(results: Mapping[str, Any]) -> list[page.Picture]:
    """What folds warned of, words without a picture."""
    lines = [f"{name}: {line}" for name, found in results.get("warnings", {}).items() for line in found]
    return [page.Picture("Warnings", "; ".join(lines), None)] if lines else []


def _fold_dirs(run_dir: Path) -> list[Path]:
    return sorted(path for path in (run_dir / "folds").glob("*") if path.is_dir())


def _confusion_picture(path: Path, counts: metrics.Counts, classes: Sequence[str]) -> page.Picture:
    title = f"{counts.sum()} held-out clips"
    style.save(confusion.draw_confusion(counts, title, classes), path)
    words = (
        f"Rows: the true class. UF1 {metrics.uf1(counts):.3f}, UAR {metrics.uar(counts):.3f}, "
        f"accuracy {metrics.accuracy(counts):.3f}."
    )
    return page.Picture("Confusion", words, path)


def _synthesis_picture(path: Path, run_dir: Path, classes: Sequence[str]) -> page.Picture:
    folds = _fold_dirs(run_dir)
    examples = synthesis_sheet.choose_examples(folds, len(classes))
    if not examples:
        path.unlink(missing_ok=True)
        words = "This run has no folds/*/synthesis.npz, so there are no faces to show."
        return page.Picture("Synthesis", words, None)
    style.save(synthesis_sheet.draw_sheet(examples, classes), path)
    words = (
        "Each row is a subject whose fold never saw them. From the onset, the generator draws one "
        "face per class; the frame marks the class that the real apex shows. Differences are "
        "signed, red brighter and blue darker than the onset, enlarged "
        f"{synthesis_sheet.GAIN} times. The generator is that of the last step. "
        "Rows are spread over the subjects, the wanted class turns from row to row."
    )
    return page.Picture("Synthesis", words, path, wide=True)


def _losses_picture(path: Path, run_dir: Path, classes: Sequence[str]) -> page.Picture:
    files = [fold / "metrics.jsonl" for fold in _fold_dirs(run_dir)]
    logged = [curves.read_metrics(file) for file in files if file.exists()]
    logged = [fold for fold in logged if fold]
    if not logged:
        path.unlink(missing_ok=True)
        words = "This run has no folds/*/metrics.jsonl, so there are no curves to show."
        return page.Picture("Training", words, None)
    style.save(curves.draw_losses(logged, classes), path)
    return page.Picture("Training", "A thin line per fold, and their mean.", path, wide=True)


if __name__ == "__main__":
    sys.exit(main())
