"""The main command without a process of its own, which takes six seconds of computing to start."""

from collections.abc import Sequence

from absl.testing import flagsaver

from icegan_jax import main


def run_main(arguments: Sequence[str]) -> int:
    """``python -m icegan_jax.main ARGUMENTS``, whose flags are those of this process; returns the exit code."""
    with flagsaver.flagsaver():
        try:
            main._main(main._parse_flags(["main", *arguments]))
        except SystemExit as end:
            return int(end.code or 0)
    return 0
