"""Trains and evaluates ICE-GAN, leave one subject out or on a split by people, or trains it on everybody.

    python -m icegan_jax.main --config=configs/demo.py --workdir=runs/demo

Trains one network per held-out subject, predicts that subject's clips after the last step, and prints UF1 and UAR
pooled over all folds. --config.protocol=split trains one network, and tests a share of the people drawn at random;
--config.protocol=all trains one on everybody, to be used elsewhere: it has no score. The same command again skips
finished folds and resumes an unfinished one. Every field of the config can be changed: --config.training.steps=200.
What a run leaves: WORKDIR/results.json, predictions.csv, report/index.html. To watch it meanwhile:
tensorboard --logdir=WORKDIR/tensorboard (TensorBoard is to be installed by yourself).
"""

import os
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict

from icegan_jax.compilation_cache import enable_compilation_cache
from icegan_jax.config import build_models, load_config, split_changes, validate
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.dataset import SUMMARY_FILE, load_pairs
from icegan_jax.errors import UserError, describe_os_error
from icegan_jax.signals import Stopped, handle_signals
from icegan_jax.train import train_and_evaluate
from icegan_jax.training.distributed import LOST_S, find_processes
from icegan_jax.training.parameters import parameter_table

_CONFIG = flags.DEFINE_string(
    "config", None, "The configuration, such as configs/demo.py; --config.FIELD=VALUE changes a field of it."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; made if need be.")
_PARAMETERS = flags.DEFINE_bool(
    "parameters", False, "Print the parameter table of both networks, for the classes of config.data.dir, and exit."
)
_FORCE_RESUME = flags.DEFINE_bool(
    "force_resume",
    False,
    "Go on with a run that began with other settings, code or packages, where the change is harmless (the refusal says "
    "what is); config.json notes it.",
)

_HELP = {"--help", "-help", "-h"}

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


def _number_of_classes(config: ConfigDict) -> int:
    """How many classes the prepared pairs have; three where there are none yet."""
    folder = Path(config.data.dir)
    return len(load_pairs(folder).classes if (folder / SUMMARY_FILE).is_file() else EXPRESSIONS)


def _command(argv: Sequence[str]) -> None:
    logging.set_verbosity(logging.WARNING)  # TFDS and JAX announce what they do
    try:
        with handle_signals():
            _start(argv)
    except UserError as error:
        _fail(str(error), 2)
    except BrokenProcessPool:
        _fail(
            "a process that prepared faces was ended from outside, for want of memory perhaps; free some, or prepare "
            "them with python -m icegan_jax.prepare --workers=1 and give --config.data.dir",
            2,
        )
    except OSError as error:
        said = describe_os_error(error, _WORKDIR.value or "")
        _fail(f"{said}, the same command goes on from the newest checkpoint", 2)
    except Stopped as stop:
        place = "from there" if stop.where else "where it was"
        print(f"{stop}; the same command goes on {place}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(stop.code)  # sys.exit waits for the call under way, which may take minutes


def _start(argv: Sequence[str]) -> None:
    others, changes = split_changes(argv[1:])
    if others:
        raise UserError(f"{others[0]!r} is not an option; see --help")
    if _CONFIG.value is None:
        raise UserError("--config is missing; give --config=configs/demo.py, for example")
    config = load_config(_CONFIG.value, changes)
    if _PARAMETERS.value:
        validate(config)
        print(parameter_table(build_models(config, steps=1, classes=_number_of_classes(config))))
        return
    if _WORKDIR.value is None or not _WORKDIR.value.strip():
        raise UserError("--workdir is missing; give --workdir=runs/demo, for example")
    processes = find_processes(os.environ, _COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
    enable_compilation_cache(_COMPILATION_CACHE.value)
    train_and_evaluate(config, Path(_WORKDIR.value), processes, _LOST_AFTER.value, _FORCE_RESUME.value)


def _parse(argv: list[str]) -> list[str]:
    """Parses the flags, and hands on the changes of the config; a wrong one is a line and exit code 2."""
    try:
        others, changes = split_changes(argv)
        if _HELP & set(argv):
            app.usage(shorthelp=True, writeto_stdout=True, exitcode=0)
        left = flags.FLAGS(others)
    except (flags.Error, UserError) as error:
        see = "" if "--help" in str(error) else "; see --help"
        _fail(" ".join(str(error).split()) + see, 2)
        raise AssertionError from error  # not reached: _fail exits
    return [*left, *changes]


def _fail(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    app.run(_command, flags_parser=_parse)
