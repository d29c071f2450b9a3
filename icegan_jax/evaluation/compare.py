"""Two recognisers on the same clips: whose score is higher, and does the difference show anything?

python -m icegan_jax.evaluation.compare OURS THEIRS
"""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from icegan_jax.data.names import cell, check_classes
from icegan_jax.errors import UserError, what_the_system_said
from icegan_jax.evaluation import bootstrap, metrics
from icegan_jax.evaluation.answers import Answers, classes_of, read_answers, to_numbers
from icegan_jax.evaluation.files import write_text
from icegan_jax.evaluation.mcnemar import mcnemar
from icegan_jax.evaluation.pairing import Pairing, pair
from icegan_jax.evaluation.table import format_score

EPILOG = """\
OURS and THEIRS are each a run directory, a predictions.csv, another CSV with the columns subject,
label and prediction (dataset and clip where there are some; names such as database, filename, gt
and pred are known too), the log that MEGC2019 asked for ("casme2 sub01", then "EP02_01f 1 1" for
each clip), or a text log that has for each subject a line "Subject: NAME" and lists
"predicted ... [0, 2]" and "ground truth ... [0, 1]"; of several lists the last counts. Classes are
words, numbers from 0 that --classes names, or without --classes numbers from 1. Clips are matched by
dataset, subject and clip name; where a file names no clips, by their order within a subject's class.
Then McNemar's counts and the list of clips depend on that order; the scores and their intervals do
not.

how to read it:
  [low, high]   95% interval when subjects are resampled
  difference    OURS less THEIRS, the same subjects drawn for both. An interval that holds 0 does
                not show that the two differ. It does not cover the training seed, and it says
                nothing where one of them chose its epoch by its test clips
                (python -m icegan_jax.evaluation.inflation).
  McNemar       of the clips of which only one is right: are they shared out like coin throws?
                p exact, mid-p less conservative. It takes clips as independent, which those of
                one subject are not: where it and the interval disagree, trust the interval.

example:
  python -m icegan_jax.evaluation.compare runs/loso_pair runs/loso --out=runs/comparison
"""
ROWS = ("OURS", "THEIRS", "difference")
COLUMNS = (
    "dataset",
    "who",
    *(f"{score}{end}" for score in ("uf1", "uar", "accuracy") for end in ("", "_low", "_high")),
)

