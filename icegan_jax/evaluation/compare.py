"""McNemar's test: do two recognizers differ, by the clips of which only one is right?

Which clip of one file is which clip of another.

Two recognizers on the same clips: whose score is higher, and does the difference show anything?

python -m icegan_jax.evaluation.compare OURS THEIRS
"""

import argparse
import csv
import io
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, binomtest

from icegan_jax.data.names import check_classes, spreadsheet_cell
from icegan_jax.errors import UserError, describe_os_error
from icegan_jax.evaluation import bootstrap, metrics
from icegan_jax.evaluation.published_predictions import (
    PublishedPredictions,
    classes_of,
    read_published_predictions,
    to_numbers,
)
from icegan_jax.evaluation.score_table import format_score
from icegan_jax.io import write_text


@dataclass(frozen=True)
class McNemar:
    """The exact test (McNemar 1947) and its mid-p variant (Fagerland, Lydersen, Laake 2013).

    Attributes:
      only_first: clips of which the first alone is right (b).
      only_second: clips of which the second alone is right (c).
      p: two-sided, from the binomial distribution of b among b + c; 1 where both are 0.
      mid_p: p less the probability of exactly this b: less conservative.
    """

    only_first: int
    only_second: int
    p: float
    mid_p: float


def mcnemar(
    labels: npt.NDArray[np.integer], first: npt.NDArray[np.integer], second: npt.NDArray[np.integer]
) -> McNemar:
    """Test whether the two are right equally often; each int[n], clip for clip.

    Clips count as independent, which those of one subject are not: beside it belongs the paired
    subject bootstrap (`bootstrap.paired_differences`).
    """
    only_first = int(np.sum((first == labels) & (second != labels)))
    only_second = int(np.sum((first != labels) & (second == labels)))
    total = only_first + only_second
    if not total:
        return McNemar(0, 0, 1.0, 1.0)
    p = float(binomtest(only_first, total).pvalue)
    less = min(only_first, only_second)
    mid_p = 2 * binom.cdf(less, total, 0.5) - binom.pmf(less, total, 0.5)
    return McNemar(only_first, only_second, p, float(min(mid_p, 1.0)))


Key = tuple[str, ...]

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MatchedClips:
    """The clips that both files hold, m of them.

    Attributes:
      first: int64[m], their places in the first file, in its order.
      second: int64[m], their places in the second.
      left_out: how many clips of the first and of the second have no partner.
      by_order: whether clips were matched by order within subject and class, for want of names.
    """

    first: Numbers
    second: Numbers
    left_out: tuple[int, int]
    by_order: bool


def match_clips(
    first: PublishedPredictions, second: PublishedPredictions, first_label: Numbers, second_label: Numbers, common: bool
) -> MatchedClips:
    """Match clips by dataset (where both name it), subject and clip name.

    Where a file names no clips, they are matched by their order within (subject, class); with
    `common` a subject's class whose counts differ is then left out altogether.

    Args:
      first: the one file.
      second: the other.
      first_label: int64[n], true classes of the first.
      second_label: int64[k], of the second.
      common: leave out clips that only one file has, rather than refuse.

    Raises:
      UserError: without datasets two clips cannot be told apart, a clip is there twice, the files
        hold different clips and `common` is false, or no clip is in both.
    """
    with_dataset = first.dataset is not None and second.dataset is not None
    by_order = first.clip is None or second.clip is None
    places = []
    for answers, labels in ((first, first_label), (second, second_label)):
        if not with_dataset:
            _require_one_dataset(answers, by_order)
        keys = _keys(answers, labels, with_dataset, by_order)
        found: dict[Key, list[int]] = defaultdict(list)
        for place, key in enumerate(keys):
            found[key].append(place)
        twice = next((key for key, at in found.items() if len(at) > 1 and not by_order), None)
        if twice:
            raise UserError(f"{answers.path}: two lines of the clip {' '.join(twice)}: keep one")
        places.append(found)
    ours, theirs = places
    both = [key for key in ours if len(ours[key]) == len(theirs.get(key, ()))]
    matched = sorted(pair_ for key in both for pair_ in zip(ours[key], theirs[key], strict=True))
    left_out = (len(first.subject) - len(matched), len(second.subject) - len(matched))
    if not matched:
        raise UserError(
            f"{second.path}: no clip of {first.path} is in it (there {_example(ours, by_order)}, here "
            f"{_example(theirs, by_order)}): name datasets, subjects and clips alike"
        )
    if any(left_out) and not common:
        odd = next(key for key in [*ours, *theirs] if len(ours.get(key, ())) != len(theirs.get(key, ())))
        raise UserError(
            f"{second.path}: {left_out[0]} clips are only in {first.path} and {left_out[1]} only here, such as "
            f"{_spoken(odd, by_order)}: give --common to compare the {len(matched)} that both hold"
        )
    mine, other = np.array(matched, np.int64).T
    return MatchedClips(mine, other, left_out, by_order)


