"""The published figures of the compared systems, from experiments/published.csv, each with its selection and source.

The column ``table`` tells who reports a figure: ``I`` to ``IV`` are the tables of the paper; ``I own`` is what the
authors of the system report in the protocol of Table I, ``I rerun`` what others measured, ``I best test epoch`` what
others measured with the best epoch on the test subject; likewise for Table II. ``parameters`` has the sizes.
"""

import csv
import functools
from pathlib import Path
from typing import NamedTuple

from icegan_jax.errors import UserError

PUBLISHED = Path(__file__).parents[1] / "published.csv"
ALL = "all"  # the dataset of a figure over all databases

# What is known to be wrong in published rows, by table, each with its source.
KNOWN_ERRORS = {
    "I": (
        "STSTNet's published UAR is the macro precision: its printed confusion matrix has recalls .876, .569, .711, "
        "mean 0.719, and precisions with mean 0.7605 (christy1206/STSTNet at 1afb56e).",
        "LBP-TOP's pair on SMIC cannot be: a mean recall of 0.528 on 70, 51 and 43 clips forces UF1 >= 0.230, whatever "
        "is predicted, and UF1 0.200 is published (MEGC2019 challenge document).",
        "CapsuleNet and ME-Recognizer take the best test epoch of every fold (their code); without selection "
        "ME-Recognizer has 0.59 (its issue 7). CapsuleNet's figures are of 435 clips.",
        "Dual-Inception trains on the other two databases only, a harder task (its code); which of its 100 rounds is "
        "published is unknown.",
        "Best test epoch instead of none, as others measured: STSTNet UF1 0.774 instead of 0.713, OFF-ApexNet 0.839 "
        "instead of 0.703 (tvaranka/meb at f731b0a).",
    ),
    "II": (
        "The paper's Table II mixes tasks: MicroAttention's figures are of five classes (Table 6 of its paper), the "
        "others of three (AU-GACN's README).",
        "The answer negative for every clip reaches F1 0.252 on CASME II and 0.273 on SAMM (from the numbers of "
        "clips of MEGC2019); MER-GCN's 0.303 and 0.283 are barely above it.",
    ),
}


class Figure(NamedTuple):
    """A published number, see the columns of published.csv."""

    table: str
    method: str
    dataset: str
    metric: str
    value: float
    selection: str
    source: str


@functools.cache
def read_figures() -> tuple[Figure, ...]:
    """Return all published figures.

    Raises:
      UserError: published.csv is damaged.
    """
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        try:
            return tuple(Figure(**{**line, "value": float(line["value"])}) for line in csv.DictReader(file))
        except (TypeError, KeyError, ValueError):
            raise UserError(f"{PUBLISHED}: not a line of {','.join(Figure._fields)}; restore the file") from None


def published_text(table: str, method: str, dataset: str = ALL, *, selection: bool = False) -> str | None:
    """Return the figures of a method, such as ``UF1 0.735, UAR 0.760``, or None where none is published.

    Args:
      table: who reports them, see the module.
      method: the row of the table.
      dataset: ``all``, or the name of a database.
      selection: append how the figures were selected.
    """
    groups: dict[str, list[str]] = {}
    for figure in read_figures():
        if (figure.table, figure.method, figure.dataset) == (table, method, dataset):
            name = {"size_mb": "size"}.get(figure.metric, figure.metric.upper())
            number = f"{figure.value:.1f} MB" if figure.metric == "size_mb" else f"{figure.value:.3f}"
            groups.setdefault(figure.selection, []).append(f"{name} {number}")
    texts = [", ".join(numbers) + (f" ({how})" if selection else "") for how, numbers in groups.items()]
    return "; ".join(texts) or None


def published_parameters(method: str) -> int | None:
    """Return the number of parameters of a compared system, of LBP-TOP that of its features; None where unknown."""
    numbers = [figure.value for figure in read_figures() if (figure.table, figure.method) == ("parameters", method)]
    return int(numbers[0]) if numbers else None
