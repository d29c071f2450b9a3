"""Training of all folds, group by group."""

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jax
from tqdm import tqdm

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.training.capacity import fit_folds
from icegan_jax.training.group import train_group
from icegan_jax.training.grouping import form_groups
from icegan_jax.training.health import Failure, left_out
from icegan_jax.training.memory import explained
from icegan_jax.training.plan import NOTHING, Plan, Spent, finished
from icegan_jax.training.processes import Processes
from icegan_jax.training.state import Networks


def train_folds(
    networks: Networks,
    pairs: Pairs,
    folds: Sequence[Fold],
    plan: Plan,
    run_dir: Path,
    devices: Sequence[jax.Device],
    processes: Processes = Processes(),  # noqa: B008 (frozen)
) -> list[Failure]:
    """Trains and evaluates every one of ``folds`` that is not finished, showing a progress bar.

    A fold ends with ``metrics.jsonl``, ``predictions.csv`` and, last, ``result.json`` in ``run_dir/folds/<name>``; with
    ``synthesis.npz`` where there is a generator, ``evaluations.jsonl`` where the plan evaluates during training. An
    unfinished fold goes on from its newest checkpoint.

    ``processes`` tells which of several processes this is; other ones train other folds.

    Returns:
      The folds that have no result, since their numbers went wrong and the plan says to go on without them.

    Raises:
      ValueError: the networks tell another number of classes apart than the pairs have.
      UserError: out of memory; or a fold's checkpoints cannot be read or written.
      NonFiniteError: a fold's numbers went wrong, and the plan says to stop.
      Stopped: by a signal; what was under way is saved.
    """
    if networks.classes != len(pairs.classes):
        raise ValueError(f"networks of {networks.classes} classes for pairs of {len(pairs.classes)}")
    todo = [fold for fold in folds if not finished(run_dir, fold)]
    if not todo:
        return []
    start = time.perf_counter()
    with explained(plan):
        fit = fit_folds(networks, plan, devices, len(folds), len(todo), processes.here)
    before = Spent(time.perf_counter() - start, fit.compile_s)
    if fit.reason:
        print(fit.reason, flush=True)
    groups = form_groups(todo, run_dir, fit.layout.folds, plan.steps)
    who = f"{processes.name}, " if processes.count > 1 else ""
    plan = dataclasses.replace(plan, process=processes.index)
    failures: list[Failure] = []
    with tqdm(total=plan.steps * len(groups), unit="step", dynamic_ncols=True) as bar:
        for index, group in enumerate(groups, start=1):
            bar.set_description(f"{who}folds {len(folds) - len(todo) + 1}-{len(folds)}, group {index}/{len(groups)}")
            spent = before if index == 1 else NOTHING
            with explained(plan, fit.layout.folds_per_device):
                failed = train_group(fit.engine, pairs, group, plan, run_dir, fit.layout, bar, _warn, spent)
            for failure in failed:
                _warn(left_out(failure))
            failures += failed
    return failures


def _warn(line: str) -> None:
    tqdm.write(f"warning: {line}", file=sys.stderr)
