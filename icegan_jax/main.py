"""Trains and evaluates ICE-GAN, leave one subject out or on a split by people.

    python -m icegan_jax.main --config=configs/demo.py --workdir=runs/demo

Trains one network per held-out subject, predicts that subject's clips after the last step, and prints UF1 and UAR
pooled over all folds. --config.protocol=split trains one network, and tests a share of the people drawn at random.
The same command again skips finished folds and resumes an unfinished one. Every field of the config can be changed:
--config.training.steps=200. What a run leaves: WORKDIR/results.json, predictions.csv, report/index.html.
"""

import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from icegan_jax import settings
from icegan_jax.compilation import Compilations, default_cache, keep_programs
from icegan_jax.conclusion import conclude
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.dataset import SUMMARY_FILE, Pairs, load_pairs, only_database
from icegan_jax.data.folds import Fold, folds_of
from icegan_jax.data.preparing.preparation import prepare_procedural
from icegan_jax.errors import UserError
from icegan_jax.evaluation.files import read_json, write_json
from icegan_jax.training.loop import train_folds
from icegan_jax.training.meeting import LOST_S, Meeting, take
from icegan_jax.training.parameters import parameter_table
from icegan_jax.training.plan import finished
from icegan_jax.training.processes import Processes, find_processes, start_processes

_CONFIG = config_flags.DEFINE_config_file("config", None, "The configuration, such as configs/demo.py.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; made if need be.")
_PARAMETERS = flags.DEFINE_bool(
    "parameters", False, "Print the parameter table of both networks, for the classes of config.data.dir, and exit."
)

# Several processes, see docs/many-devices.md; under srun and mpirun none of the three is needed.
_COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, of several started by hand.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many processes were started by hand.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Which of them this one is, from 0.")
_LOST_AFTER = flags.DEFINE_float(
    "lost_after", LOST_S, "Seconds without a sign of life after which another process counts as lost.", lower_bound=4
)
_COMPILATION_CACHE = flags.DEFINE_string(
    "compilation_cache", None, "Folder that keeps compiled programs; ~/.cache/icegan-jax if not given, none: nothing."
)


def run(config: ConfigDict, workdir: Path, processes: Processes, lost_s: float) -> None:
    """The main job: data, folds, training, scores, report.

    Of several processes, 0 prepares the data, deals out the folds and gathers the results.

    Raises:
      UserError: anything in the config, the data or the run directory that the user can put right, or a lost process.
    """
    settings.check(config)
    ready = Path(config.data.dir or workdir / "data") / SUMMARY_FILE
    data = _data(config, workdir) if config.data.dir or ready.is_file() else None
    if processes.index == 0:
        take(workdir, lost_s)
    start_processes(processes)
    compilations = Compilations()
    with Meeting(workdir, processes, lost_s) as meeting:
        names = meeting.wait_for_deal() if processes.index else []
        pairs, folds = data or _data(config, workdir)
        _claim(config, pairs, workdir)

        def unfinished() -> list[str]:
            return [fold.name for fold in folds if not finished(workdir, fold)]

        names = names if processes.index else meeting.deal(unfinished())
        mine = [fold for fold in folds if fold.name in names] if processes.count > 1 else folds
        devices = jax.local_devices()
        side_by_side = math.ceil(len(folds) / processes.count)
        plan = settings.plan_of(config, len(pairs.label), side_by_side, len(devices))
        who = f"{processes.name}: {len(mine)} of " if processes.count > 1 else ""
        print(
            f"{who}{len(folds)} fold{'s' * (len(folds) > 1)} of {plan.steps} steps, {len(pairs.label)} pairs of "
            f"{int((pairs.shift == 0).sum())} clips, {len(devices)} x {devices[0].device_kind}",
            flush=True,
        )
        networks = settings.networks_of(config, plan.steps, len(pairs.classes))
        train_folds(networks, pairs, mine, plan, workdir, devices, processes)
        if processes.index:
            meeting.leave(unfinished)
            done = f"{processes.name}: {len(mine)} of {len(mine)} folds finished"
            print(f"{done}{compilations}; process 0 gathers the results")
            return
        meeting.gather(unfinished)
        conclude(
            pairs,
            folds,
            workdir,
            selection=config.evaluation.selection,
            evaluated=plan.evaluate_every > 0,
            oracle=config.evaluation.oracle,
            seed=config.seed,
            batch_size=config.training.batch_size,
            processes=processes.count,
            compiled=str(compilations),
        )


