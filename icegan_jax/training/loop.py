"""Leave-one-subject-out training: groups of folds side by side, each fold leaving its files in the run directory."""

import contextlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.data.pipeline import fold_batches
from icegan_jax.evaluation.records import write_json
from icegan_jax.training.checkpoint import FoldCheckpoints
from icegan_jax.training.evaluate import evaluate_group
from icegan_jax.training.state import Networks, TrainState, fold_key
from icegan_jax.training.step import Engine, build_engine

RESULT = "result.json"  # written last: its presence says that the fold is done
METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class Plan:
    """How every fold is trained.

    Attributes:
      steps: updates of each fold, a multiple of ``steps_per_call``.
      steps_per_epoch: of the whole prepared set; only names the epoch in the logs.
      steps_per_call: updates per call of the compiled program, and between log lines.
      checkpoint_every: updates between checkpoints, at least.
      folds_per_device: folds side by side on a device.
      batch_size: pairs per update.
      mirror: flips half of the training pairs.
      seed: of everything random.
    """

    steps: int
    steps_per_epoch: int
    steps_per_call: int
    checkpoint_every: int
    folds_per_device: int
    batch_size: int
    mirror: bool
    seed: int


def fold_dir(run_dir: Path, fold: Fold) -> Path:
    """The folder of a fold in a run directory."""
    return run_dir / "folds" / fold.name


def finished(run_dir: Path, fold: Fold) -> bool:
    """Whether the fold's result is there."""
    return (fold_dir(run_dir, fold) / RESULT).is_file()


def train_folds(
    networks: Networks,
    pairs: Pairs,
    folds: Sequence[Fold],
    plan: Plan,
    run_dir: Path,
    devices: Sequence[jax.Device],
) -> None:
    """Trains and evaluates every fold that is not finished, showing a progress bar.

    A fold ends with ``metrics.jsonl``, ``predictions.csv``, ``synthesis.npz`` and, last, ``result.json`` in
    ``run_dir/folds/<name>``. An unfinished fold goes on from its newest checkpoint.

    Raises:
      ValueError: the networks tell another number of classes apart than the pairs have.
    """
    if networks.classes != len(pairs.classes):
        raise ValueError(f"networks of {networks.classes} classes for pairs of {len(pairs.classes)}")
    todo = [fold for fold in folds if not finished(run_dir, fold)]
    if not todo:
        return
    devices = devices[: math.ceil(len(todo) / plan.folds_per_device)]
    engine = build_engine(networks, devices)
    size = len(devices) * plan.folds_per_device
    groups = [todo[start : start + size] for start in range(0, len(todo), size)]
    with tqdm(total=plan.steps * len(groups), unit="step", dynamic_ncols=True) as bar:
        for index, group in enumerate(groups, start=1):
            bar.set_description(f"folds {len(folds) - len(todo) + 1}-{len(folds)}, group {index}/{len(groups)}")
            _train_group(engine, pairs, group, plan, run_dir, (len(devices), plan.folds_per_device), bar)


