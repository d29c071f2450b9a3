"""Trains and evaluates ICE-GAN, leave one subject out.

    python -m icegan_jax.main --config=configs/demo.py --workdir=runs/demo

Trains one network per held-out subject, predicts that subject's clips after the last step, and prints UF1 and UAR
pooled over all folds. The same command again skips finished folds and resumes an unfinished one. Every field of
the config can be changed: --config.training.steps=200. What a run leaves: WORKDIR/results.json, predictions.csv,
report/index.html.
"""

import json
import os
import platform
import resource
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import jax
from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from icegan_jax import __version__, settings
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.dataset import SUMMARY_FILE, Pairs, load_pairs
from icegan_jax.data.folds import Fold, leave_one_subject_out
from icegan_jax.data.preparing.preparation import prepare_procedural
from icegan_jax.errors import UserError
from icegan_jax.evaluation.baselines import linear_on_apex_pixels
from icegan_jax.evaluation.records import (
    Prediction,
    Score,
    Timing,
    build_results,
    read_json,
    read_predictions,
    score,
    write_json,
    write_predictions,
)
from icegan_jax.evaluation.table import format_table, score_rows
from icegan_jax.report import write_report
from icegan_jax.training.loop import RESULT, fold_dir, train_folds
from icegan_jax.training.parameters import parameter_table

_CONFIG = config_flags.DEFINE_config_file("config", None, "The configuration, such as configs/demo.py.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; made if need be.")
_PARAMETERS = flags.DEFINE_bool(
    "parameters", False, "Print the parameter table of both networks, for the classes of config.data.dir, and exit."
)

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def run(config: ConfigDict, workdir: Path) -> None:
    """The main job: data, folds, training, scores, report.

    Raises:
      UserError: anything in the config, the data or the run directory that the user can put right.
    """
    settings.check(config)
    pairs = _pairs(config, workdir)
    folds = leave_one_subject_out(pairs)
    _claim(config, pairs, workdir)
    devices = jax.local_devices()
    plan = settings.plan_of(config, len(pairs.label), len(folds), len(devices))
    print(
        f"{len(folds)} folds of {plan.steps} steps, {len(pairs.label)} pairs of "
        f"{int((pairs.shift == 0).sum())} clips, {len(devices)} x {devices[0].device_kind}",
        flush=True,
    )
    networks = settings.networks_of(config, plan.steps, len(pairs.classes))
    train_folds(networks, pairs, folds, plan, workdir, devices)
    _conclude(config, pairs, folds, workdir)


def _pairs(config: ConfigDict, workdir: Path) -> Pairs:
    """The prepared pairs; procedural ones are drawn and prepared first where ``data.dir`` is empty."""
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
    size = pairs.onset.shape[1]
    if size != config.model.image_size:
        raise UserError(
            f"{folder}: faces of {size} pixels, but config.model.image_size is {config.model.image_size}; "
            f"set --config.model.image_size={size} or prepare with --size={config.model.image_size}"
        )
    return pairs


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
    theirs = _flat(read_json(path))
    for field, value in _flat(mine).items():
        if theirs.get(field) != value:
            raise UserError(
                f"{path}: the run began with {field}={theirs.get(field)!r}, now it is {value!r}; "
                "repeat the old command to go on, or choose another --workdir"
            )


def _flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _conclude(config: ConfigDict, pairs: Pairs, folds: Sequence[Fold], workdir: Path) -> None:
    """Pools the folds' predictions, writes the scores and the report, prints the table."""
    predictions = _predictions(pairs, folds, workdir)
    write_predictions(workdir / "predictions.csv", predictions, pairs.classes)
    timing = _timing(config, folds, workdir)
    results = build_results(
        predictions,
        pairs.classes,
        protocol="leave one subject out",
        selection="last",
        seed=config.seed,
        timing=timing,
        versions=_versions(),
        data_fingerprint=pairs.fingerprint,
        references={"linear_on_apex_pixels": _linear_reference(pairs)},
    )
    write_json(workdir / "results.json", results)
    page = write_report(workdir)
    print(format_table(score_rows(results)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB
    print(
        f"{timing.wall_s:.0f} s, {timing.compile_s:.0f} of them compiling; "
        f"{1 / timing.steps_per_s:.2f} s per update of one fold; peak memory {peak:.1f} GiB"
    )
    print(f"scores: {workdir / 'results.json'}\nreport: {page}")


def _predictions(pairs: Pairs, folds: Sequence[Fold], workdir: Path) -> list[Prediction]:
    """What the folds predicted, one row per clip."""
    predictions = []
    for fold in folds:
        path = fold_dir(workdir, fold) / "predictions.csv"
        classes, rows = read_predictions(path)
        if classes != pairs.classes:
            raise UserError(
                f"{path}: its classes are {', '.join(classes)}, the data's {', '.join(pairs.classes)}; "
                "remove the fold's folder to train it again"
            )
        predictions += rows
    return predictions


def _timing(config: ConfigDict, folds: Sequence[Fold], workdir: Path) -> Timing:
    """Sums the folds' times: of a group that trained side by side, each fold holds its share."""
    results = [read_json(fold_dir(workdir, fold) / RESULT) for fold in folds]
    wall, compile_s, steps = (sum(float(r[key]) for r in results) for key in ("wall_s", "compile_s", "steps"))
    rate = steps / (wall - compile_s)
    return Timing(wall_s=wall, compile_s=compile_s, steps_per_s=rate, faces_per_s=rate * config.training.batch_size)


def _linear_reference(pairs: Pairs) -> Score:
    """What a linear classifier on the raw apex pixels scores on the same folds: the shortcut to stay above."""
    people = list(zip(pairs.dataset.tolist(), pairs.subject.tolist(), strict=True))
    apexes = pairs.shift == 0
    number = len(pairs.classes)
    guesses = linear_on_apex_pixels(pairs.apex, pairs.label, people, pairs.shift, num_classes=number)
    tested = [who for who, is_apex in zip(people, apexes, strict=True) if is_apex]
    return score(pairs.label[apexes].tolist(), guesses.tolist(), tested, number)


def _versions() -> dict[str, str]:
    versions = {"icegan-jax": __version__, **{name: metadata.version(name) for name in _PACKAGES}}
    device = jax.local_devices()[0]
    machine = f"{jax.local_device_count()} x {device.device_kind}, {os.cpu_count()} CPU cores, {platform.machine()}"
    return {"python": platform.python_version(), **versions, "machine": machine}


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
        run(config, Path(_WORKDIR.value))
    except UserError as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on from the newest checkpoint", 130)


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
