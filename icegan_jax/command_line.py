"""The command line of every command: help as it was written, and what is wrong with the options in one line."""

import argparse
import sys
from typing import Any, NoReturn

from icegan_jax.errors import UserError


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
