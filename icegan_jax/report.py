"""Write the report of a finished run: scores, confusion matrices, training curves and synthetic faces on one page.

python -m icegan_jax.report --workdir=RUN
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from icegan_jax.cli import ArgumentParser, run_command
from icegan_jax.evaluation import score_table
from icegan_jax.evaluation.results import read_results
from icegan_jax.io import write_bytes, write_text
from icegan_jax.reporting.render import encode_picture
from icegan_jax.reporting.report_figures import draw_report_figures
from icegan_jax.reporting.report_page import render_report
from icegan_jax.reporting.run_files import read_run
from icegan_jax.reporting.style import on_white
from icegan_jax.run_dir import REPORT_DIR, REPORT_WITHOUT_FACES_DIR, RESULTS_FILE

_CHECKOUT = Path(__file__).parents[1]
_DOCS = _CHECKOUT / "docs/read-the-report.md"  # which an installed package lacks

EPILOG = """\
RUN is the directory that training wrote. It must be finished, that is hold config.json,
predictions.csv and results.json; curves and pictures are taken from RUN/folds/ where they exist.
Of a run that trained on everybody (protocol=all) there is no score and no predictions.csv: the
page says so, and shows the rest.

what is written to RUN/report/:
  index.html      everything below on one page that needs no network: send it, open it on a phone
  scores.csv      the score table, six decimals
  confusion.png   counts and row percentages of all held-out clips
  losses.png      the logged quantities that change, a thin line per fold and their mean
  synthesis.png   G's faces for held-out subjects, beside onset and real apex

with --no_faces, to RUN/report_no_faces/: the same without every picture of a face (no
synthesis.png, no worst clips, no maps of where faces move: averaged over a few people they still
show whose glasses they are) and without the folder of the data. For licensed databases, whose
faces must not be shared; names of subjects and clips stay.

how to read the table:
  UF1, UAR        from counts pooled over all folds (MEGC2019), never a mean over folds
  [low, high]     95% interval when subjects are resampled; it does not cover the training seed
  floors          always negative (of other classes: always the one with most clips), and a
                  guess drawn from the class frequencies
  references      a linear classifier on raw apex pixels (a network that does not exceed it may
                  have learned a shortcut in the recordings), and linear support vector machines
                  on the change from onset to apex: HOG features, and optical flow

example:
  python -m icegan_jax.report --workdir=runs/demo
  python -m icegan_jax.report --workdir=runs/casme2 --no_faces
"""


def write_report(run_dir: Path, *, no_faces: bool = False) -> Path:
    """Write RUN/report/ of a finished run, in place of an older report, after all files are read and all figures drawn.

    Args:
      run_dir: the run directory.
      no_faces: write RUN/report_no_faces/ instead, without any face; no face is read.

    Returns:
      Path of the page, index.html in that folder.

    Raises:
      UserError: the run is missing, unfinished or damaged, or its files do not belong together.
      OSError: a file cannot be written.
    """
    run = read_run(run_dir, faces=not no_faces)
    figures = draw_report_figures(run)
    out = run_dir / (REPORT_WITHOUT_FACES_DIR if no_faces else REPORT_DIR)
    docs = "" if no_faces else _docs_address(out)
    html = render_report(run, figures, no_faces=no_faces, docs=docs)
    (out / "scores.csv").unlink(missing_ok=True)
    if run.scored:
        score_table.write_scores_csv(out / "scores.csv", score_table.score_rows(run.results))
    files = {
        "confusion.png": None if figures.confusion is None else on_white(figures.confusion),
        "losses.png": None if figures.curves is None else on_white(figures.curves.whole),
        "synthesis.png": figures.synthesis,
    }
    for name, picture in files.items():
        if picture is None:
            (out / name).unlink(missing_ok=True)
        else:
            write_bytes(out / name, encode_picture(picture, "PNG"))
    write_text(out / "index.html", html)
    return out / "index.html"


def _docs_address(out: Path) -> str:
    """Return the relative address of the documentation from a folder of the same checkout; else an empty text.

    The address from elsewhere would name folders of this machine, and be wrong on another one.
    """
    if not _DOCS.exists() or not out.resolve().is_relative_to(_CHECKOUT):
        return ""
    return os.path.relpath(_DOCS, out.resolve())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    parser = ArgumentParser(
        prog="python -m icegan_jax.report",
        description="Write the report of a finished run and print its score table.",
        epilog=EPILOG,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("run", metavar="RUN", nargs="?", type=Path, help="directory of a finished run")
    which.add_argument("--workdir", metavar="RUN", type=Path, help="the same, as the other commands call it")
    parser.add_argument("--no_faces", action="store_true", help="leave out every recognizable face, to share the page")
    args = parser.parse_args(argv)
    return run_command(lambda: _run(args.run or args.workdir, no_faces=args.no_faces))


def _run(run_dir: Path, *, no_faces: bool) -> None:
    index = write_report(run_dir, no_faces=no_faces)
    results = read_results(run_dir / RESULTS_FILE)
    if results.get("scored", True):
        print(f"{score_table.format_table(score_table.score_rows(results))}\n")
    else:
        print("trained on everybody: no score exists\n")
    print(f"selection: {results['selection']}\nreport:    {index}")


if __name__ == "__main__":
    sys.exit(main())
