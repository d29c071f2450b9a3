"""The score table: as text for a terminal, and as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icegan_jax.data.names import spreadsheet_cell
from icegan_jax.io import write_text
from icegan_jax.reporting.style import replace_unprintable

# The oracle is shown apart from the scores, under this name (docs/design.md, "Evaluation rules", rule 2).
ORACLE_NAME = "best test epoch (not a valid score)"

FIELDS = (
    "section",
    "name",
    "clips",
    "uf1",
    "uf1_low",
    "uf1_high",
    "uar",
    "uar_low",
    "uar_high",
    "accuracy",
)


@dataclass(frozen=True)
class ScoreRow:
    """One row of the table; None stands for a number that does not exist.

    Attributes:
      section: "score", "floor", "reference" or "oracle".
      name: of the score, database, floor or reference.
      clips: number of clips.
      uf1: unweighted F1, with its 95% interval (low, high).
      uar: unweighted average recall, likewise.
      accuracy: share of clips classified correctly.
    """

    section: str
    name: str
    clips: int
    uf1: float
    uf1_interval: tuple[float, float] | None
    uar: float
    uar_interval: tuple[float, float] | None
    accuracy: float | None


def score_rows(results: Mapping[str, Any]) -> list[ScoreRow]:
    """Return the rows of results.json: overall, each database, floors, references, and the oracle last."""
    clips = results["num_clips"]
    rows = [_score_row("score", "overall", results["overall"])]
    rows += [_score_row("score", name, block) for name, block in results["datasets"].items()]
    rows += _floor_rows(results["floors"], "", clips)
    if len(results["datasets"]) > 1:  # with one database its floors are the floors above
        for name, floors in results.get("dataset_floors", {}).items():
            size = sum(map(sum, results["datasets"][name]["confusion"]))
            rows += _floor_rows(floors, f", {name}", size)
    for name, block in results.get("references", {}).items():
        rows.append(_score_row("reference", name.replace("_", " "), block))
    if "oracle" in results:
        oracle = results["oracle"]
        uf1, uar = oracle["uf1"], oracle["uar"]
        rows.append(ScoreRow("oracle", ORACLE_NAME, clips, uf1, None, uar, None, None))
    return rows


def format_table(rows: Sequence[ScoreRow]) -> str:
    """Format the rows for a terminal, with a blank line between sections and without a final line break."""
    names = [replace_unprintable(row.name) for row in rows]
    width = max(24, *(len(name) for name in names))
    heads = (f"{head:<20}" for head in ("UF1   [95% interval]", "UAR   [95% interval]"))
    header = "  ".join((" " * width, "clips", *heads, "accuracy"))
    lines = [header, "-" * len(header)]
    for index, (name, row) in enumerate(zip(names, rows, strict=True)):
        if index and row.section != rows[index - 1].section:
            lines.append("")
        uf1 = format_score(row.uf1, row.uf1_interval)
        uar = format_score(row.uar, row.uar_interval)
        accuracy = "" if row.accuracy is None else f"{row.accuracy:.3f}"
        lines.append(f"{name:{width}}  {row.clips:>5}  {uf1:<20}  {uar:<20}  {accuracy:>8}".rstrip())
    return "\n".join(lines)


def format_score(score: float, interval: Sequence[float] | None) -> str:
    """Format a score with its interval, as "0.747 [0.690, 0.801]", or alone, as "0.747"."""
    if interval is None:
        return f"{score:.3f}"
    return f"{score:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def write_scores_csv(path: Path, rows: Sequence[ScoreRow]) -> None:
    """Write the rows as CSV with six decimals; a number that does not exist is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for row in rows:
        numbers = (
            row.uf1,
            *(row.uf1_interval or (None, None)),
            row.uar,
            *(row.uar_interval or (None, None)),
            row.accuracy,
        )
        cells = ("" if number is None else f"{number:.6f}" for number in numbers)
        writer.writerow((row.section, spreadsheet_cell(row.name), row.clips, *cells))
    write_text(path, text.getvalue())


def _score_row(section: str, name: str, block: Mapping[str, Any]) -> ScoreRow:
    return ScoreRow(
        section=section,
        name=name,
        clips=sum(map(sum, block["confusion"])),
        uf1=block["uf1"],
        uf1_interval=_interval(block["uf1_ci95"]),
        uar=block["uar"],
        uar_interval=_interval(block["uar_ci95"]),
        accuracy=block["accuracy"],
    )


def _floor_rows(floors: Mapping[str, Mapping[str, float]], suffix: str, clips: int) -> list[ScoreRow]:
    return [
        ScoreRow(
            section="floor",
            name=name.replace("_", " ") + suffix,
            clips=clips,
            uf1=floor["uf1"],
            uf1_interval=None,
            uar=floor["uar"],
            uar_interval=None,
            accuracy=None,
        )
        for name, floor in floors.items()
    ]


def _interval(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (interval[0], interval[1])
