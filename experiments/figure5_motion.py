"""Figure 5: share of the motion of synthetic faces, from X_on to X_syn, in the regions of the class's muscles.

    python -m experiments.figure5_motion --preset=demo              drawn faces, whose true regions are known
    python -m experiments.figure5_motion --preset=full --data=DATA  the licensed databases, regions from landmarks
    python -m experiments.figure5_motion --run=RUN [--run=RUN2 ...] finished runs, nothing is trained

The score is the share of the squared change (paper, Figure 5) in the regions that the action units of the class move,
for all three synthetic faces of every held-out clip and for the real apexes. Writes OUT/figure5_motion/ with the table,
the mean maps of each class (figure5.png) and maps of some subjects (figure5_people.png).
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.shared.faces import SYNTHESIS_FACES, prepared_faces, run_data_dir
from experiments.shared.motion_maps import MotionMap, draw_classes, draw_people
from experiments.shared.muscle_regions import (
    EXACT,
    Key,
    Mask,
    MuscleRegions,
    area_share,
    energy_share,
    motion_energy,
    muscle_regions,
    units_of,
)
from experiments.shared.options import PRESETS, parse_options, run_command
from experiments.shared.runs import train_seeds
from experiments.shared.synthesis import mean_cells, save_picture
from experiments.shared.tables import write_tables
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces, read_faces
from icegan_jax.io import read_json
from icegan_jax.reporting.report_figures import choose_clips

SYNTHETIC, REAL = "synthetic", "real"
WHOLE = "all of them"
COLUMNS = ("class", "region", SYNTHETIC, "even_spread", "shifted_onset", REAL, "clips", "real_clips")
_ROWS = 6  # subjects in the figure


class RunFaces(NamedTuple):
    """The held-out faces of a finished run, and the regions of the muscles in each face."""

    faces: SynthesizedFaces
    regions: MuscleRegions

    def key(self, row: int) -> Key:
        """Return dataset, subject and clip of a row."""
        return (*self.faces.subject[row], self.faces.clip[row])


class EnergyShare(NamedTuple):
    """The share of one face's change that lies in a region."""

    kind: str
    label: int
    region: str
    seed: int
    person: tuple[str, str]
    inside: float
    area: float
    shifted: float


def main(argv: Sequence[str] | None = None) -> None:
    """Train or read the runs, and write the table and the figures."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--run", type=Path, action="append", default=[], help="a finished run; repeatable")

    options, args = parse_options(__doc__, argv, add)
    runs = args.run
    if not runs:
        data = prepared_faces(options, SYNTHESIS_FACES)
        runs = train_seeds(options, PRESETS[options.preset].synthesis, data)
    motions = [read_run(run, options.data if args.run else "") for run in runs]
    out = options.out / "figure5_motion"
    shares = [share for seed, motion in enumerate(motions) for share in energy_shares(motion, seed)]
    rows = table_rows(shares)
    write_tables(out, "Figure 5: share of the change inside the muscles' regions", COLUMNS, rows, _notes(motions))
    save_picture(draw_classes(mean_maps(motions), EXPRESSIONS, rows), out / "figure5.png")
    first = motions[0]
    people = choose_clips(first.faces, _ROWS)
    regions = [[first.regions.of_class(first.key(row), label) for label in range(len(EXPRESSIONS))] for row in people]
    save_picture(draw_people(first.faces, people, regions, EXPRESSIONS), out / "figure5_people.png")
    print(f"pictures: {out / 'figure5.png'}, {out / 'figure5_people.png'}")


def read_run(run: Path, data: str = "") -> RunFaces:
    """Read the faces of a run and their regions.

    Args:
      run: a finished run directory.
      data: the prepared folder; empty for the folder in the run's config.json.

    Raises:
      UserError: the run has no synthetic faces, has other classes than the three, or its faces have no regions.
    """
    faces = read_faces(run)
    classes, _ = read_predictions(run / "predictions.csv")
    units_of(classes)
    if not data:
        data = str(run_data_dir(run, read_json(run / "config.json"), "name the prepared folder with --data"))
    onsets = {
        (*person, clip): onset for person, clip, onset in zip(faces.subject, faces.clip, faces.onset, strict=True)
    }
    return RunFaces(faces, muscle_regions(data, onsets))


def energy_shares(motion: RunFaces, seed: int) -> list[EnergyShare]:
    """Return the shares of every synthetic face and of every real apex in the regions of the face's class."""
    faces, shares = motion.faces, []
    for row, (onset, person) in enumerate(zip(faces.onset, faces.subject, strict=True)):
        masks = motion.regions.masks[motion.key(row)]
        shifts = [np.roll(onset, 1, axis) for axis in (0, 1)]  # by one pixel: it changes wherever the face has edges
        changed = [(SYNTHETIC, label, face) for label, face in enumerate(faces.synthetic[row])]
        for kind, label, face in [*changed, (REAL, int(faces.label[row]), faces.apex[row])]:
            regions: dict[str, Mask] = {WHOLE: motion.regions.of_class(motion.key(row), label)}
            regions |= {unit: masks[unit] for unit in units_of(EXPRESSIONS)[label] if unit in masks}
            for name, mask in regions.items():
                inside, area = energy_share(face, onset, mask), area_share(mask)
                shifted = float(np.mean([energy_share(moved, onset, mask) for moved in shifts]))
                if mask.any():  # a person without one clip of the class has no true region of it
                    shares.append(EnergyShare(kind, label, name, seed, person, inside, area, shifted))
    return shares


