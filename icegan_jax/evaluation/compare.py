"""Two recognizers on the same clips: match the clips, score both, and test the difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binom, binomtest

from icegan_jax.data.names import spreadsheet_cell
from icegan_jax.errors import UserError
from icegan_jax.evaluation import bootstrap, metrics
from icegan_jax.evaluation.predictions import COLUMNS
from icegan_jax.evaluation.results import require_scored
from icegan_jax.evaluation.score_table import format_score
from icegan_jax.io import write_text
from icegan_jax.run_dir import PREDICTIONS_FILE

ROWS = ("OURS", "THEIRS", "difference")
SCORES = ("uf1", "uar", "accuracy")
CLIP = ["dataset", "subject", "clip"]  # the columns that identify a clip

Labels = npt.NDArray[np.integer]


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


def compare_predictions(first: Path, second: Path, *, common_only: bool = False, out: Path | None = None) -> str:
    """Read, match and score two files of predictions.

    Args:
      first: OURS, a run directory or a CSV with the columns dataset, subject, clip, label and prediction.
      second: THEIRS, likewise.
      common_only: leave out clips that only one of the files has.
      out: folder for comparison.csv and differing_clips.csv; nothing is written if not given.

    Returns:
      The text for the terminal.

    Raises:
      UserError: a file is damaged or holds no predictions, or their clips or true classes differ.
    """
    paths = [path / PREDICTIONS_FILE if path.is_dir() else path for path in (first, second)]
    tables = [_read_table(path) for path in paths]
    clips, left_out = match_clips(tables, paths, common_only)
    classes = _classes(tables, paths)
    index = {name: number for number, name in enumerate(classes)}
    truth, ours, theirs = (
        clips[name].map(index).to_numpy(np.int64) for name in ("label", "prediction", "prediction_theirs")
    )
    subjects = list(zip(clips["dataset"], clips["subject"], strict=True))

    parts = {"all": np.arange(len(clips))}
    if clips["dataset"].nunique() > 1:
        parts |= {name: np.flatnonzero(clips["dataset"] == name) for name in sorted(clips["dataset"].unique())}
    lines = [f"OURS    {paths[0]}", f"THEIRS  {paths[1]}", f"classes {', '.join(classes)}"]
    if any(left_out):
        lines.append(f"left out: {left_out[0]} clips that only OURS has, {left_out[1]} of THEIRS")
    rows = []
    for name, part in parts.items():
        people = [subjects[index] for index in part]
        scores = _compare_scores(truth[part], ours[part], theirs[part], people, len(classes))
        rows += [{"dataset": spreadsheet_cell(name), "who": who, **of_row} for who, of_row in scores.items()]
        test = mcnemar(truth[part], ours[part], theirs[part])
        lines += ["", f"{name}: {len(part)} clips of {len(set(people))} subjects"]
        lines += [f"{'':14}{'UF1   [95% interval]':26}{'UAR   [95% interval]':26}accuracy"]
        for who, of_row in scores.items():
            cells = [_format(of_row, score) for score in SCORES]
            lines.append(f"  {who:12}" + "".join(f"{cell:26}" for cell in cells).rstrip())
        lines.append(
            f"  McNemar: only OURS right b = {test.only_first}, only THEIRS right c = {test.only_second}, "
            f"exact p {_format_probability(test.p)}, mid-p {_format_probability(test.mid_p)}"
        )
    lines += ["", f"the predictions differ on {int(np.sum(ours != theirs))} of {len(clips)} clips"]
    if out is not None:
        write_text(out / "comparison.csv", _to_csv(pd.DataFrame(rows)))
        differing = clips[ours != theirs].rename(columns={"prediction": "ours", "prediction_theirs": "theirs"})
        write_text(out / "differing_clips.csv", _to_csv(differing.map(spreadsheet_cell)))
    return "\n".join(lines) + "\n"


def match_clips(
    tables: Sequence[pd.DataFrame], paths: Sequence[Path], common_only: bool
) -> tuple[pd.DataFrame, tuple[int, int]]:
    """Match clips by dataset, subject and clip name.

    Args:
      tables: of OURS and of THEIRS, with the columns of ``predictions.COLUMNS``; each clip is there once.
      paths: the files, for messages.
      common_only: leave out clips that only one file has, instead of raising.

    Returns:
      The clips in the order of OURS, with the columns dataset, subject, clip, label, prediction and prediction_theirs;
      and the numbers of clips of OURS and of THEIRS that are left out.

    Raises:
      UserError: the files hold different clips and ``common_only`` is false, no clip is in both, or a clip has two true
        classes.
    """
    clips = tables[0].merge(tables[1], on=CLIP, suffixes=("", "_theirs"))
    left_out = (len(tables[0]) - len(clips), len(tables[1]) - len(clips))
    if clips.empty or (any(left_out) and not common_only):
        either = pd.concat([table[CLIP] for table in tables]).drop_duplicates(keep=False)
        remedy = "give --common to compare the others" if len(clips) else "name datasets, subjects and clips alike"
        raise UserError(
            f"{paths[1]}: {left_out[0]} clips are only in {paths[0]} and {left_out[1]} only here, such as "
            f"{' '.join(either.iloc[0])}: {remedy}"
        )
    other = clips[clips["label"] != clips["label_theirs"]]
    if len(other):
        clip = other.iloc[0]
        raise UserError(
            f"{paths[1]}: the clip {' '.join(clip[CLIP])} is {clip['label_theirs']}, but {clip['label']} in "
            f"{paths[0]}: compare files of one annotation"
        )
    return clips.drop(columns="label_theirs"), left_out


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


def _read_table(path: Path) -> pd.DataFrame:
    """Read a CSV with ``predictions.COLUMNS``; further columns are those of the classes, in label order."""
    if path.name == PREDICTIONS_FILE:
        require_scored(path.parent)
        require_scored(path.absolute().parent.parent.parent)  # of RUN/folds/all
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file: give a finished run or a CSV of predictions") from error
    except (ValueError, OSError) as error:  # pandas' errors of parsing are ValueErrors
        raise UserError(f"{path}: not a CSV ({error}): write it again") from error
    missing = [name for name in COLUMNS if name not in table]
    if missing or table.empty:
        raise UserError(f"{path}: {f'no column {missing[0]}' if missing else 'no clip'}: give {', '.join(COLUMNS)}")
    twice = table[table.duplicated(CLIP)]
    if len(twice):
        raise UserError(f"{path}: two lines of the clip {' '.join(twice.iloc[0][CLIP])}: keep one")
    table.attrs["classes"] = [name for name in table if name not in COLUMNS]
    return table[list(COLUMNS)]


def _classes(tables: Sequence[pd.DataFrame], paths: Sequence[Path]) -> list[str]:
    """Return the classes of the first file that has a column for each class; otherwise all that occur, sorted."""
    occurring = [sorted({*table["label"], *table["prediction"]}) for table in tables]
    classes = next((table.attrs["classes"] for table in tables if table.attrs["classes"]), None)
    classes = classes or sorted({name for names in occurring for name in names})
    for path, names in zip(paths, occurring, strict=True):
        unknown = [name for name in names if name not in classes]
        if unknown:
            raise UserError(f"{path}: {unknown[0]!r} is none of the classes {', '.join(classes)}: name classes alike")
    return classes


def _compare_scores(
    truth: Labels, ours: Labels, theirs: Labels, subjects: list[tuple[str, str]], num_classes: int
) -> dict[str, dict[str, float | None]]:
    """Return UF1, UAR and accuracy of each of ``ROWS``, with the ends of their intervals: {"uf1", "uf1_low", ...}."""
    both = (ours, theirs)
    scores = [metrics.score_all(metrics.confusion(truth, predicted, num_classes)) for predicted in both]
    intervals = [bootstrap.subject_bootstrap(truth, predicted, subjects, num_classes=num_classes) for predicted in both]
    intervals.append(bootstrap.paired_differences(truth, ours, theirs, subjects, num_classes=num_classes))
    rows: dict[str, dict[str, float | None]] = {}
    for who, values, interval in zip(ROWS, (*scores, scores[0] - scores[1]), intervals, strict=True):
        rows[who] = {}
        for name, value in zip(SCORES, values, strict=True):
            low, high = (None, None) if interval is None else getattr(interval, name)
            rows[who] |= {name: float(value), f"{name}_low": low, f"{name}_high": high}
    return rows


def _format(scores: dict[str, float | None], name: str) -> str:
    score, low, high = (scores[f"{name}{end}"] for end in ("", "_low", "_high"))
    assert score is not None
    return format_score(score, None if low is None or high is None else (low, high))


def _format_probability(p: float) -> str:
    return f"= {p:.4f}" if p >= 0.0001 else "< 0.0001"


def _to_csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, float_format="%.6f", lineterminator="\n")
