"""Programs for many folds: ``pmap`` over devices of a loop or ``vmap`` over each device's folds.

Every array has the leading axes [r, f], device and fold. With ``parallel="folds"`` each device has its own folds. With
``parallel="batch"`` every device has the same folds, and a shard of each batch.

Axis letters: r device, f fold on a device, g fold of the group, s step, b batch, n image side, k class.
"""

import functools
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from icegan_jax.training.inference import predict, synthesize_classes
from icegan_jax.training.state import Models, TrainState, create_state, is_key
from icegan_jax.training.train_step import train_steps

PARALLEL_MODES = ("folds", "batch")  # what several devices share: the folds, or each batch of the same folds

_BATCH_AXIS = "batch"  # name of the device axis over which a batch is sharded

# Compiler options of the initialization, which runs for a second: XLA took 43 s to optimize its dozens of random draws,
# and takes 7 s without optimization.
_INIT_OPTIONS = {"xla_backend_optimization_level": 0}


def vmap_folds(function: Callable[..., Any]) -> Callable[..., Any]:
    """Map a function of one fold over the leading axis [f] of its arguments; every operation computes all folds."""
    return jax.vmap(function)


def loop_folds(function: Callable[..., Any]) -> Callable[..., Any]:
    """Map a function of one fold over the leading axis [f] of its arguments, one fold after another.

    On a CPU one fold of the paper's size uses all cores, and its working set stays in the caches: 4 folds under
    ``vmap`` took 1.28, 1.15 and 1.08 times as long as one after another, at width 1, 1/2 and 1/4 (batch 16, 2 cores).
    A step takes the working memory of one fold.

    If the first result has the type of the first argument (a state and its update), each fold's result overwrites the
    argument, so that the program holds the states once. All other results are stacked.
    """

    def run(first: Any, *rest: Any) -> Any:
        folds = jax.tree.leaves(first)[0].shape[0]

        def take(tree: Any, fold: Any) -> Any:
            return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, fold, keepdims=False), tree)

        shapes = jax.eval_shape(function, take(first, 0), *(take(tree, 0) for tree in rest))
        in_place = isinstance(shapes, tuple) and isinstance(shapes[0], type(first))
        stacked = shapes[1:] if in_place else shapes
        zeros = jax.tree.map(lambda leaf: jnp.zeros((folds, *leaf.shape), leaf.dtype), stacked)
        initial = (first, *zeros) if in_place else zeros

        def body(fold: Any, results: Any) -> Any:
            result = function(take(results[0] if in_place else first, fold), *(take(tree, fold) for tree in rest))
            return jax.tree.map(
                lambda stack, leaf: jax.lax.dynamic_update_index_in_dim(stack, leaf, fold, 0), results, result
            )

        return jax.lax.fori_loop(0, folds, body, initial)

    return run


def fold_map(device: jax.Device) -> Callable[..., Any]:
    """Return the faster way to map over folds on this device: ``loop_folds`` on a CPU, otherwise ``vmap_folds``."""
    return loop_folds if device.platform == "cpu" else vmap_folds


class CompiledProgram:
    """A program that is compiled ahead of time, for one shape of its arguments or for several.

    A second shape is an error by default, because an unexpected compilation would take minutes without a message.
    """

    def __init__(
        self, program: Any, options: dict[str, int] | None, compile_s: list[float], fixed_shape: bool = True
    ) -> None:
        """Wrap a program without compiling it.

        Args:
          program: the result of ``pmap``.
          options: options of the compiler.
          compile_s: list to which the seconds of each compilation are appended.
          fixed_shape: whether arguments of a second shape are an error.
        """
        self._program = program
        self._options = options
        self._compile_s = compile_s
        self._fixed_shape = fixed_shape
        self._compiled: dict[tuple[Any, ...], Any] = {}

    def compile(self, *arguments: Any) -> Any:
        """Return the program compiled for these shapes, of arrays or ``jax.ShapeDtypeStruct``; compile it if needed.

        Raises:
          TypeError: the program has a fixed shape, and has been compiled for another one.
        """
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arguments))
        if shapes not in self._compiled:
            if self._fixed_shape and self._compiled:
                raise TypeError("the arguments have other shapes than those that the program was compiled for")
            start = time.perf_counter()
            self._compiled[shapes] = self._program.lower(*arguments).compile(compiler_options=self._options)
            self._compile_s.append(time.perf_counter() - start)
        return self._compiled[shapes]

    def __call__(self, *arguments: Any) -> Any:
        """Dispatch the program to the devices and return its arrays, which are computed asynchronously."""
        return self.compile(*arguments)(*arguments)


class ParallelPrograms(NamedTuple):
    """Compiled programs for many folds; every array has the leading axes [r, f].

    With ``parallel="batch"`` arguments and results are the same on all devices r, except that ``train_steps`` takes a
    shard of each batch per device.

    Attributes:
      create_state: keys [r, f] to states.
      train_steps: states (donated) and batches [r, f, s, b, ...] to states and the metrics of each update [r, f, s].
      predict: states, onset and apex uint8[r, f, b, n, n, 1] to lengths float32[r, f, b, k].
      synthesize_classes: states and onset to faces uint8[r, f, b, k, n, n]; None without a generator.
      compile_s: seconds of each compilation so far.
      state_shapes: function that returns the shapes and dtypes of one fold's state, without the axes [r, f].
    """

    create_state: CompiledProgram
    train_steps: CompiledProgram
    predict: CompiledProgram
    synthesize_classes: CompiledProgram | None
    compile_s: list[float]
    state_shapes: Callable[[], TrainState]


