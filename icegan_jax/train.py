"""The main job: data, folds, training, scores, report, in a run directory that nobody else works in meanwhile."""

import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import jax
from ml_collections import ConfigDict

from icegan_jax.compilation_cache import CompilationCounter
from icegan_jax.config import build_models, build_train_config, validate
from icegan_jax.data.dataset import SUMMARY_FILE, Pairs, load_pairs, only_database
from icegan_jax.data.folds import Fold, folds_of
from icegan_jax.data.ingest.build import prepare_procedural
from icegan_jax.errors import UserError
from icegan_jax.finalize import finalize_run, set_aside_results, write_partial_results
from icegan_jax.provenance import write_or_compare_config
from icegan_jax.run_dir import CONFIG_FILE, PARTIAL_RESULTS_FILE, is_finished
from icegan_jax.signals import Stopped
from icegan_jax.training.distributed import Coordination, Processes, join_run, start_processes
from icegan_jax.training.fold_result import drop_damaged_results
from icegan_jax.training.loop import train_folds
from icegan_jax.training.monitor import broken_at, forget_failures
from icegan_jax.training.state import TrainConfig


def train_and_evaluate(
    config: ConfigDict, workdir: Path, processes: Processes, lost_s: float, force_resume: bool = False
) -> None:
    """Trains, evaluates and concludes; a run directory of an earlier start is gone on with.

    Of several processes, 0 locks the run directory, prepares the data, deals out the folds and gathers the results.

    Args:
      config: as in ``configs``.
      workdir: the run directory.
      processes: which of several this one is.
      lost_s: seconds without a sign of life after which another process counts as lost.
      force_resume: goes on though something harmless has changed, see ``claim``.

    Raises:
      UserError: anything in the config, the data or the run directory that the user can put right, or a lost process.
      Stopped: by a signal; what was under way is saved.
      OSError: a file cannot be written.
    """
    validate(config)
    data = load_data(config, workdir) if config.data.dir or _drawn(workdir) else None
    with contextlib.ExitStack() as stack:
        token = stack.enter_context(join_run(workdir, lost_s)) if processes.index == 0 else ""
        start_processes(processes)
        compilations = CompilationCounter()
        coordination = stack.enter_context(Coordination(workdir, processes, lost_s, token))
        names = coordination.wait_for_deal() if processes.index else []
        pairs, folds = data or load_data(config, workdir)
        name = write_or_compare_config(_content(config), pairs.fingerprint, workdir, force_resume)
        devices = jax.local_devices()
        side_by_side = math.ceil(len(folds) / processes.count)
        train_config = build_train_config(config, len(pairs.label), side_by_side, len(devices))
        train_config = dataclasses.replace(train_config, run=name)

        def unfinished() -> list[str]:
            return [fold.name for fold in folds if not is_finished(workdir, fold) and not broken_at(workdir, fold)]

        if processes.index == 0:
            _drop_damaged(workdir, folds, pairs, train_config)
            names = coordination.deal(unfinished())
        mine = [fold for fold in folds if fold.name in names] if processes.count > 1 else folds
        who = f"{processes.name}: {len(mine)} of " if processes.count > 1 else ""
        print(
            f"{who}{len(folds)} fold{'s' * (len(folds) > 1)} of {train_config.steps} steps, "
            f"{len(pairs.label)} pairs of {int((pairs.shift == 0).sum())} clips, "
            f"{len(devices)} x {devices[0].device_kind}",
            flush=True,
        )
        models = build_models(config, train_config.steps, len(pairs.classes))
        if processes.index:
            train_folds(models, pairs, mine, train_config, workdir, devices, processes)
            coordination.leave(unfinished)
            ended = sum(is_finished(workdir, fold) for fold in mine)
            done = f"{processes.name}: {ended} of {len(mine)} folds finished"
            print(f"{done}{compilations}; process 0 gathers the results")
            return
        try:
            train_folds(models, pairs, mine, train_config, workdir, devices, processes)
            coordination.gather(unfinished)
        except (UserError, OSError, Stopped):
            _conclude_partly(pairs, folds, workdir, config.seed)
            raise
        if broken := _broken(workdir, folds):
            path = _conclude_partly(pairs, folds, workdir, config.seed)
            raise UserError(_without(broken, len(folds), path))
        finalize_run(
            pairs,
            folds,
            workdir,
            selection=config.evaluation.selection,
            evaluated=train_config.evaluate_every > 0,
            oracle=config.evaluation.oracle,
            seed=config.seed,
            batch_size=config.training.batch_size,
            processes=processes.count,
            compiled=str(compilations),
        )