def _train_group(
    engine: Engine,
    pairs: Pairs,
    group: Sequence[Fold],
    plan: Plan,
    run_dir: Path,
    layout: tuple[int, int],
    bar: "tqdm[Any]",
) -> None:
    """Trains the folds of one group in step, from their newest common checkpoint, and evaluates them.

    A group smaller than the layout is filled up with copies of its first fold, whose results are dropped: the
    program compiled for a full group serves every group.
    """
    start, compiled = time.perf_counter(), sum(engine.compile_s)
    filled = [*group, *[group[0]] * (math.prod(layout) - len(group))]
    keys = jnp.stack([fold_key(plan.seed, fold.name) for fold in filled])
    states = engine.create(keys.reshape(layout))
    batches = [
        fold_batches(
            pairs, fold.train, batch_size=plan.batch_size, seed=_data_seed(plan.seed, fold), mirror=plan.mirror
        )
        for fold in filled
    ]
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(FoldCheckpoints(fold_dir(run_dir, fold))) for fold in group]
        step = max(set.intersection(*(store.steps() for store in stores)), default=0)
        for store in stores:
            store.discard_after(step)
        spent = {"wall_s": 0.0, "compile_s": 0.0}  # of each fold, before this start
        if step:
            restored = [store.restore(step, _fold_state(states, index)) for index, store in enumerate(stores)]
            restored += [restored[0]] * (len(filled) - len(group))
            for iterator, (_, progress) in zip(batches, restored, strict=True):
                iterator.set_state(progress["iterator"])
            spent = {name: restored[0][1][name] for name in spent}
            states = _stacked([state for state, _ in restored], layout)
        logs = [stack.enter_context(_open_log(fold_dir(run_dir, fold), step)) for fold in group]
        bar.update(step)
        saved = step

        def clock() -> dict[str, float]:
            """Seconds spent so far, a fold's share of its group's."""
            wall, compile_s = time.perf_counter() - start, sum(engine.compile_s) - compiled
            mine = {"wall_s": wall / len(group), "compile_s": compile_s / len(group)}
            return {name: spent[name] + mine[name] for name in spent}

        feed = _feed(batches, plan.steps_per_call, layout)
        content, positions = next(feed)
        while step < plan.steps:
            states, metrics = engine.advance(states, content)
            step, here = step + plan.steps_per_call, positions
            if step < plan.steps:
                content, positions = next(feed)  # while the device works
            _log(logs, bar, step, step / plan.steps_per_epoch, _named(metrics, pairs.classes))
            bar.update(plan.steps_per_call)
            if step - saved >= plan.checkpoint_every or step >= plan.steps:
                now = clock()
                for index, store in enumerate(stores):
                    store.save(_fold_state(states, index), {"iterator": here[index], **now})
                saved = step
        folders = [fold_dir(run_dir, fold) for fold in group]
        evaluate_group(engine, states, pairs, filled, folders, layout, plan.batch_size)
        for fold, folder in zip(group, folders, strict=True):
            who = {"dataset": fold.dataset, "subject": fold.subject, "num_clips": len(fold.test), "steps": step}
            write_json(folder / RESULT, who | clock())


def _data_seed(seed: int, fold: Fold) -> int:
    """A fold's seed for shuffling and mirroring, 0 to 2**32 - 1."""
    return int(jax.random.key_data(fold_key(seed, f"{fold.name} data"))[-1])


def _fold_state(states: TrainState, index: int) -> TrainState:
    """The state of one fold out of arrays with the leading axes [r, f], folds counted through."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[index], states)


def _stacked(states: Sequence[TrainState], layout: tuple[int, int]) -> TrainState:
    """The opposite of ``_fold_state``."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves).reshape(*layout, *leaves[0].shape), *states)


def _feed(
    batches: Sequence[Any], steps: int, layout: tuple[int, int]
) -> Iterator[tuple[dict[str, NDArray[Any]], list[dict[str, Any]]]]:
    """Yields the batches of the next call, arrays [r, f, s, b, ...], and where each fold's iterator then stands."""
    while True:
        drawn = [[next(iterator) for _ in range(steps)] for iterator in batches]
        content = {
            name: np.stack([np.stack([batch[name] for batch in fold]) for fold in drawn])
            for name in ("onset", "apex", "label")
        }
        content = {name: value.reshape(*layout, *value.shape[1:]) for name, value in content.items()}
        yield content, [iterator.get_state() for iterator in batches]


@contextlib.contextmanager
def _open_log(folder: Path, step: int) -> Iterator[Any]:
    """Opens a fold's metrics.jsonl for appending, without what was logged after ``step`` or half written."""
    path = folder / METRICS
    kept = []
    if step and path.is_file():
        for line in path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(kept))
    with path.open("a") as stream:
        yield stream


def _log(logs: Sequence[Any], bar: "tqdm[Any]", step: int, epoch: float, metrics: dict[str, jax.Array]) -> None:
    """Appends a line to every fold's log, and shows the means over the folds beside the bar."""
    values = {name: np.asarray(value).reshape(-1) for name, value in metrics.items()}
    for index, stream in enumerate(logs):
        line = {name: round(float(value[index]), 6) for name, value in values.items()}
        stream.write(json.dumps({"step": step, "epoch": round(epoch, 3), **line}) + "\n")
        stream.flush()
    shown = {"L1": "g_l1", "margin": "d_real_margin", "accuracy": "d_real_accuracy"}
    bar.set_postfix({label: f"{values[name].mean():.3f}" for label, name in shown.items()}, refresh=False)


def _named(metrics: dict[str, jax.Array], classes: Sequence[str]) -> dict[str, jax.Array]:
    """The same with ``..._length_negative`` for ``..._length_0``."""
    parts = {name: name.rpartition("_") for name in metrics}
    return {
        f"{head}_{classes[int(tail)]}" if tail.isdigit() else name: metrics[name]
        for name, (head, _, tail) in parts.items()
    }
