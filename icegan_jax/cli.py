"""The command line that all commands share: parsing, one-line errors, exit codes, and the options of a trained run."""

import argparse
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from icegan_jax.errors import UserError, describe_os_error, did_you_mean, escape_unprintable
from icegan_jax.signals import Stopped, handle_signals


class ArgumentParser(argparse.ArgumentParser):
    """``argparse.ArgumentParser`` that keeps the line breaks of its help and accepts no abbreviated option.

    A wrong option ends the command with ``error: <message>; see --help`` on stderr, one line with the most similar
    option or value, and exit code 2, as any other bad input does (``icegan_jax.errors.UserError``).
    """

    def __init__(self, **fields: Any) -> None:
        defaults = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
        super().__init__(**{**defaults, **fields})

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse arguments, in which "~" is the home directory; an unknown option is reported before a missing one."""
        arguments = expand_home(sys.argv[1:] if args is None else args)
        for argument in arguments:
            name = argument.partition("=")[0]
            if re.fullmatch("--[A-Za-z].*", name) and name not in self._option_string_actions:
                self.error(
                    f"unrecognized arguments: {argument}{did_you_mean(name, self._option_string_actions.keys())}"
                )
        return super().parse_args(arguments, namespace)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Check an enumerated value; argparse calls this method."""
        if action.choices is not None and value not in action.choices:
            names = [str(choice) for choice in action.choices]
            message = f"invalid choice: {value!r}{did_you_mean(str(value), names)}; use one of {', '.join(names)}"
            raise argparse.ArgumentError(action, message)

    def error(self, message: str) -> NoReturn:
        """End the command; argparse calls this method."""
        print(f"error: {UserError(f'{message}; see --help')}", file=sys.stderr)
        sys.exit(2)


def run_command(command: Callable[[], int | None], *, stopped: str = "nothing was written") -> int:
    """Run a command, and print an error in its input in one line.

    Args:
        command: returns the exit code, or None for 0.
        stopped: what a stop by a signal leaves, for the message.

    Returns:
        The exit code. 2: bad input, or the file system refuses. 130 and 143: stopped by Ctrl-C or SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names hold what a terminal cannot show
    try:
        with handle_signals():
            return command() or 0
    except UserError as error:
        message, code = str(error), 2
    except OSError as error:
        message, code = describe_os_error(error, "the output"), 2
    except Stopped as stop:
        message, code = f"{stop}; {stopped}", stop.code
    print(f"error: {message}", file=sys.stderr)
    return code


def expand_home(arguments: Iterable[str]) -> list[str]:
    """Return arguments in which a leading "~" is the home directory, also in --name=~/path, where shells leave it."""
    home = os.path.expanduser("~")
    return [re.sub(r"^(--?[\w.]+=)?~(?=/|$)", lambda match: (match[1] or "") + home, text) for text in arguments]


def print_lines(lines: Iterable[str], file: TextIO | None = None) -> None:
    """Print each text on one line, even where the name of a file holds a line break."""
    for line in lines:
        print(escape_unprintable(line), file=file)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add --workdir, --fold, --ensemble, --exclude_subject and --compilation_cache.

    The options arrive as ``workdir`` (Path), ``fold`` and ``exclude_subject`` (str or None), which
    ``icegan_jax.load_run`` takes, and ``compilation_cache`` (str or None), which ``enable_compilation_cache`` takes.
    ``ensemble`` is the default, which the option makes explicit; --ensemble and --fold exclude each other.
    """
    group = parser.add_argument_group("which networks")
    text = "directory of a trained run; nothing in it is changed"
    group.add_argument("--workdir", required=True, type=Path, metavar="RUN", help=text)
    which = group.add_mutually_exclusive_group()
    text = (
        "the networks of this fold only, such as procedural_p01: a fold is named after the subject that its networks "
        "were not trained on"
    )
    which.add_argument("--fold", metavar="FOLD", help=text)
    text = "the mean over the networks of all finished folds (the default)"
    which.add_argument("--ensemble", action="store_true", help=text)
    text = (
        "only networks that were not trained on this subject, as DATASET/SUBJECT or SUBJECT: give it for the face of "
        "one of the run's own subjects"
    )
    group.add_argument("--exclude_subject", metavar="NAME", help=text)
    text = "folder that keeps compiled programs; default: ~/.cache/icegan-jax; none: keep nothing"
    group.add_argument("--compilation_cache", metavar="DIR", help=text)