def load_data(config: ConfigDict, workdir: Path) -> tuple[Pairs, list[Fold]]:
    """The prepared pairs and the folds; procedural faces are drawn and prepared first where ``data.dir`` is empty.

    Raises:
      UserError: the faces are missing, damaged, or not those that the config is for.
    """
    folder = Path(config.data.dir or workdir / "data")
    if not config.data.dir and not _drawn(workdir):
        drawn = config.data.procedural
        prepare_procedural(
            folder,
            seed=config.seed,
            subjects=drawn.subjects,
            clips_per_class=drawn.clips_per_class,
            frames=drawn.frames,
        )
    pairs = _load(folder, drawn=not config.data.dir)
    if config.data.database:
        pairs = only_database(pairs, config.data.database)
    size = pairs.onset.shape[1]
    if size != config.model.image_size:
        raise UserError(
            f"{folder}: faces of {size} pixels, but config.model.image_size is {config.model.image_size}; "
            f"set --config.model.image_size={size} or prepare with --size={config.model.image_size}"
        )
    folds = folds_of(
        pairs,
        protocol=config.protocol,
        share=config.split_share,
        inner_share=config.evaluation.inner_share,
        seed=config.seed,
    )
    return pairs, folds


def _load(folder: Path, drawn: bool) -> Pairs:
    """See ``load_pairs``; of faces that the run drew itself, the remedy is to have them drawn again."""
    try:
        return load_pairs(folder)
    except UserError as error:
        if not drawn:
            raise
        what = str(error).rpartition("; ")[0] or str(error)
        raise UserError(f"{what}; remove {folder}, and the same command draws the same faces again") from error


def _content(config: ConfigDict) -> dict[str, Any]:
    """All fields of a config as JSON has them."""
    return cast(dict[str, Any], json.loads(config.to_json()))


def _drawn(workdir: Path) -> bool:
    """Whether the run has faces of its own; those of a start that ended before config.json may be any."""
    return (workdir / "data" / SUMMARY_FILE).is_file() and (workdir / CONFIG_FILE).is_file()


def _drop_damaged(workdir: Path, folds: Sequence[Fold], pairs: Pairs, train_config: TrainConfig) -> None:
    """Before anybody trains: folds whose files are damaged run again, results of an earlier state step aside."""
    drop_damaged_results(workdir, folds, pairs, train_config, _warn)
    forget_failures(workdir, folds)
    if not all(is_finished(workdir, fold) for fold in folds):
        set_aside_results(workdir)


def _broken(workdir: Path, folds: Sequence[Fold]) -> dict[str, str]:
    """The folds whose numbers went wrong, and where."""
    return {fold.name: why for fold in folds if (why := broken_at(workdir, fold))}


def _conclude_partly(pairs: Pairs, folds: Sequence[Fold], workdir: Path, seed: int) -> Path | None:
    """See ``conclude_partly``; on a full disk, say, there is none: what stopped the run is the thing to tell."""
    with contextlib.suppress(OSError, UserError):
        return write_partial_results(pairs, folds, workdir, seed=seed, missing=_broken(workdir, folds))
    return None


def _without(broken: Mapping[str, str], count: int, path: Path | None) -> str:
    """The line of a run that went on without some folds."""
    folds = ", ".join(f"{name} ({why})" for name, why in broken.items())
    others = f"{path} holds the score of the others; " if path else ""
    return (
        f"{len(broken)} of {count} folds without result, since their numbers went wrong: {folds}; {others}"
        f"no {PARTIAL_RESULTS_FILE.replace('.partial', '')} is written: "
        "lower --config.training.learning_rate in a new --workdir"
    )


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr, flush=True)
