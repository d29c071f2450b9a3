"""A description of the networks that answer, for pages: their run, their training data, and their scores."""

import contextlib

from icegan_jax.errors import UserError
from icegan_jax.evaluation.results import Score, read_results
from icegan_jax.evaluation.score_table import format_score
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.run_dir import RESULTS_FILE


def describe_networks(ensemble: Ensemble) -> dict[str, str]:
    """Return sentences about the run, the networks, the training data and the scores on held-out people, by name."""
    names = ensemble.fold_names
    description = {
        "run": f"{ensemble.run_dir.resolve().name} (id {ensemble.run_id[:8]})",
        "networks": f"fold {names[0]}" if len(names) == 1 else f"mean over {len(names)} folds",
        "folds": ", ".join(names),
        "classes": ", ".join(ensemble.classes),
    }
    results = None
    with contextlib.suppress(UserError):
        results = read_results(ensemble.run_dir / RESULTS_FILE)
    if results is None:
        return description | {"held-out scores": "none, as the run has no results yet"}
    if not results.get("scored", True):
        held_out = "none, as the network was trained on everybody"
    else:
        floor = results["floors"]["prior_random"]
        held_out = f"{_score_text(results['overall'])}; guessing gives UF1 {floor['uf1']:.3f}, UAR {floor['uar']:.3f}"
        description["databases"] = ", ".join(results["datasets"]) + " (drawn faces)" * ensemble.drawn_faces
    return description | {
        "training data": f"{results['num_clips']} clips of {results['num_people']} people",
        "protocol": str(results["protocol"]),
        "held-out scores": held_out,
    }


def _score_text(score: Score) -> str:
    uf1, uar = format_score(score["uf1"], score["uf1_ci95"]), format_score(score["uar"], score["uar_ci95"])
    return f"UF1 {uf1}, UAR {uar}"
