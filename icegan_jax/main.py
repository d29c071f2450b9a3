"""Train and evaluate ICE-GAN: leave one subject out, on a split by subject, or on all subjects without evaluation.

    python -m icegan_jax.main --config=configs/demo.py --workdir=runs/demo

Trains one network per held-out subject, predicts that subject's clips after the last step, and prints UF1 and UAR
pooled over all folds. --config.protocol=split trains one network, and tests a share of the subjects drawn at random;
--config.protocol=all trains one network on all subjects, for use elsewhere: it has no score. The same command again
skips finished folds and resumes an unfinished one. Every field of the config can be changed:
--config.training.steps=200. The results are WORKDIR/results.json, predictions.csv and report/index.html. During the
training: tensorboard --logdir=WORKDIR/tensorboard (install TensorBoard yourself).
"""

import os
import re
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from icegan_jax.cli import expand_home
from icegan_jax.compilation_cache import enable_compilation_cache
from icegan_jax.config import build_models, check_field, load_config, validate
from icegan_jax.config_fields import default_fields
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.dataset import SUMMARY_FILE, load_pairs
from icegan_jax.errors import UserError, describe_os_error, did_you_mean
from icegan_jax.signals import Stopped, handle_signals
from icegan_jax.train import train_and_evaluate
from icegan_jax.training.parameters import parameter_table


class _ConfigFile(flags.ArgumentParser):
    """The parser of --config, which reports errors of a file as ``load_config`` does."""

    def parse(self, argument: str) -> ConfigDict:
        return load_config(argument)


_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The configuration, such as configs/demo.py; --config.FIELD=VALUE changes a field of it."
)
flags.FLAGS["config"].parser = _ConfigFile()
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; made if missing.")
_PARAMETERS = flags.DEFINE_bool(
    "parameters", False, "Print the parameter table of both networks, for the classes of config.data.dir, and exit."
)
_FORCE_RESUME = flags.DEFINE_bool(
    "force_resume",
    False,
    "Continue a run that began with other settings or package versions, where the difference is harmless (the error "
    "message lists the differences); config.json notes them.",
)
_SCHEDULER = flags.DEFINE_string(
    "scheduler", None, "HOST:PORT of a running Dask scheduler, whose workers train; see docs/many-devices.md."
)
_WORKERS = flags.DEFINE_integer(
    "workers", 0, "Train in this number of worker processes on this machine; 0: in this process.", lower_bound=0
)
_COMPILATION_CACHE = flags.DEFINE_string(
    "compilation_cache", None, "Folder for compiled programs; default ~/.cache/icegan-jax; none: no cache."
)

_HELP = {"--help", "-help", "-h"}
_METHOD = "--config.method="
_CHANGED_FIELD = re.compile(r"--?(?:no)?config\.([^=]*)")


def _main(argv: Sequence[str]) -> None:
    """Run the command; print errors in one line."""
    logging.set_verbosity(logging.WARNING)  # TFDS and JAX log every step at INFO
    try:
        with handle_signals():
            _run(argv)
    except UserError as error:
        _exit_with_error(str(error))
    except BrokenProcessPool:
        _exit_with_error(
            "a subprocess that prepared faces was killed, perhaps for lack of memory; free some, or prepare the faces "
            "with python -m icegan_jax.prepare --workers=1 and give --config.data.dir"
        )
    except OSError as error:
        message = describe_os_error(error, _WORKDIR.value or "")
        _exit_with_error(f"{message}, the same command continues from the newest checkpoint")
    except Stopped as stop:
        point = "from there" if stop.saved else "where it stopped"
        print(f"{stop}; the same command continues {point}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(stop.code)  # sys.exit waits for the running call of the program, which may take minutes


def _run(argv: Sequence[str]) -> None:
    """Check the options and train."""
    if argv[1:]:
        raise UserError(f"{argv[1]!r} is not an option; see --help")
    config = _CONFIG.value
    if config is None:
        raise UserError("--config is missing; give --config=configs/demo.py, for example")
    if _PARAMETERS.value:
        validate(config)
        print(parameter_table(build_models(config, steps=1, classes=_num_classes(config))))
        return
    if _WORKDIR.value is None or not _WORKDIR.value.strip():
        raise UserError("--workdir is missing; give --workdir=runs/demo, for example")
    if _SCHEDULER.value and _WORKERS.value:
        raise UserError("--scheduler and --workers exclude each other; give --workers for workers on this machine")
    enable_compilation_cache(_COMPILATION_CACHE.value)
    train_and_evaluate(
        config,
        _WORKDIR.value,
        scheduler=_SCHEDULER.value,
        workers=_WORKERS.value,
        force_resume=_FORCE_RESUME.value,
    )


def _num_classes(config: ConfigDict) -> int:
    """Return the number of classes of the prepared pairs; three if there are no pairs yet."""
    summary = Path(config.data.dir) / SUMMARY_FILE
    is_prepared = bool(config.data.dir) and summary.is_file()  # an empty folder name is not the current folder
    return len(load_pairs(summary.parent).classes if is_prepared else EXPRESSIONS)


def _parse_flags(argv: list[str]) -> list[str]:
    """Parse the flags, and return the other arguments."""
    argv = _with_settings_of_method(expand_home(argv))
    if _HELP & set(argv):
        app.usage(shorthelp=True, writeto_stdout=True, exitcode=0)
    try:
        for argument in argv:
            if match := _CHANGED_FIELD.match(argument):
                check_field(match[1])
        remaining: list[str] = flags.FLAGS(argv)
    except UserError as error:
        _exit_with_error(str(error))
    except flags.UnrecognizedFlagError as error:
        fields = {field.rpartition(".")[2]: f"--config.{field}" for field in default_fields()}
        options = {name: f"--{name}" for name in flags.FLAGS}
        _exit_with_error(
            f"--{error.flagname} is not an option{did_you_mean(error.flagname, fields | options)}; see --help"
        )
    except (flags.Error, TypeError) as error:  # TypeError: another type within a group, --config.loss={"synthesis":""}
        _exit_with_error(" ".join(str(error).split()) + "; see --help")
    return remaining


def _with_settings_of_method(argv: list[str]) -> list[str]:
    """Append the method to --config=configs/baselines.py, whose other fields depend on the method."""
    method = next((argument.removeprefix(_METHOD) for argument in argv if argument.startswith(_METHOD)), "")
    is_file = re.compile(r"--?config=.*baselines\.py").fullmatch
    return [f"{argument}:{method}" if method and is_file(argument) else argument for argument in argv]


def _exit_with_error(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    app.run(_main, flags_parser=_parse_flags)
