"""The command line of every command: help as it was written, and what is wrong with the options in one line."""

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from icegan_jax.errors import UserError, what_the_system_said
from icegan_jax.stopping import Stopped, listening


class Parser(argparse.ArgumentParser):
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


def answered(action: Callable[[], None]) -> int:
    """Runs a command's work, and says in one line what is wrong with its input; returns the exit code.

    0: done. 2: bad input, or the file system refuses. 130 and 143: stopped by Ctrl-C or SIGTERM; what was being written
    is not there.
    """
    try:
        with listening():
            action()
    except UserError as error:
        message, code = str(error), 2
    except OSError as error:
        message, code = what_the_system_said(error, "the output"), 2
    except Stopped as stop:
        message, code = f"{stop}; nothing was written", stop.code
    else:
        return 0
    print(f"error: {message}", file=sys.stderr)
    return code
