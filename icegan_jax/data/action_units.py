"""The annotated action units of clips (Facial Action Coding System), which graph networks learn beside the classes.

CASME II and SAMM have them, SMIC does not (docs/databases.md).
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.clips import ACTION_UNITS_COLUMN
from icegan_jax.data.dataset import Pairs
from icegan_jax.data.ingest.annotation import parse_action_units
from icegan_jax.errors import UserError


def load_action_units(folder: Path, pairs: Pairs) -> tuple[tuple[int, ...], NDArray[np.bool_]]:
    """Return which action units each pair's clip shows, from the clips.csv of the prepared folder.

    Returns:
        The numbers of the units that any of the clips shows, ascending, and bool[len(pairs), units]. A row of False is
        of a clip without annotated units.

    Raises:
        UserError: a database has no action units, or clips.csv is damaged.
    """
    path = folder / "clips.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            units_of = {
                (row["dataset"], row["subject"], row["clip"]): parse_action_units(row.get(ACTION_UNITS_COLUMN) or "")
                for row in csv.DictReader(file)
            }
        keys = zip(pairs.dataset.tolist(), pairs.subject.tolist(), pairs.clip.tolist(), strict=True)
        shown = [units_of[key] for key in keys]
    except (OSError, ValueError, KeyError, csv.Error):
        raise UserError(f"{path}: damaged, or of other clips; prepare the folder again") from None
    annotated = {name for name, units in zip(pairs.dataset.tolist(), shown, strict=True) if units}
    missing = sorted(set(pairs.dataset.tolist()) - annotated)
    if missing:
        remedy = f"choose {' or '.join(sorted(annotated))} by config.data.database" if annotated else "annotate them"
        raise UserError(f"{path}: {', '.join(missing)} has no action units; {remedy}, or prepare the folder again")
    units = sorted(set().union(*shown))
    return tuple(units), np.array([[unit in row for unit in units] for row in shown])
