"""The programs of ``step``, compiled for many folds at once.

Axis letters: r device, f fold, s step, b batch, n image side, k class. Folds train side by side: ``pmap`` over
devices of ``vmap`` over a device's folds (on a CPU: one after another, see ``turns``) of ``scan`` over several steps.
The devices share out the folds, or each batch (see ``layout``).
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from icegan_jax.training.state import Networks, TrainState, create_state
from icegan_jax.training.step import advance, recognise, synthesise
from icegan_jax.training.turns import at_once, in_turn

# Initialisation runs for a second, but its dozens of random draws took XLA 43 s to optimise (7 s without).
_RUN_ONCE = {"xla_backend_optimization_level": 0}
_AXIS = "batch"  # of the devices that share a batch


class Program:
    """A program that is compiled once, by ``compile`` or when first called, and then refuses any other shape."""

    def __init__(self, program: Any, options: dict[str, int] | None, compile_s: list[float]) -> None:
        """``program``: of pmap. ``compile_s``: takes the seconds that the compilation took."""
        self._program = program
        self._options = options
        self._compile_s = compile_s
        self._compiled: Any = None

    def compile(self, *arguments: Any) -> None:
        """Compiles for arrays of these shapes, unless it is compiled; ``jax.ShapeDtypeStruct`` serves too."""
        if self._compiled is None:
            start = time.perf_counter()
            self._compiled = self._program.lower(*arguments).compile(compiler_options=self._options)
            self._compile_s.append(time.perf_counter() - start)

    def __call__(self, *arguments: Any) -> Any:
        """Starts the program on the devices; what it returns is there when it is done."""
        self.compile(*arguments)
        return self._compiled(*arguments)

    def memory(self) -> int:
        """Bytes on each device that the compiled program works in, arguments included, as XLA planned them."""
        sizes = self._compiled.memory_analysis()
        held = sizes.argument_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
        return int(held + sizes.temp_size_in_bytes)


class Engine(NamedTuple):
    """The programs compiled for many folds; every array has the leading axes [r, f].

    With ``parallel="batch"`` the states are the same on all devices r, and so is what they return; b is then a
    device's share of a batch in ``advance``, and the same whole batch for all devices in the others.

    Attributes:
      create: keys [r, f] to states.
      advance: states (donated) and batches [r, f, s, b, ...] to states and the terms of each update [r, f, s].
      recognise: states, onset and apex uint8[r, f, b, n, n, 1] to lengths float32[r, f, b, k].
      synthesise: states and onset to faces uint8[r, f, b, k, n, n]; None where there is no generator.
      compile_s: seconds spent compiling, an entry per program, added when it is compiled.
      shapes: the form of one fold's state (arrays without axes [r, f], as ``jax.ShapeDtypeStruct``).
    """

    create: Program
    advance: Program
    recognise: Program
    synthesise: Program | None
    compile_s: list[float]
    shapes: Callable[[], TrainState]


def over_folds(device: jax.Device) -> Callable[..., Any]:
    """What makes a function of one fold one of many that lie on this device: ``in_turn`` or ``at_once``."""
    return in_turn if device.platform == "cpu" else at_once


def build_engine(networks: Networks, devices: Sequence[jax.Device], parallel: str = "folds") -> Engine:
    """The programs for these devices, which share out ``folds``, or each ``batch``.

    Gradients, loss terms and the statistics of batch norm are then means over the devices, and a pair gets the noise
    that a single device draws for it: the numbers of one device, but for rounding.
    """
    if parallel == "batch" and len(devices) > 1:
        networks = networks._replace(batch_axis=_AXIS, discriminator=networks.discriminator.clone(batch_axis=_AXIS))
    compile_s: list[float] = []
    many = over_folds(devices[0])

    def spread(
        function: Callable[..., Any],
        donate: tuple[int, ...] = (),
        options: dict[str, int] | None = None,
        over: Callable[..., Any] = many,
    ) -> Program:
        program = jax.pmap(
            over(functools.partial(function, networks)), axis_name=_AXIS, devices=devices, donate_argnums=donate
        )
        return Program(program, options, compile_s)

    return Engine(
        create=spread(create_state, options=_RUN_ONCE, over=at_once),
        advance=spread(advance, donate=(0,)),
        recognise=spread(recognise),
        synthesise=None if networks.generator is None else spread(synthesise),
        compile_s=compile_s,
        shapes=functools.cache(lambda: jax.eval_shape(functools.partial(create_state, networks), jax.random.key(0))),
    )
