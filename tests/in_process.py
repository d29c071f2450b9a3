"""The main command in this process: a subprocess would take six seconds to start."""

import sys
from collections.abc import Sequence
from unittest import mock

from absl.testing import flagsaver

from icegan_jax import main


def run_main(arguments: Sequence[str]) -> int:
    """Run ``python -m icegan_jax.main ARGUMENTS`` with the flags of this process; return the exit code."""
    argv = ["main", *arguments]
    with flagsaver.flagsaver(), mock.patch.object(sys, "argv", argv):  # ml_collections reads sys.argv
        try:
            main._main(main._parse_flags(argv))
        except SystemExit as end:
            return int(end.code or 0)
    return 0
