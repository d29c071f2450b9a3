"""The measured workload: the networks of a config at any width, random faces, and the compiled update.

The data pipeline is not imported, so that benchmarks run where neither grain nor tensorflow-datasets is installed.
"""

import argparse
import functools
import importlib
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from benchmarks.command import Result
from benchmarks.machine import gflop, program_gib
from icegan_jax.config import validate
from icegan_jax.errors import UserError
from icegan_jax.training.parallel import fold_map
from icegan_jax.training.state import Models, TrainState, create_state, fold_key
from icegan_jax.training.train_step import Batch, Metrics, train_step, train_steps

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")
_CONFIGS = ("loso", "loso_pair", "demo")
# For a program that runs once: XLA would take 43 s to optimize the random draws of the initial states.
_RUN_ONCE: dict[str, Any] = {"xla_backend_optimization_level": 0}


class Program(NamedTuple):
    """A compiled update.

    Attributes:
      call: maps states (donated) and batches to states and the metrics of each update.
      gflop: GFLOP of one update of all folds, by XLA's cost analysis.
      memory_gib: memory of the program in GiB, by XLA's memory analysis.
      compile_s: seconds of compilation.
    """

    call: Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
    gflop: float
    memory_gib: float
    compile_s: float


def add_arguments(parser: argparse.ArgumentParser, training: bool = True) -> None:
    """Add the options of a workload: config, width, precision and, for a training, batch and perceptual term."""
    add = parser.add_argument
    add("--config", default="loso", help=f"{', '.join(_CONFIGS)} (default: loso)")
    add("--width", type=float, help="factor on the channels (default: the config's; loso's is 1)")
    add("--precision", help="float32 or bfloat16 (default: the config's)")
    if not training:
        parser.set_defaults(batch=None, perceptual=False)
        return
    add("--batch", type=int, help="pairs per update (default: the config's, 16)")
    add("--perceptual", action="store_true", default=None, help="with the perceptual term (default: as the config)")
    add("--noperceptual", "--no-perceptual", action="store_false", dest="perceptual", help="without it")


def check_positive(args: Namespace, *names: str) -> None:
    """Check that options are at least 1.

    Raises:
      UserError: an option is below 1.
    """
    for name in names:
        value = getattr(args, name)
        if value < 1:
            raise UserError(f"--{name} is {value}: give 1 or more")


def parse_counts(option: str, text: str) -> list[int]:
    """Parse numbers such as ``1,2,4``, and return them sorted and without duplicates.

    Raises:
      UserError: a number is not whole, or below 1.
    """
    try:
        numbers = sorted({int(number) for number in text.split(",")})
    except ValueError:
        raise UserError(f"--{option} is {text!r}: give whole numbers with commas between them, as 1,2,4") from None
    if numbers[0] < 1:
        raise UserError(f"--{option} is {text!r}: give 1 or more")
    return numbers


def build_config(args: Namespace) -> ConfigDict:
    """Return the validated config with the values of the options.

    Raises:
      UserError: there is no such config, or a value is not allowed.
    """
    if args.config not in _CONFIGS:
        name = Path(args.config).stem
        hint = f"did you mean {name}?" if name in _CONFIGS else f"choose one of {', '.join(_CONFIGS)}"
        raise UserError(f"--config is {args.config!r}: {hint}")
    config: ConfigDict = importlib.import_module(f"configs.{args.config}").get_config()
    if args.width is not None:
        config.model.width = args.width
    if args.batch is not None:
        config.training.batch_size = args.batch
    if args.precision is not None:
        config.model.dtype = args.precision
    if args.perceptual is False:
        config.loss.perceptual = 0.0
    elif args.perceptual and not config.loss.perceptual:
        raise UserError(f"--perceptual: configs/{args.config}.py has no perceptual term; leave the option out")
    validate(config)
    return config


def describe_workload(config: ConfigDict, training: bool = True) -> Result:
    """Return the fields of a result that describe the workload."""
    models = {
        "width": float(config.model.width),
        "precision": config.model.dtype,
        "image_size": config.model.image_size,
        "recognition_input": config.model.recognition_input,
    }
    if not training:
        return models
    return models | {"batch": config.training.batch_size, "perceptual": config.loss.perceptual > 0}


