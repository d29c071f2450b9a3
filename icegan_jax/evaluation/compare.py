"""Two recognizers on the same clips: match the clips, score both, and test the difference."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, binomtest

from icegan_jax.data.names import spreadsheet_cell
from icegan_jax.errors import UserError
from icegan_jax.evaluation import bootstrap, metrics
from icegan_jax.evaluation.published_predictions import (
    PublishedPredictions,
    class_indices,
    infer_classes,
    read_published_predictions,
)
from icegan_jax.evaluation.score_table import format_score
from icegan_jax.io import write_text

ROWS = ("OURS", "THEIRS", "difference")
COLUMNS = (
    "dataset",
    "who",
    *(f"{score}{end}" for score in ("uf1", "uar", "accuracy") for end in ("", "_low", "_high")),
)

ClipKey = tuple[str, ...]  # ([dataset,] subject, clip name or class)
IntArray = npt.NDArray[np.int64]
ScoreWithInterval = tuple[float, tuple[float, float] | None]


@dataclass(frozen=True)
class McNemar:
    """The exact test (McNemar 1947) and its mid-p variant (Fagerland, Lydersen, Laake 2013).

    Attributes:
      only_first: number of clips that the first recognizer alone classifies correctly (b).
      only_second: number of clips that the second recognizer alone classifies correctly (c).
      p: two-sided, from the binomial distribution of b among b + c; 1 where both are 0.
      mid_p: 2 P(X <= min(b, c)) less P(X = min(b, c)), with X of that distribution: less conservative than p.
    """

    only_first: int
    only_second: int
    p: float
    mid_p: float


@dataclass(frozen=True)
class MatchedClips:
    """The m clips that both files hold.

    Attributes:
      first: int64[m], indices into the first file, in its order.
      second: int64[m], indices into the second file.
      left_out: number of clips of the first and of the second file without a partner.
      by_order: whether clips were matched by order within subject and class, as one file names no clips.
    """

    first: IntArray
    second: IntArray
    left_out: tuple[int, int]
    by_order: bool


def compare_predictions(
    first: Path,
    second: Path,
    classes: Sequence[str] | None = None,
    *,
    common_only: bool = False,
    out: Path | None = None,
) -> str:
    """Read, match and score two files of predictions.

    Args:
      first: OURS, in any form that `read_published_predictions` reads.
      second: THEIRS, likewise.
      classes: names of the classes in label order; inferred from the files if not given.
      common_only: leave out clips that only one of the files has.
      out: folder for comparison.csv and differing_clips.csv; nothing is written if not given.

    Returns:
      The text for the terminal.

    Raises:
      UserError: a file is damaged or holds no predictions, or their clips or true classes differ.
    """
    files = [read_published_predictions(path) for path in (first, second)]
    classes = infer_classes(files, classes)
    labels = [class_indices(file.path, file.label, classes) for file in files]
    predictions = [_predicted_classes(file, classes) for file in files]
    matched = match_clips(files[0], files[1], labels[0], labels[1], common_only)
    truth = labels[0][matched.first]
    ours, theirs = predictions[0][matched.first], predictions[1][matched.second]
    _require_equal_labels(files, labels, matched, classes)
    with_dataset, indices = (files[0], matched.first) if files[0].dataset else (files[1], matched.second)
    subjects = [with_dataset.subject_keys[index] for index in indices]

    parts = {"all": np.arange(len(truth))}
    datasets = sorted({dataset for dataset, _ in subjects})
    if len(datasets) > 1:
        parts |= {name: np.flatnonzero([dataset == name for dataset, _ in subjects]) for name in datasets}
    table = {
        name: _compare_scores(truth[part], ours[part], theirs[part], [subjects[i] for i in part], len(classes))
        for name, part in parts.items()
    }
    lines = [f"OURS    {files[0].path}", f"THEIRS  {files[1].path}", f"classes {', '.join(classes)}"]
    lines += _matching_notes(matched)
    for name, part in parts.items():
        test = mcnemar(truth[part], ours[part], theirs[part])
        lines += ["", f"{name}: {len(part)} clips of {len({subjects[i] for i in part})} subjects"]
        lines += [f"{'':14}{'UF1   [95% interval]':26}{'UAR   [95% interval]':26}accuracy"]
        for row, scores in zip(ROWS, table[name], strict=True):
            lines.append(f"  {row:12}" + "".join(f"{format_score(*score):26}" for score in scores).rstrip())
        lines.append(
            f"  McNemar: only OURS right b = {test.only_first}, only THEIRS right c = {test.only_second}, "
            f"exact p {_format_probability(test.p)}, mid-p {_format_probability(test.mid_p)}"
        )
    lines += ["", f"the predictions differ on {int(np.sum(ours != theirs))} of {len(truth)} clips"]
    if out is not None:
        write_text(out / "comparison.csv", _comparison_csv(table))
        clips = _matched_names(files, matched)
        write_text(out / "differing_clips.csv", _differing_csv(subjects, clips, truth, ours, theirs, classes))
    return "\n".join(lines) + "\n"


def mcnemar(
    labels: npt.NDArray[np.integer], first: npt.NDArray[np.integer], second: npt.NDArray[np.integer]
) -> McNemar:
    """Test whether two recognizers are correct equally often.

    The test takes clips as independent, which those of one subject are not: report the paired subject bootstrap
    (`bootstrap.paired_differences`) beside the test.

    Args:
      labels: int[n], the true classes.
      first: int[n], predictions of the first recognizer, clip for clip.
      second: int[n], predictions of the second recognizer.
    """
    only_first = int(np.sum((first == labels) & (second != labels)))
    only_second = int(np.sum((first != labels) & (second == labels)))
    total = only_first + only_second
    if not total:
        return McNemar(0, 0, 1.0, 1.0)
    p = float(binomtest(only_first, total).pvalue)
    smaller = min(only_first, only_second)
    mid_p = 2 * binom.cdf(smaller, total, 0.5) - binom.pmf(smaller, total, 0.5)
    return McNemar(only_first, only_second, p, float(min(mid_p, 1.0)))


def match_clips(
    first: PublishedPredictions,
    second: PublishedPredictions,
    first_label: IntArray,
    second_label: IntArray,
    common_only: bool,
) -> MatchedClips:
    """Match clips by dataset (where both files have a dataset column), subject and clip name.

    Where a file names no clips, the clips are matched by their order within (subject, class). With `common_only`, a
    subject's class whose counts differ is then left out altogether.

    Args:
      first: the first file.
      second: the second file.
      first_label: int64[n], true classes of the first file.
      second_label: int64[k], true classes of the second file.
      common_only: leave out clips that only one file has, instead of raising.

    Raises:
      UserError: two clips cannot be distinguished without datasets, a clip appears twice, the files hold different
        clips and `common_only` is false, or no clip is in both.
    """
    with_dataset = first.dataset is not None and second.dataset is not None
    by_order = first.clip is None or second.clip is None
    indices_by_key = []
    for file, labels in ((first, first_label), (second, second_label)):
        if not with_dataset:
            _require_one_dataset(file, by_order)
        indices: dict[ClipKey, list[int]] = defaultdict(list)
        for index, key in enumerate(_clip_keys(file, labels, with_dataset, by_order)):
            indices[key].append(index)
        repeated = next((key for key, entries in indices.items() if len(entries) > 1 and not by_order), None)
        if repeated:
            raise UserError(f"{file.path}: two lines of the clip {' '.join(repeated)}: keep one")
        indices_by_key.append(indices)
    ours, theirs = indices_by_key
    common = [key for key in ours if len(ours[key]) == len(theirs.get(key, ()))]
    matched = sorted(index_pair for key in common for index_pair in zip(ours[key], theirs[key], strict=True))
    left_out = (len(first.subject) - len(matched), len(second.subject) - len(matched))
    if not matched:
        examples = [repr(_format_key(next(iter(indices)), by_order)) for indices in indices_by_key]
        raise UserError(
            f"{second.path}: no clip of {first.path} is in it (there {examples[0]}, here {examples[1]}): "
            "name datasets, subjects and clips alike"
        )
    if any(left_out) and not common_only:
        unmatched = next(key for key in [*ours, *theirs] if len(ours.get(key, ())) != len(theirs.get(key, ())))
        raise UserError(
            f"{second.path}: {left_out[0]} clips are only in {first.path} and {left_out[1]} only here, such as "
            f"{_format_key(unmatched, by_order)}: give --common to compare the {len(matched)} that both hold"
        )
    first_indices, second_indices = np.array(matched, np.int64).T
    return MatchedClips(first_indices, second_indices, left_out, by_order)


def _clip_keys(file: PublishedPredictions, labels: IntArray, with_dataset: bool, by_order: bool) -> list[ClipKey]:
    names = [str(label) for label in labels] if by_order else file.clip or []
    keys: list[ClipKey] = list(zip(file.subject, names, strict=True))
    if with_dataset:
        return [(dataset.casefold(), *key) for dataset, key in zip(file.dataset or [], keys, strict=True)]
    return keys


def _require_one_dataset(file: PublishedPredictions, by_order: bool) -> None:
    """Raise UserError where two datasets share a subject (or a subject's clip): the other file has no dataset."""
    if file.dataset is None:
        return
    names = [""] * len(file.subject) if by_order or file.clip is None else file.clip
    clips = set(zip(file.dataset, file.subject, names, strict=True))
    datasets_of = Counter((subject, name) for _, subject, name in clips)
    shared = next((key for key, number in datasets_of.items() if number > 1), None)
    if shared:
        raise UserError(
            f"{file.path}: {' '.join(shared).strip()} is in two datasets, and the other file names no dataset: "
            "add a column dataset to it"
        )


def _format_key(key: ClipKey, by_order: bool) -> str:
    return " ".join(key[:-1]) + f" (class {key[-1]})" if by_order else " ".join(key)


def _predicted_classes(file: PublishedPredictions, classes: Sequence[str]) -> IntArray:
    if file.prediction is None:
        raise UserError(f"{file.path}: no column of predictions: name it prediction in the first line")
    return class_indices(file.path, file.prediction, classes)


def _require_equal_labels(
    files: Sequence[PublishedPredictions], labels: Sequence[IntArray], matched: MatchedClips, classes: Sequence[str]
) -> None:
    for i, j in zip(matched.first, matched.second, strict=True):
        if labels[0][i] != labels[1][j]:
            name = " ".join([files[0].subject[i], *(files[0].clip or [])[i : i + 1]])
            raise UserError(
                f"{files[1].path}: the clip {name} is {classes[labels[1][j]]}, but {classes[labels[0][i]]} in "
                f"{files[0].path}: compare files of one annotation, or give --classes in the order of the numbers"
            )


def _compare_scores(
    truth: IntArray, ours: IntArray, theirs: IntArray, subjects: list[tuple[str, str]], num_classes: int
) -> list[list[ScoreWithInterval]]:
    """Return UF1, UAR and accuracy with their intervals: of OURS, of THEIRS, and the difference."""
    both = (ours, theirs)
    scores = [metrics.score_all(metrics.confusion(truth, predicted, num_classes)) for predicted in both]
    intervals = [bootstrap.subject_bootstrap(truth, predicted, subjects, num_classes=num_classes) for predicted in both]
    intervals.append(bootstrap.paired_differences(truth, ours, theirs, subjects, num_classes=num_classes))
    rows = []
    for values, of_row in zip((*scores, scores[0] - scores[1]), intervals, strict=True):
        ends = (None,) * 3 if of_row is None else (of_row.uf1, of_row.uar, of_row.accuracy)
        rows.append([(float(value), interval) for value, interval in zip(values, ends, strict=True)])
    return rows


def _matching_notes(matched: MatchedClips) -> list[str]:
    lines = []
    if any(matched.left_out):
        lines.append(f"left out: {matched.left_out[0]} clips that only OURS has, {matched.left_out[1]} of THEIRS")
    if matched.by_order:
        lines.append("clips are not named: matched by their order within a subject's class; b and c depend on it")
    return lines


def _matched_names(files: Sequence[PublishedPredictions], matched: MatchedClips) -> list[str]:
    """Return the name of each matched clip, from the first file that names clips; empty names where none does."""
    for file, indices in zip(files, (matched.first, matched.second), strict=True):
        if file.clip and any(names := [file.clip[i] for i in indices]):
            return names
    return [""] * len(matched.first)


def _format_probability(p: float) -> str:
    return f"= {p:.4f}" if p >= 0.0001 else "< 0.0001"


def _comparison_csv(table: dict[str, list[list[ScoreWithInterval]]]) -> str:
    lines: list[Sequence[str]] = [COLUMNS]
    for name, rows in table.items():
        for row, scores in zip(ROWS, rows, strict=True):
            numbers = [number for value, interval in scores for number in (value, *(interval or (None, None)))]
            lines.append(
                (spreadsheet_cell(name), row, *("" if number is None else f"{number:.6f}" for number in numbers))
            )
    return _to_csv(lines)


def _differing_csv(
    subjects: list[tuple[str, str]],
    clips: list[str],
    truth: IntArray,
    ours: IntArray,
    theirs: IntArray,
    classes: Sequence[str],
) -> str:
    lines: list[Sequence[str]] = [("dataset", "subject", "clip", "label", "ours", "theirs")]
    for i in np.flatnonzero(ours != theirs):
        names = (classes[labels[i]] for labels in (truth, ours, theirs))
        lines.append([spreadsheet_cell(text) for text in (*subjects[i], clips[i], *names)])
    return _to_csv(lines)


def _to_csv(lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