def _keys(answers: PublishedPredictions, labels: Numbers, with_dataset: bool, by_order: bool) -> list[Key]:
    names = [str(label) for label in labels] if by_order else answers.clip or []
    keys: list[Key] = list(zip(answers.subject, names, strict=True))
    if with_dataset:
        return [(dataset.casefold(), *key) for dataset, key in zip(answers.dataset or [], keys, strict=True)]
    return keys


def _require_one_dataset(answers: PublishedPredictions, by_order: bool) -> None:
    """Refuse a subject (or a subject's clip) that two datasets share, where the other file names none."""
    if answers.dataset is None:
        return
    names = [""] * len(answers.subject) if by_order or answers.clip is None else answers.clip
    owners = Counter(
        (subject, name) for _, subject, name in set(zip(answers.dataset, answers.subject, names, strict=True))
    )
    shared = next((key for key, number in owners.items() if number > 1), None)
    if shared:
        raise UserError(
            f"{answers.path}: {' '.join(shared).strip()} is in two datasets, and the other file names no dataset: "
            "add a column dataset to it"
        )


def _example(found: dict[Key, list[int]], by_order: bool) -> str:
    return repr(_spoken(next(iter(found)), by_order))


def _spoken(key: Key, by_order: bool) -> str:
    return " ".join(key[:-1]) + f" (class {key[-1]})" if by_order else " ".join(key)


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
                (python -m experiments.guessing_study).
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

Cell = tuple[float, tuple[float, float] | None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m icegan_jax.evaluation.compare",
        description="Compare two recognizers on the same clips.",
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
        print(compare_predictions(options.ours, options.theirs, options.classes, options.common, options.out), end="")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {describe_os_error(error, '--out')}, or give another --out", file=sys.stderr)
        return 2
    return 0


def compare_predictions(first: Path, second: Path, names: str | None, common: bool, out: Path | None) -> str:
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
    files = [read_published_predictions(path) for path in (first, second)]
    classes = classes_of(files, check_classes(names.split(",")) if names else None)
    labels = [to_numbers(file.path, file.label, classes) for file in files]
    answers = [_predicted(file, classes) for file in files]
    matched = match_clips(files[0], files[1], labels[0], labels[1], common)
    truth, ours, theirs = labels[0][matched.first], answers[0][matched.first], answers[1][matched.second]
    _require_one_truth(files, labels, matched, classes)
    named, place = (files[0], matched.first) if files[0].dataset else (files[1], matched.second)
    people = [named.people[at] for at in place]

    parts = {"all": np.arange(len(truth))}
    datasets = sorted({dataset for dataset, _ in people})
    if len(datasets) > 1:
        parts |= {name: np.array([i for i, (owner, _) in enumerate(people) if owner == name]) for name in datasets}
    table = {
        name: _compare_scores(truth[part], ours[part], theirs[part], [people[at] for at in part], len(classes))
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


def _predicted(file: PublishedPredictions, classes: Sequence[str]) -> Numbers:
    if file.prediction is None:
        raise UserError(f"{file.path}: no column of predictions: name it prediction in the first line")
    return to_numbers(file.path, file.prediction, classes)


def _require_one_truth(
    files: Sequence[PublishedPredictions], labels: Sequence[Numbers], matched: MatchedClips, classes: Sequence[str]
) -> None:
    for mine, other in zip(matched.first, matched.second, strict=True):
        if labels[0][mine] != labels[1][other]:
            name = " ".join([files[0].subject[mine], *(files[0].clip or [])[mine : mine + 1]])
            raise UserError(
                f"{files[1].path}: the clip {name} is {classes[labels[1][other]]}, but {classes[labels[0][mine]]} in "
                f"{files[0].path}: compare files of one annotation, or give --classes in the order of the numbers"
            )


def _compare_scores(
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


def _remarks(matched: MatchedClips) -> list[str]:
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
            writer.writerow(
                (spreadsheet_cell(name), row, *("" if number is None else f"{number:.6f}" for number in numbers))
            )
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
        writer.writerow(map(spreadsheet_cell, (*people[at], clips[at], *words)))
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