def _data(config: ConfigDict, workdir: Path) -> tuple[Pairs, list[Fold]]:
    """The prepared pairs and the folds; procedural faces are drawn and prepared first where ``data.dir`` is empty."""
    folder = Path(config.data.dir or workdir / "data")
    if not config.data.dir and not (folder / SUMMARY_FILE).is_file():
        drawn = config.data.procedural
        prepare_procedural(
            folder,
            seed=config.seed,
            subjects=drawn.subjects,
            clips_per_class=drawn.clips_per_class,
            frames=drawn.frames,
        )
    pairs = load_pairs(folder)
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


def _number_of_classes(config: ConfigDict) -> int:
    """How many classes the prepared pairs have; three where there are none yet."""
    folder = Path(config.data.dir)
    return len(load_pairs(folder).classes if (folder / SUMMARY_FILE).is_file() else EXPRESSIONS)


def _claim(config: ConfigDict, pairs: Pairs, workdir: Path) -> None:
    """Writes config.json, or refuses a run directory that another config or other data began."""
    path = workdir / "config.json"
    mine = {**json.loads(config.to_json()), "data_fingerprint": pairs.fingerprint}
    if not path.exists():
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            write_json(path, mine)
        except OSError as error:
            raise UserError(f"{workdir}: cannot be written ({error.strerror}); choose another --workdir") from None
        return
    theirs, ours = _flat(read_json(path)), _flat(mine)
    missing = [field for field in ours if field not in theirs]
    if missing:
        raise UserError(
            f"{path}: the run began without {missing[0]}, with an older version; choose another --workdir to train anew"
        )
    for field, value in ours.items():
        if theirs[field] != value:
            raise UserError(
                f"{path}: the run began with {field}={theirs[field]!r}, now it is {value!r}; "
                "repeat the old command to go on, or choose another --workdir"
            )


def _flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _command(argv: Sequence[str]) -> None:
    logging.set_verbosity(logging.WARNING)  # TFDS and JAX announce what they do
    try:
        if len(argv) > 1:
            raise UserError(f"{argv[1]!r} is not an option; see --help")
        config = _config()
        if _PARAMETERS.value:
            settings.check(config)
            print(parameter_table(settings.networks_of(config, steps=1, classes=_number_of_classes(config))))
            return
        if not _WORKDIR.value:
            raise UserError("--workdir is missing; give --workdir=runs/demo, for example")
        processes = find_processes(os.environ, _COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
        _keep_programs()
        run(config, Path(_WORKDIR.value), processes, _LOST_AFTER.value)
    except UserError as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on from the newest checkpoint", 130)


def _keep_programs() -> None:
    """Switches the compilation cache on; a run goes on without it where its folder does not serve."""
    if _COMPILATION_CACHE.value == "none":
        return
    folder = Path(_COMPILATION_CACHE.value) if _COMPILATION_CACHE.value else default_cache(os.environ)
    why = keep_programs(folder)
    if why:
        print(f"compiled programs are not kept ({why}); give --compilation_cache=DIR", file=sys.stderr)


def _config() -> ConfigDict:
    """The loaded config; a file that cannot be loaded shows only when its first field is read."""
    if _CONFIG.value is None:
        raise UserError("--config is missing; give --config=configs/demo.py, for example")
    try:
        _CONFIG.value.keys()
    except OSError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise UserError(f"--config cannot be loaded: {reason}; configs/ holds those that come along") from None
    return _CONFIG.value


def _parse(argv: list[str]) -> list[str]:
    """Parses the flags; a wrong one is a line and exit code 2."""
    try:
        return app.parse_flags_with_usage(argv) if "--help" in argv else flags.FLAGS(argv)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        _fail(" ".join(str(error.args[0] if error.args else error).split()), 2)
        raise AssertionError from error  # not reached: _fail exits


def _fail(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    app.run(_command, flags_parser=_parse)