Numbers = npt.NDArray[np.int64]
Cell = tuple[float, tuple[float, float] | None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m icegan_jax.evaluation.compare",
        description="Compare two recognisers on the same clips.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("ours", metavar="OURS", type=Path, help="run directory, CSV or log")
    parser.add_argument("theirs", metavar="THEIRS", type=Path, help="likewise")
    parser.add_argument("--classes", help="names of the classes in label order: negative,positive,surprise")
    parser.add_argument("--common", action="store_true", help="leave out clips that only one of them has")
    parser.add_argument("--out", type=Path, help="folder for comparison.csv and differing_clips.csv")
    options = parser.parse_args(argv)
    try:
        print(compare(options.ours, options.theirs, options.classes, options.common, options.out), end="")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {what_the_system_said(error, '--out')}, or give another --out", file=sys.stderr)
        return 2
    return 0


def compare(first: Path, second: Path, names: str | None, common: bool, out: Path | None) -> str:
    """Read, match and score two files; writes two CSV files where `out` names a folder.

    Args:
      first: OURS.
      second: THEIRS.
      names: of the classes in label order, commas between them.
      common: leave out clips that only one has.
      out: a folder, or None.

    Returns:
      The text for the terminal.

    Raises:
      UserError: a file is damaged or holds no predictions, or their clips or true classes differ.
    """
    files = [read_answers(path) for path in (first, second)]
    classes = classes_of(files, check_classes(names.split(",")) if names else None)
    labels = [to_numbers(file.path, file.label, classes) for file in files]
    answers = [_predicted(file, classes) for file in files]
    matched = pair(files[0], files[1], labels[0], labels[1], common)
    truth, ours, theirs = labels[0][matched.first], answers[0][matched.first], answers[1][matched.second]
    _require_one_truth(files, labels, matched, classes)
    named, place = (files[0], matched.first) if files[0].dataset else (files[1], matched.second)
    people = [named.people[at] for at in place]

    parts = {"all": np.arange(len(truth))}
    datasets = sorted({dataset for dataset, _ in people})
    if len(datasets) > 1:
        parts |= {name: np.array([i for i, (owner, _) in enumerate(people) if owner == name]) for name in datasets}
    table = {
        name: _score(truth[part], ours[part], theirs[part], [people[at] for at in part], len(classes))
        for name, part in parts.items()
    }
    lines = [f"OURS    {files[0].path}", f"THEIRS  {files[1].path}", f"classes {', '.join(classes)}"]
    lines += _remarks(matched)
    for name, part in parts.items():
        test = mcnemar(truth[part], ours[part], theirs[part])
        lines += ["", f"{name}: {len(part)} clips of {len({people[at] for at in part})} subjects"]
        lines += [f"{'':14}{'UF1   [95% interval]':26}{'UAR   [95% interval]':26}accuracy"]
        for row, cells in zip(ROWS, table[name], strict=True):
            lines.append(f"  {row:12}" + "".join(f"{format_score(*cell):26}" for cell in cells).rstrip())
        lines.append(
            f"  McNemar: only OURS right b = {test.only_first}, only THEIRS right c = {test.only_second}, "
            f"exact p {_chance(test.p)}, mid-p {_chance(test.mid_p)}"
        )
    lines += ["", f"the two answer {int(np.sum(ours != theirs))} of {len(truth)} clips differently"]
    if out is not None:
        write_text(out / "comparison.csv", _csv(table))
        clips = [""] * len(truth)
        for file, at in zip(files, (matched.first, matched.second), strict=True):
            clips = [file.clip[i] for i in at] if file.clip and not any(clips) else clips
        write_text(out / "differing_clips.csv", _differing(people, clips, truth, ours, theirs, classes))
    return "\n".join(lines) + "\n"


def _predicted(file: Answers, classes: Sequence[str]) -> Numbers:
    if file.prediction is None:
        raise UserError(f"{file.path}: no column of predictions: name it prediction in the first line")
    return to_numbers(file.path, file.prediction, classes)


def _require_one_truth(
    files: Sequence[Answers], labels: Sequence[Numbers], matched: Pairing, classes: Sequence[str]
) -> None:
    for mine, other in zip(matched.first, matched.second, strict=True):
        if labels[0][mine] != labels[1][other]:
            name = " ".join([files[0].subject[mine], *(files[0].clip or [])[mine : mine + 1]])
            raise UserError(
                f"{files[1].path}: the clip {name} is {classes[labels[1][other]]}, but {classes[labels[0][mine]]} in "
                f"{files[0].path}: compare files of one annotation, or give --classes in the order of the numbers"
            )


def _score(
    truth: Numbers, ours: Numbers, theirs: Numbers, people: list[tuple[str, str]], size: int
) -> list[list[Cell]]:
    """The three scores with their intervals: of OURS, of THEIRS, and the difference."""
    scores = [metrics.score_all(metrics.confusion(truth, answers, size)) for answers in (ours, theirs)]
    drawn = [bootstrap.subject_bootstrap(truth, answers, people, num_classes=size) for answers in (ours, theirs)]
    drawn.append(bootstrap.paired_differences(truth, ours, theirs, people, num_classes=size))
    rows = []
    for values, found in zip((*scores, scores[0] - scores[1]), drawn, strict=True):
        intervals = (None,) * 3 if found is None else (found.uf1, found.uar, found.accuracy)
        rows.append([(float(value), interval) for value, interval in zip(values, intervals, strict=True)])
    return rows


def _remarks(matched: Pairing) -> list[str]:
    lines = []
    if any(matched.left_out):
        lines.append(f"left out: {matched.left_out[0]} clips that only OURS has, {matched.left_out[1]} of THEIRS")
    if matched.by_order:
        lines.append("clips are not named: matched by their order within a subject's class; b and c depend on it")
    return lines


def _chance(p: float) -> str:
    return f"= {p:.4f}" if p >= 0.0001 else "< 0.0001"


def _csv(table: dict[str, list[list[Cell]]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, rows in table.items():
        for row, cells in zip(ROWS, rows, strict=True):
            numbers = [number for value, interval in cells for number in (value, *(interval or (None, None)))]
            writer.writerow((cell(name), row, *("" if number is None else f"{number:.6f}" for number in numbers)))
    return text.getvalue()


def _differing(
    people: list[tuple[str, str]],
    clips: list[str],
    truth: Numbers,
    ours: Numbers,
    theirs: Numbers,
    classes: Sequence[str],
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("dataset", "subject", "clip", "label", "ours", "theirs"))
    for at in np.flatnonzero(ours != theirs):
        words = (classes[labels[at]] for labels in (truth, ours, theirs))
        writer.writerow(map(cell, (*people[at], clips[at], *words)))
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