def state_gib(state: TrainState) -> float:
    """Return the size in GiB of a state, or of a state of these shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state)) / 2**30


def initial_states(models: Models, folds: int) -> TrainState:
    """Return the states before the first update, with a leading axis [f] for several folds and none for one fold."""
    create, keys = _creation(models, folds)
    states = jax.jit(create).lower(keys).compile(compiler_options=_RUN_ONCE)(keys)
    return jax.block_until_ready(states)


def state_shapes(models: Models, folds: int) -> TrainState:
    """Return the shapes of ``initial_states`` as ``jax.ShapeDtypeStruct``."""
    shapes: TrainState = jax.eval_shape(*_creation(models, folds))
    return shapes


def _creation(models: Models, folds: int) -> tuple[Callable[[jax.Array], TrainState], jax.Array]:
    create = functools.partial(create_state, models)
    keys = jnp.stack([fold_key(0, f"benchmark_{index}") for index in range(folds)])
    return (create, keys[0]) if folds == 1 else (jax.vmap(create), keys)


def random_batches(models: Models, lead: tuple[int, ...], batch: int) -> dict[str, jax.Array]:
    """Return random faces uint8[*lead, b, n, n, 1] and labels int32[*lead, b], on the device."""
    rng = np.random.default_rng(0)
    shape = (*lead, batch, models.image_size, models.image_size, 1)
    faces = {name: rng.integers(0, 256, shape, np.uint8) for name in ("onset", "apex")}
    label = rng.integers(0, models.classes, (*lead, batch), np.int32)
    return jax.block_until_ready(jax.device_put({**faces, "label": label}))


def update_batches(models: Models, folds: int, per_call: int, batch: int) -> dict[str, jax.Array]:
    """Return batches for ``compile_update``, with leading axes [f] for several folds and [s] for several updates."""
    lead = (folds,) if folds > 1 else ()
    return random_batches(models, lead + ((per_call,) if per_call > 1 else ()), batch)


def compile_update(models: Models, states: TrainState, batches: Batch, folds: int, per_call: int) -> Program:
    """Compile ``per_call`` updates of ``folds`` folds as the program does on one device.

    ``states`` and ``batches`` may be shapes (``jax.ShapeDtypeStruct``). The axes of a single fold and a single update,
    which they lack, are added within the program.
    """
    one: Callable[..., Any] = functools.partial(train_step if per_call == 1 else train_steps, models)
    several = fold_map(jax.local_devices()[0])(one)

    def alone(*arguments: Any) -> Any:
        results = several(*jax.tree.map(lambda leaf: leaf[None], arguments))
        return jax.tree.map(lambda leaf: leaf[0], results)

    start = time.perf_counter()
    lowered = jax.jit(several if folds > 1 else alone, donate_argnums=0).lower(states, batches)
    compiled = lowered.compile()
    compile_s = time.perf_counter() - start
    work = gflop(lowered, compiled)
    if folds * per_call > 1:
        # XLA counts the body of a loop over folds or updates once; other versions of XLA may count every iteration.
        state = _without_axes(states, int(folds > 1))
        batch = _without_axes(batches, int(folds > 1) + int(per_call > 1))
        single = gflop(jax.jit(functools.partial(train_step, models)).lower(state, batch))
        work *= folds / max(1, round(work / single))
    return Program(compiled, work, program_gib(compiled), compile_s)


def gflop_direct(models: Models, states: TrainState, batches: Batch, folds: int, per_call: int) -> float:
    """Return the GFLOP of one update of all folds with direct convolutions, by XLA's cost analysis as lowered.

    The update in bfloat16 is analyzed, as bfloat16 convolutions are always direct.
    """
    half = models._replace(
        generator=models.generator.clone(dtype=jnp.bfloat16),
        discriminator=models.discriminator.clone(dtype=jnp.bfloat16),
    )
    state = _without_axes(states, int(folds > 1))
    batch = _without_axes(batches, int(folds > 1) + int(per_call > 1))
    return folds * gflop(jax.jit(functools.partial(train_step, half)).lower(state, batch))


def _without_axes(tree: Any, number: int) -> Any:
    """Return the shapes of a tree's arrays without the first ``number`` axes."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[number:], leaf.dtype), tree)


def check_finite(metrics: Metrics) -> None:
    """Check that the losses are finite: otherwise the benchmark has not measured a training.

    Raises:
      UserError: a loss is not finite.
    """
    broken = sorted(name for name, value in metrics.items() if not bool(jnp.isfinite(value).all()))
    if broken:
        raise UserError(f"after the timed steps these are not finite: {', '.join(broken)}; give a --config that trains")