def build_programs(models: Models, devices: Sequence[jax.Device], parallel: str = "folds") -> ParallelPrograms:
    """Build the programs for these devices, which share the folds or each batch.

    With ``parallel="batch"`` gradients, loss terms and the statistics of batch norm are means over the devices, and
    each pair gets the same noise as on a single device: the results equal those of one device except for rounding.
    """
    if parallel == "batch" and len(devices) > 1:
        discriminator = models.discriminator.clone(batch_axis=_BATCH_AXIS)
        models = models._replace(batch_axis=_BATCH_AXIS, discriminator=discriminator)
    compile_s: list[float] = []
    device_map = fold_map(devices[0])

    def program(
        function: Callable[..., Any],
        map_folds: Callable[..., Any] = device_map,
        donate: tuple[int, ...] = (),
        options: dict[str, int] | None = None,
        fixed_shape: bool = True,
    ) -> CompiledProgram:
        folds = map_folds(functools.partial(function, models))
        mapped = jax.pmap(folds, axis_name=_BATCH_AXIS, devices=devices, donate_argnums=donate)
        return CompiledProgram(mapped, options, compile_s, fixed_shape)

    return ParallelPrograms(
        create_state=program(create_state, vmap_folds, options=_INIT_OPTIONS),
        # donation: the new states take the memory of the old ones
        # The last call and calls before an evaluation may be shorter, and so is the first call after a resumption with
        # another steps_per_call (``loop.call_lengths``).
        train_steps=program(train_steps, donate=(0,), fixed_shape=False),
        predict=program(predict),
        synthesize_classes=None if models.generator is None else program(synthesize_classes),
        compile_s=compile_s,
        state_shapes=functools.cache(lambda: jax.eval_shape(lambda key: create_state(models, key), jax.random.key(0))),
    )


def describe_machine() -> str:
    """Return devices, CPU cores and processor of this process in words, such as ``1 x cpu, 2 CPU cores, x86_64``."""
    devices = jax.local_devices()
    return f"{len(devices)} x {devices[0].device_kind}, {os.cpu_count()} CPU cores, {platform.machine()}"


@dataclass(frozen=True)
class FoldLayout:
    """How the folds of a group are distributed over devices.

    Attributes:
      devices: r devices, each with ``folds_per_device`` folds.
      folds_per_device: f.
      parallel: one of ``PARALLEL_MODES``.
    """

    devices: tuple[jax.Device, ...]
    folds_per_device: int
    parallel: str = "folds"

    @property
    def folds(self) -> int:
        """Return g, the number of folds that are trained in parallel."""
        return self.folds_per_device * (1 if self.parallel == "batch" else len(self.devices))

    @property
    def leading_shape(self) -> tuple[int, int]:
        """Return the leading axes (r, f)."""
        return len(self.devices), self.folds_per_device

    def shard(self, values: Any) -> Any:
        """Reshape an array [g, ...] to [r, f, ...]: the folds split over the devices, or all folds on each device.

        Raises:
          AssertionError: the array's first axis is not g.
        """
        chex.assert_axis_dimension(values, 0, self.folds, custom_message="values: [g, ...]")
        if self.parallel == "batch":
            library = np if isinstance(values, np.ndarray) else jnp
            return library.broadcast_to(values[None], (*self.leading_shape, *values.shape[1:]))
        return values.reshape(*self.leading_shape, *values.shape[1:])

    def shard_batches(self, values: np.ndarray) -> np.ndarray:
        """Reshape batches [g, s, b, ...] to [r, f, s, b, ...], or with ``parallel="batch"`` to [r, f, s, b / r, ...].

        Raises:
          AssertionError: the array's first axis is not g.
        """
        chex.assert_axis_dimension(values, 0, self.folds, custom_message="values: [g, s, b, ...]")
        if self.parallel == "folds":
            return np.asarray(self.shard(values))
        folds, steps, size = values.shape[:3]
        shards = values.reshape(folds, steps, len(self.devices), size // len(self.devices), *values.shape[3:])
        return np.moveaxis(shards, 2, 0)

    def gather(self, values: Any) -> Any:
        """Reshape an array [r, f, ...] to [g, ...], the inverse of ``shard``.

        Raises:
          AssertionError: the array's leading axes are not [r, f].
        """
        chex.assert_shape(values, (*self.leading_shape, ...), custom_message="values: [r, f, ...]")
        return values[0] if self.parallel == "batch" else values.reshape(self.folds, *values.shape[2:])

    def device_put(self, tree: Any) -> Any:
        """Copy arrays [r, f, ...] from the host to their devices, asynchronously."""
        mesh = jax.sharding.Mesh(np.array(self.devices), ("device",))
        return jax.device_put(tree, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("device")))

    def stack_states(self, states: Sequence[TrainState]) -> TrainState:
        """Stack the states of g folds, arrays on the host, to one state [r, f, ...] on the devices."""

        def stack(*leaves: Any) -> jax.Array:
            return self.device_put(self.shard(jnp.stack(leaves) if is_key(leaves[0]) else np.stack(leaves)))

        return jax.tree.map(stack, *states)

    def take_state(self, states: TrainState, fold: int) -> TrainState:
        """Copy the state of fold g = ``fold`` from a state [r, f, ...], on the fold's device."""
        device, index = (0, fold) if self.parallel == "batch" else divmod(fold, self.folds_per_device)

        def on_device(leaf: jax.Array) -> jax.Array:
            (shard,) = (shard for shard in leaf.addressable_shards if (shard.index[0].start or 0) == device)
            return shard.data

        return _take(jax.tree.map(on_device, states), index)


@jax.jit
def _take(tree: Any, index: int | jax.Array) -> Any:
    """Return entry [0, index] of every array, in a compiled program that copies no other fold."""
    return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf[0], index, keepdims=False), tree)
