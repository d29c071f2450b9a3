"""Many folds in one program: all at once on an accelerator, one after another on a CPU.

Axis letters: f fold, s step.

The programs of ``step``, compiled for many folds at once.

Axis letters: r device, f fold, s step, b batch, n image side, k class. Folds train side by side: ``pmap`` over
devices of ``vmap`` over a device's folds (on a CPU: one after another, see ``turns``) of ``scan`` over several steps.
The devices share out the folds, or each batch (see ``layout``).

Where the folds that train side by side lie: every array has the leading axes [r, f], device and fold.

``folds``: each device has folds of its own. ``batch``: every device holds all of the folds, and its share of each
batch. Axis letters: r device, f fold on a device, g fold of the group, s step, b batch.
"""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from icegan_jax.training.inference import predict, synthesize_classes
from icegan_jax.training.state import Models, TrainState, create_state, is_key
from icegan_jax.training.train_step import train_steps


def vmap_folds(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of one fold, for arguments with a leading axis [f]: every operation covers all folds."""
    return jax.vmap(function)


def loop_folds(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, fold after fold within the program, each written over what it came from.

    One fold of the paper's size already keeps a CPU's cores busy, and what it works on stays in their caches: 4 folds
    at once took 1.28, 1.15 and 1.08 times as long as one after another at width 1, 1/2 and 1/4 (batch 16, 2 cores).
    The memory that a step works in is that of one fold.

    The first result must have the form of the first argument where it is to be written over it (a state that is
    moved on); any other result is gathered.
    """

    def run(first: Any, *rest: Any) -> Any:
        folds = jax.tree.leaves(first)[0].shape[0]

        def of(tree: Any, fold: Any) -> Any:
            return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, fold, keepdims=False), tree)

        form = jax.eval_shape(function, of(first, 0), *(of(tree, 0) for tree in rest))
        moves_on = isinstance(form, tuple) and isinstance(form[0], type(first))
        blank = jax.tree.map(lambda leaf: jnp.zeros((folds, *leaf.shape), leaf.dtype), form[1:] if moves_on else form)
        start = (first, *blank) if moves_on else blank

        def turn(fold: Any, results: Any) -> Any:
            current = results[0] if moves_on else first
            result = function(of(current, fold), *(of(tree, fold) for tree in rest))
            return jax.tree.map(
                lambda whole, part: jax.lax.dynamic_update_index_in_dim(whole, part, fold, 0), results, result
            )

        return jax.lax.fori_loop(0, folds, turn, start)

    return run


# Initialization runs for a second, but its dozens of random draws took XLA 43 s to optimize (7 s without).
_RUN_ONCE = {"xla_backend_optimization_level": 0}

_AXIS = "batch"  # of the devices that share a batch

# A full call, a shorter call before an evaluation, and a shorter last call (see ``loop.call_lengths``).
_CALL_LENGTHS = 3


class CompiledProgram:
    """A program that is compiled ahead of time, and refuses shapes that it was not compiled for.

    A silent second compilation would take minutes: so the number of shapes is limited.
    """

    def __init__(
        self, program: Any, options: dict[str, int] | None, compile_s: list[float], max_shapes: int = 1
    ) -> None:
        """Compile nothing yet.

        Args:
          program: the result of ``pmap``.
          options: options of the compiler.
          compile_s: the seconds of each compilation are appended to this list.
          max_shapes: how many different shapes of arguments may be compiled.
        """
        self._program = program
        self._options = options
        self._compile_s = compile_s
        self._max_shapes = max_shapes
        self._compiled: dict[tuple[Any, ...], Any] = {}

    def compile(self, *arguments: Any) -> Any:
        """Compile for arrays of these shapes, unless that is done; ``jax.ShapeDtypeStruct`` serves too."""
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arguments))
        if shapes not in self._compiled:
            if len(self._compiled) == self._max_shapes:
                raise TypeError(f"the program has other argument shapes than the {self._max_shapes} compiled ones")
            start = time.perf_counter()
            self._compiled[shapes] = self._program.lower(*arguments).compile(compiler_options=self._options)
            self._compile_s.append(time.perf_counter() - start)
        return self._compiled[shapes]

    def __call__(self, *arguments: Any) -> Any:
        """Start the program on the devices; the call returns at once, before the results are computed."""
        return self.compile(*arguments)(*arguments)

    def memory_bytes(self) -> int:
        """Return the bytes on each device that the program needs, arguments included, as XLA planned them."""
        return max(_bytes_on_device(compiled.memory_analysis()) for compiled in self._compiled.values())


def _bytes_on_device(sizes: Any) -> int:
    held = sizes.argument_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    return int(held + sizes.temp_size_in_bytes)


class ParallelPrograms(NamedTuple):
    """The programs compiled for many folds; every array has the leading axes [r, f].

    With ``parallel="batch"`` the states are the same on all devices r, and so is what they return; b is then a
    device's share of a batch in ``train_steps``, and the same whole batch for all devices in the others.

    Attributes:
      create_state: keys [r, f] to states.
      train_steps: states (donated) and batches [r, f, s, b, ...] to states and the terms of each update [r, f, s].
      predict: states, onset and apex uint8[r, f, b, n, n, 1] to lengths float32[r, f, b, k].
      synthesize_classes: states and onset to faces uint8[r, f, b, k, n, n]; None where there is no generator.
      compile_s: seconds spent compiling, an entry per program, added when it is compiled.
      state_shapes: the form of one fold's state (arrays without axes [r, f], as ``jax.ShapeDtypeStruct``).
    """

    create_state: CompiledProgram
    train_steps: CompiledProgram
    predict: CompiledProgram
    synthesize_classes: CompiledProgram | None
    compile_s: list[float]
    state_shapes: Callable[[], TrainState]


