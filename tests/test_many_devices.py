"""docs/many-devices.md: its commands name flags and fields that exist, and values that are accepted."""

import re
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from configs import loso
from icegan_jax import main
from icegan_jax.config import validate
from icegan_jax.training.distributed import find_processes

PAGE = (Path(__file__).parents[1] / "docs" / "many-devices.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [
    command
    for block in BLOCKS
    for command in block.replace("\\\n", " ").splitlines()
    if "python -m icegan_jax.main" in command
]
LAUNCHERS = ("nodes", "ntasks-per-node", "gpus-per-node", "gpus-per-task", "no-kill", "kill-on-bad-exit", "wait")
LAUNCHERS += ("host", "map-by", "enable-recovery")  # srun(1), sbatch(1), mpirun(1)


def field(config: ConfigDict, path: str) -> object:
    value = config
    for name in path.split("."):
        value = value[name]
    return value


def test_the_page_shows_every_way_to_start() -> None:
    assert len(COMMANDS) == 6
    for word in ("srun", "mpirun", "--process_id=0", "--process_id=1", "CUDA_VISIBLE_DEVICES"):
        assert word in PAGE


def test_every_option_on_the_page_exists() -> None:
    config = loso.get_config()
    named = re.findall(r"--([A-Za-z_][\w.-]*)(?:=(\S+?))?(?=[\s`)*;:,]|$)", PAGE)
    assert {name for name, _ in named} >= {"coordinator", "lost_after", "compilation_cache", "config.training.parallel"}
    for name, value in named:
        if name.startswith("config."):
            old = field(config, name.removeprefix("config."))
            assert isinstance(type(old)(value), type(old))
        elif name not in LAUNCHERS:
            assert name in flags.FLAGS, f"--{name}"


def test_the_values_on_the_page_pass_the_check() -> None:
    for parallel in re.findall(r"--config\.training\.parallel=(\w+)", PAGE):
        config = loso.get_config()
        config.training.parallel = parallel
        config.training.folds_per_device = 0
        validate(config)


def test_the_commands_by_hand_are_two_processes() -> None:
    by_hand = [dict(re.findall(r"--(coordinator|num_processes|process_id)=(\S+)", line)) for line in COMMANDS[-2:]]
    actual = [find_processes({}, f["coordinator"], int(f["num_processes"]), int(f["process_id"])) for f in by_hand]
    assert [(process.index, process.count) for process in actual] == [(0, 2), (1, 2)]


def test_the_defaults_on_the_page_are_those_of_the_program() -> None:
    assert f"--lost_after={main._LOST_AFTER.default:.0f}`" in PAGE
