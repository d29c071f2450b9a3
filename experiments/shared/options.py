"""The command line shared by all experiments, and the presets: small networks, or the paper's on the databases."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from icegan_jax import cli
from icegan_jax.cli import ArgumentParser
from icegan_jax.errors import UserError

_HELP = """
presets:
  demo   small networks on drawn faces, or on any prepared folder with --data: minutes on two CPU cores
  full   the paper's networks and number of epochs on the licensed databases (--data=DATA, as prepare wrote it)

Finished runs are kept in OUT/runs and reused by all experiments that need the same run; an interrupted run resumes from
its newest checkpoint. Every field of the configuration can be changed for all runs: --config.training.steps=200.
"""


@dataclass(frozen=True)
class Preset:
    """A configuration and its data.

    Attributes:
      config: name of a file in configs/.
      drawn: whether faces are drawn where no data are given; otherwise the data of the configuration are needed.
      split: fields that are changed for runs on a split by subjects, in addition to ``faces.split_fields``.
      synthesis: fields that are changed for runs whose synthetic faces are scored.
    """

    config: str
    drawn: bool
    split: dict[str, object]
    synthesis: dict[str, object]


# On a split the demo's discriminator is also trained to recognize synthetic faces, as in the paper. In configs/demo.py
# the discriminator is not, and the generator has hardly any effect on recognition (UF1 0.908 to 0.920 for A to F).
# Synthesis needs more steps than recognition: after the 70 steps of configs/demo.py the faces of the LOSO runs move a
# third as far as the real faces, and 0.61, 0.60 and 0.94 of the change lies in the muscles' regions (negative,
# positive, surprise). One fold of 200 steps takes a third of the time of the eight folds of 70 steps.
PRESETS = {
    "demo": Preset(
        "demo",
        drawn=True,
        split={"training.steps": 50, "loss.synthetic_recognition": 1.0},
        synthesis={"protocol": "split", "training.steps": 200},
    ),
    "full": Preset("loso", drawn=False, split={}, synthesis={}),
}


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
    parser = ArgumentParser(description=doc, epilog=_HELP)
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
    """Run an experiment's main and return the exit code, see ``icegan_jax.cli.run_command``."""
    return cli.run_command(lambda: main(argv), stopped="the same command goes on from the newest checkpoint")