def fold_map(device: jax.Device) -> Callable[..., Any]:
    """What makes a function of one fold one of many that lie on this device: ``in_turn`` or ``at_once``."""
    return loop_folds if device.platform == "cpu" else vmap_folds


def build_programs(models: Models, devices: Sequence[jax.Device], parallel: str = "folds") -> ParallelPrograms:
    """The programs for these devices, which share out ``folds``, or each ``batch``.

    Gradients, loss terms and the statistics of batch norm are then means over the devices, and a pair gets the noise
    that a single device draws for it: the numbers of one device, but for rounding.
    """
    if parallel == "batch" and len(devices) > 1:
        models = models._replace(batch_axis=_AXIS, discriminator=models.discriminator.clone(batch_axis=_AXIS))
    compile_s: list[float] = []
    many = fold_map(devices[0])

    def spread(
        function: Callable[..., Any],
        donate: tuple[int, ...] = (),
        options: dict[str, int] | None = None,
        over: Callable[..., Any] = many,
        max_shapes: int = 1,
    ) -> CompiledProgram:
        program = jax.pmap(
            over(functools.partial(function, models)), axis_name=_AXIS, devices=devices, donate_argnums=donate
        )
        return CompiledProgram(program, options, compile_s, max_shapes)

    return ParallelPrograms(
        create_state=spread(create_state, options=_RUN_ONCE, over=vmap_folds),
        train_steps=spread(train_steps, donate=(0,), max_shapes=_CALL_LENGTHS),
        predict=spread(predict),
        synthesize_classes=None if models.generator is None else spread(synthesize_classes),
        compile_s=compile_s,
        state_shapes=functools.cache(
            lambda: jax.eval_shape(functools.partial(create_state, models), jax.random.key(0))
        ),
    )


PARALLEL_MODES = ("folds", "batch")  # what the devices share out


@dataclass(frozen=True)
class FoldLayout:
    """The devices of a group of folds, and which fold lies where.

    Attributes:
      devices: of which each holds ``folds_per_device`` folds.
      folds_per_device: f.
      parallel: one of ``PARALLEL``.
    """

    devices: tuple[jax.Device, ...]
    folds_per_device: int
    parallel: str = "folds"

    @property
    def folds(self) -> int:
        """How many folds train side by side, g."""
        return self.folds_per_device * (1 if self.parallel == "batch" else len(self.devices))

    @property
    def leading_shape(self) -> tuple[int, int]:
        """(r, f)."""
        return len(self.devices), self.folds_per_device

    def shard(self, values: Any) -> Any:
        """An array [g, ...] as [r, f, ...]: split among the devices, or once for each device."""
        if self.parallel == "batch":
            library = np if isinstance(values, np.ndarray) else jnp
            return library.broadcast_to(values[None], (*self.leading_shape, *values.shape[1:]))
        return values.reshape(*self.leading_shape, *values.shape[1:])

    def shard_batches(self, values: np.ndarray) -> np.ndarray:
        """Batches [g, s, b, ...] as [r, f, s, b, ...], or as [r, f, s, b / r, ...] where devices share each batch."""
        if self.parallel == "folds":
            return np.asarray(self.shard(values))
        folds, steps, size = values.shape[:3]
        shares = values.reshape(folds, steps, len(self.devices), size // len(self.devices), *values.shape[3:])
        return np.moveaxis(shares, 2, 0)

    def gather(self, values: Any) -> Any:
        """The opposite of ``lay``: an array [r, f, ...] as [g, ...]."""
        return values[0] if self.parallel == "batch" else values.reshape(self.folds, *values.shape[2:])

    def device_put(self, tree: Any) -> Any:
        """Copies arrays [r, f, ...] of the host to their devices; returns at once."""
        mesh = jax.sharding.Mesh(np.array(self.devices), ("device",))
        return jax.device_put(tree, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("device")))

    def stack_states(self, states: Sequence[TrainState]) -> TrainState:
        """The states of g folds, of arrays on the host, as one on the devices, [r, f, ...]."""

        def together(*leaves: Any) -> jax.Array:
            return self.device_put(self.shard(jnp.stack(leaves) if is_key(leaves[0]) else np.stack(leaves)))

        return jax.tree.map(together, *states)

    def take_state(self, states: TrainState, fold: int) -> TrainState:
        """The state of one fold of the group out of arrays [r, f, ...], copied on its device."""
        device, place = (0, fold) if self.parallel == "batch" else divmod(fold, self.folds_per_device)

        def on_device(leaf: jax.Array) -> jax.Array:
            (shard,) = (shard for shard in leaf.addressable_shards if (shard.index[0].start or 0) == device)
            return shard.data

        return _take(jax.tree.map(on_device, states), place)


@jax.jit
def _take(tree: Any, place: int | jax.Array) -> Any:
    """Entry [0, place] of every array: a program of its own, so that no other fold is copied."""
    return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf[0], place, keepdims=False), tree)
