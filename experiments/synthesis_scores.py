"""Scores of the synthetic faces of held-out subjects, beside reference rows that help to interpret each score.

    python -m experiments.synthesis_scores --preset=demo                   drawn faces, minutes
    python -m experiments.synthesis_scores --preset=full --data=DATA       the paper's networks, licensed databases
    python -m experiments.synthesis_scores --run=runs/mine [--run=...]     finished runs, on the same prepared faces

One run per seed of the preset's configuration is scored, on a split by subjects in the demo and LOSO in full. The
scores are SSIM, PSNR, LPIPS, kernel distance, identity, optical flow and an independent classifier, of the synthetic
apex, a copy of the onset, other real frames near the apex, and the synthetic face of a wrong class
(icegan_jax/evaluation/synthesis).
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from experiments.shared.faces import SYNTHESIS_FACES, prepared_faces, run_data_dir
from experiments.shared.options import PRESETS, parse_options, run_command
from experiments.shared.runs import train_seeds
from experiments.shared.tables import write_tables
from icegan_jax.data.dataset import Pairs, load_pairs, select_database
from icegan_jax.data.face_embedding import embed_face
from icegan_jax.errors import UserError
from icegan_jax.evaluation.synthesis.faces import read_faces
from icegan_jax.evaluation.synthesis.measures import MOVED_PX, FeatureExtractors
from icegan_jax.evaluation.synthesis.scores import COLUMNS, SynthesisRow, count_faces, score_faces
from icegan_jax.io import read_json
from icegan_jax.models.perceptual import apply_in_batches, load_lpips, load_perceptual_network, perceptual_features

NETWORK, LAYER = "vgg16", "relu5_3"  # the kernel distance compares features of this layer, averaged over the image
_KID = ("kid", "kid_n")
_AT = COLUMNS.index("identity")
ORDER = (*COLUMNS[:_AT], *_KID, *COLUMNS[_AT:])  # the kernel distance beside the other distances
TABLE = ("faces", "clips", *ORDER)
NOTES = (
    "synthetic: of the clip's true class, G never saw the person. wrong class: of the other classes, same apex. real "
    "against real: the frames 1 and 2 from the apex; identity and classifier: the apex itself. Mean "
    "[95% interval over people], ± deviation over runs.",
    "ssim, psnr (dB), lpips (AlexNet, lower is better): against the real apex. A copy of the onset is a strong rival: "
    "little of a face moves.",
    f"kid: squared MMD of {NETWORK.upper()} {LAYER} features, pooled (no Inception weights here), between the real "
    "apexes and kid_n faces, lower is better; unbiased, so near copies of the real faces score below 0.",
    "identity: cosine of dlib's face embeddings with the clip's onset. Read it between the last two rows: other people "
    "are far above 0.",
    f"flow: onset to face against onset to real apex, where that moved {MOVED_PX} pixels or more: cosine of "
    "directions, ratio of lengths; correlation of lengths over the face.",
    "classifier: HOG of the change + linear SVM on real pairs of all people but the fold's held-out ones. accuracy: "
    "share recognized as the requested class (synthetic faces of all classes); clip class: as the class of the clip.",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Train or read the runs, and write the table."""
    options, args = parse_options(__doc__, argv, _add)
    runs = args.run
    if not runs:
        data = prepared_faces(options, SYNTHESIS_FACES)
        runs = train_seeds(options, PRESETS[options.preset].synthesis, data)
    rows = score_runs(runs, networks())
    names = ", ".join(Path(run).name for run in runs)
    notes = (*NOTES, f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}, scored together: {names}.")
    title = "Synthetic faces of held-out people"
    write_tables(options.out / "synthesis_scores", title, TABLE, [line(row) for row in rows], notes)


def score_runs(runs: Sequence[Path], networks: FeatureExtractors) -> list[SynthesisRow]:
    """Return the rows of finished runs on the same prepared faces, with a progress bar.

    Raises:
      UserError: a run has no synthetic faces, or the runs have different data.
    """
    faces = [read_faces(run) for run in runs]
    pairs = _data_of(runs)
    with tqdm(total=count_faces(faces, pairs), desc="synthesis scores", unit="face") as bar:
        return score_faces(faces, pairs, networks, bar.update)


def networks() -> FeatureExtractors:
    """Return the pre-trained networks of the installed packages."""
    cost = load_perceptual_network(NETWORK, LAYER)

    @jax.jit
    def pooled(faces: jax.Array) -> jax.Array:
        return perceptual_features(cost, faces[..., None] / 127.5 - 1).mean(axis=(1, 2))

    features: Callable[[NDArray[np.uint8]], NDArray[np.float32]] = lambda faces: apply_in_batches(pooled, faces)  # noqa: E731
    return FeatureExtractors(load_lpips(), features, embed_face)


def line(row: SynthesisRow) -> Mapping[str, object]:
    """Return a row as cells of the table."""
    cells: dict[str, object] = {"faces": row.method, "clips": row.n}
    cells |= {"kid": row.kid, "kid_n": row.kid_n} if row.kid_n else {}
    for name, score in row.scores.items():
        if score.n:
            cells |= {name: score.mean, f"{name}_low": score.low, f"{name}_high": score.high}
            cells |= {f"{name}_sd": row.deviation[name]}
    return cells


def _data_of(runs: Sequence[Path]) -> Pairs:
    pairs: Pairs | None = None
    for run in runs:
        config = read_json(run / "config.json")
        where = run_data_dir(run, config, "train the run again")
        other = load_pairs(where)
        if config["data"].get("database"):
            other = select_database(other, config["data"]["database"])
        if config.get("data_fingerprint") != other.fingerprint:
            raise UserError(f"{run}: trained on other faces than {where} holds now; prepare them again, or train again")
        if pairs is not None and other.fingerprint != pairs.fingerprint:
            raise UserError(f"{run}: trained on other faces than {runs[0]}; score them apart")
        pairs = other
    assert pairs is not None
    return pairs


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run", type=Path, action="append", default=[], metavar="RUN", help="score this finished run; repeatable"
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
