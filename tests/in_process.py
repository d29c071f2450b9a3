"""The main command in this process: a subprocess would take six seconds to start."""

from collections.abc import Sequence

from absl.testing import flagsaver

from icegan_jax import main


def run_main(arguments: Sequence[str]) -> int:
    """Run ``python -m icegan_jax.main ARGUMENTS`` with the flags of this process; return the exit code."""
    with flagsaver.flagsaver():
        try:
            main._main(main._parse_flags(["main", *arguments]))
        except SystemExit as end:
            return int(end.code or 0)
    return 0
