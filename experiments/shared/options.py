"""The command line shared by all experiments: options, and errors in one line."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from experiments.shared.presets import PRESETS
from icegan_jax.errors import UserError, describe_os_error
from icegan_jax.signals import Stopped, handle_signals

_HELP = """
presets:
  demo   small networks on drawn faces, or on any prepared folder with --data: minutes on two CPU cores
  full   the paper's networks and number of epochs on the licensed databases (--data=DATA, as prepare wrote it)

Finished runs are kept in OUT/runs and reused by all experiments that need the same run; an interrupted run resumes from
its newest checkpoint. Every field of the configuration can be changed for all runs: --config.training.steps=200.
"""


@dataclass(frozen=True)
class Options:
    """The options of an experiment.

    Attributes:
      preset: ``demo`` or ``full``.
      data: a prepared folder; empty for the data of the preset.
      out: folder of runs and tables.
      seeds: number of runs of each kind, with the seeds 0, 1, ...
      fields: ``(field, value as text)`` of the configuration, changed for all runs.
      force_resume: see ``icegan_jax.train.train_and_evaluate``.
    """

    preset: str
    data: str
    out: Path
    seeds: int
    fields: tuple[tuple[str, str], ...] = ()
    force_resume: bool = False


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see --help")


def parse_options(
    doc: str | None, argv: Sequence[str] | None, add: Callable[[argparse.ArgumentParser], None] | None = None
) -> tuple[Options, argparse.Namespace]:
    """Parse the command line.

    Args:
      doc: description of the experiment.
      argv: the options; None for those of the process.
      add: adds the experiment's own options to the parser.

    Raises:
      UserError: an option is invalid.
    """
    parser = _Parser(
        description=doc, epilog=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), default="demo", help="how large (default: demo)")
    parser.add_argument("--data", default="", metavar="DATA", help="a folder that prepare wrote")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/experiments"), help="folder of runs and tables (default: %(default)s)"
    )
    parser.add_argument(
        "--force_resume",
        action="store_true",
        help="go on with runs that began with another version of the program or of packages; config.json notes it",
    )
    parser.add_argument("--seeds", type=int, default=3, help="runs of each kind (default: 3)")
    if add is not None:
        add(parser)
    args, rest = parser.parse_known_args(argv)
    if args.seeds < 1:
        raise UserError(f"--seeds={args.seeds}: give 1 or more; see --help")
    fields = []
    for text in rest:
        name, equals, value = text.partition("=")
        if not name.startswith("--config.") or not equals:
            raise UserError(f"{text!r} is not an option; see --help")
        fields.append((name.removeprefix("--config."), value))
    return Options(args.preset, args.data, args.out, args.seeds, tuple(fields), args.force_resume), args


def run_command(main: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None) -> int:
    """Run an experiment's main and return the exit code: 2 after an error in one line, 130 or 143 after a signal."""
    try:
        with handle_signals():
            main(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {describe_os_error(error, 'a file')}, then run the same command", file=sys.stderr)
        return 2
    except Stopped as stop:
        print(f"{stop}; the same command goes on from the newest checkpoint", file=sys.stderr)
        return stop.code
    return 0
