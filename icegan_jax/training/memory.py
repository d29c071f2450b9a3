"""The number of folds that train side by side on a device, and a hint where memory ran out.

XLA plans the memory of a program when it compiles the program. With ``vmap`` over folds, the memory of the training
program grows in proportion to their number: 225, 456 and 908 MB beside arguments and results for 1, 2 and 4 folds
(width 1/8, batch 16, 128x128, estimated by XLA for a CPU). Prediction and synthesis need less (29 and 56 MB).
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from icegan_jax.errors import UserError
from icegan_jax.training.parallel import build_programs
from icegan_jax.training.state import Models, TrainConfig

_USED = 0.8  # of the free memory; the rest is a reserve for fragments and other programs

_PREFETCHED = 2  # batches on the device beside those of the present call (see ``prefetch``)

_COPIES = 2  # of the state of one fold, while its checkpoint is written


def choose_folds_per_device(
    models: Models, train_config: TrainConfig, devices: Sequence[jax.Device], folds: int
) -> int:
    """Return the number of folds on each device: as the config says or, where the config says 0, as many as fit.

    Groups are as equal as possible: nine folds where eight fit become five and four. On a CPU the number is 1, since
    the program computes folds one after another there (``loop_folds``) and more folds save no time.

    Args:
      models: both networks, their optimizers and the loss weights.
      train_config: how every fold is trained.
      devices: the devices of this process.
      folds: the number of folds of the run, finished ones included, so that an interrupted run continues with the same
        program.
    """
    if train_config.folds_per_device:
        return train_config.folds_per_device
    stats = devices[0].memory_stats() or {}
    if devices[0].platform == "cpu" or "bytes_limit" not in stats:
        return 1
    free = stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    fit = max(1, int(_USED * free / estimate_fold_bytes(models, train_config, devices)))
    divided = 1 if train_config.parallel == "batch" else len(devices)  # devices over which the folds are divided
    groups = math.ceil(folds / (divided * fit))
    return math.ceil(folds / (divided * groups))


def estimate_fold_bytes(models: Models, train_config: TrainConfig, devices: Sequence[jax.Device]) -> int:
    """Compile the training program for one fold, and return the bytes that the fold needs on each device."""
    programs = build_programs(models, devices, train_config.parallel)
    state = programs.state_shapes()
    states = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((len(devices), 1, *leaf.shape), leaf.dtype), state)
    batch_devices = len(devices) if train_config.parallel == "batch" else 1
    leading = (len(devices), 1, train_config.steps_per_call)
    size, resting = (count // batch_devices for count in (train_config.batch_size, train_config.resting_pairs))

    def faces(count: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((*leading, count, *models.picture_shape), jnp.uint8)

    names = ("onset", "apex") if models.input_shape is None else ("input",)
    batches = {name: faces(size) for name in names} | {"label": jax.ShapeDtypeStruct((*leading, size), jnp.int32)}
    if resting:
        batches |= {"rest_onset": faces(resting), "rest": faces(resting)}
    sizes = programs.train_steps.compile(states, batches).memory_analysis()
    program = sizes.argument_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    beside = _PREFETCHED * _bytes(batches) // len(devices) + _COPIES * _bytes(state)
    return int(program + sizes.temp_size_in_bytes + beside)


@contextlib.contextmanager
def out_of_memory_hint(train_config: TrainConfig) -> Iterator[None]:
    """Turn an error which means that the memory of a device or of the host ran out into a UserError with the remedy."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            "out of memory: lower --config.training.folds_per_device with --force_resume, which goes on from the last "
            "checkpoint; where one fold does not fit either, lower --config.training.batch_size "
            f"({train_config.batch_size}) or --config.model.width in a new --workdir"
        ) from error


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