def table_rows(shares: Sequence[EnergyShare]) -> list[dict[str, object]]:
    """Return a row over all classes, then a row per class and region."""
    rows = [_row("all", WHOLE, [share for share in shares if share.region == WHOLE])]
    for label, word in enumerate(EXPRESSIONS):
        for region in (WHOLE, *units_of(EXPRESSIONS)[label]):
            mine = [share for share in shares if (share.label, share.region) == (label, region)]
            if mine:
                rows.append(_row(word, region, mine))
    return rows


def _row(word: str, region: str, shares: Sequence[EnergyShare]) -> dict[str, object]:
    cells: dict[str, object] = {"class": word, "region": region}
    for kind, clips in ((SYNTHETIC, "clips"), (REAL, "real_clips")):
        mine = [share for share in shares if share.kind == kind]
        inside, people, seeds = ([getattr(share, name) for share in mine] for name in ("inside", "person", "seed"))
        cells |= mean_cells(kind, inside, people, seeds) | {clips: int(np.isfinite(inside).sum())}
    synthetic = [share for share in shares if share.kind == SYNTHETIC]
    even, shifted = (float(np.mean([getattr(share, name) for share in synthetic])) for name in ("area", "shifted"))
    return cells | {"even_spread": even, "shifted_onset": shifted}


def mean_maps(motions: Sequence[RunFaces]) -> Mapping[tuple[str, int], MotionMap]:
    """Return, by kind and class, the root of the mean squared change over the clips of all runs, and the mean onset."""
    maps = {}
    for kind in (SYNTHETIC, REAL):
        for label in range(len(EXPRESSIONS)):
            onsets: list[NDArray[np.uint8]] = []
            energy, masks = [], []
            for motion in motions:
                for row, onset in enumerate(motion.faces.onset):
                    if kind == REAL and motion.faces.label[row] != label:
                        continue
                    face = motion.faces.apex[row] if kind == REAL else motion.faces.synthetic[row, label]
                    energy.append(motion_energy(face, onset))
                    masks.append(motion.regions.of_class(motion.key(row), label))
                    onsets.append(onset)
            if onsets:
                maps[kind, label] = MotionMap(np.mean(onsets, 0), np.sqrt(np.mean(energy, 0)), np.mean(masks, 0))
    return maps


def _notes(motions: Sequence[RunFaces]) -> list[str]:
    source = motions[0].regions.source
    known = (
        "true regions of the drawn faces: all units that the person moves in any clip of the class"
        if source == EXACT
        else "regions drawn around 68 landmarks after FACS; their sizes are ours"
    )
    notes = [
        f"Share of the sum of (X - X_on)^2 inside the region, mean over held-out clips of {len(motions)} runs; "
        "[95% interval over people] ± deviation over the runs.",
        f"Regions: {known}. Synthetic: every onset with every class, in the subject's region of that class.",
        "even spread: the region's area, what a change spread evenly over the picture would score; shifted onset: what "
        "the onset moved as a whole by one pixel scores, as every motion shows where the face has edges.",
        "Real apexes also hold the sensor noise of two frames and what registration leaves, everywhere in the picture: "
        "that pulls their share towards the even spread, and the synthetic faces have none of it.",
    ]
    borrowed = sorted({"/".join(key) for motion in motions for key in motion.regions.borrowed})
    if borrowed:
        shown = ", ".join(borrowed[:5]) + (f" and {len(borrowed) - 5} more" if len(borrowed) > 5 else "")
        notes.append(f"No landmarks were detected on {shown}: the mean landmarks of the others are used.")
    return notes


if __name__ == "__main__":
    sys.exit(run_command(main))
