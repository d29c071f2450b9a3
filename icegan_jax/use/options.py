"""The options of every command that asks a run's trained networks: which run, and which of its networks."""

import argparse
from pathlib import Path


def add_model_options(parser: argparse.ArgumentParser) -> None:
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
