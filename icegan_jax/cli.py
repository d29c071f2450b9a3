"""The command line of every command: help as it was written, and what is wrong with the options in one line.

The options of every command that asks a run's trained networks: which run, and which of its networks.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from icegan_jax.errors import UserError, describe_os_error
from icegan_jax.signals import Stopped, handle_signals


class ArgumentParser(argparse.ArgumentParser):
    """``argparse.ArgumentParser`` that keeps the line breaks of its help, and takes no option that is cut short.

    A wrong option ends the command with ``error: <message>; see --help`` on stderr, one line, and exit code 2, as
    every other bad input does (``icegan_jax.errors.UserError``).
    """

    def __init__(self, **fields: Any) -> None:
        ours = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
        super().__init__(**{**ours, **fields})

    def error(self, message: str) -> NoReturn:
        """Ends the command; called by argparse."""
        print(f"error: {UserError(f'{message}; see --help')}", file=sys.stderr)
        sys.exit(2)


def run_command(action: Callable[[], None]) -> int:
    """Runs a command's work, and says in one line what is wrong with its input; returns the exit code.

    0: done. 2: bad input, or the file system refuses. 130 and 143: stopped by Ctrl-C or SIGTERM; what was being written
    is not there.
    """
    try:
        with handle_signals():
            action()
    except UserError as error:
        message, code = str(error), 2
    except OSError as error:
        message, code = describe_os_error(error, "the output"), 2
    except Stopped as stop:
        message, code = f"{stop}; nothing was written", stop.code
    else:
        return 0
    print(f"error: {message}", file=sys.stderr)
    return code


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Adds --workdir, --fold, --ensemble, --exclude_subject and --compilation_cache.

    They arrive as ``workdir`` (Path), ``fold`` and ``exclude_subject`` (str or None), which ``use.model.load_model``
    takes, and ``compilation_cache`` (str or None), which ``compilation.switch_cache_on`` takes. ``ensemble`` says what
    is done anyway: it is there to be written down, and to be refused beside --fold.
    """
    group = parser.add_argument_group("which networks")
    text = "directory of a run that main trained; nothing in it is changed"
    group.add_argument("--workdir", required=True, type=Path, metavar="RUN", help=text)
    which = group.add_mutually_exclusive_group()
    text = (
        "the networks of this fold alone, such as procedural_p01: a fold is named after the person whom its networks "
        "never saw"
    )
    which.add_argument("--fold", metavar="FOLD", help=text)
    text = "the mean over the networks of all finished folds (the default)"
    which.add_argument("--ensemble", action="store_true", help=text)
    text = (
        "only networks that were never trained on this person, as DATASET/SUBJECT or SUBJECT: give it for a face that "
        "is among the run's own, so that the answer is one for a stranger"
    )
    group.add_argument("--exclude_subject", metavar="NAME", help=text)
    text = "folder that keeps compiled programs; ~/.cache/icegan-jax if not given, none: nothing"
    group.add_argument("--compilation_cache", metavar="DIR", help=text)
