"""Profile of a compiled update: the time of a traced call by kind of operation and by layer.

The trace has the names of the compiled operations. The text of the compiled program has the opcode of each operation,
the operations inside a fusion, and the layer of the model (op_name in the metadata).
"""

import collections
import gzip
import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from benchmarks.machine import LIBRARY_PRODUCT
from icegan_jax.errors import UserError
from icegan_jax.training.state import TrainState
from icegan_jax.training.train_step import Batch

Event = Mapping[str, Any]

PRODUCTS, COPIES, REDUCTIONS, ELEMENTWISE, OTHER = "matrix products", "copies", "reductions", "elementwise", "other"
# Opcodes of XLA (openxla.org/xla/operation_semantics) that only copy numbers.
_COPY_OPCODES = set("bitcast broadcast concatenate constant copy dynamic-slice dynamic-update-slice gather".split())
_COPY_OPCODES |= set("get-tuple-element iota pad parameter reshape reverse slice transpose tuple".split())
_REDUCTION_OPCODES = {"reduce", "reduce-window", "select-and-scatter", "scatter", "sort"}
_PRODUCT_OPCODES = {"dot", "convolution"}
_CONTAINERS = {"while", "conditional", "call"}  # the operations of their bodies are traced as well
_NO_ARITHMETIC = {"custom-call", "rng-bit-generator", "rng", "infeed", "outfeed", "fft"}

# The first pattern that matches an op_name gives the layer. Spectral norm counts with its layer.
_LAYERS = (
    (re.compile(r"optimi[sz]er|opt_state"), "optimizer"),
    (re.compile(r"perceptual|cost_features"), "perceptual"),
    (re.compile(r"/((?:trunk|down|up|grm|reconstruction)_\d+)\b"), None),
    (re.compile(r"/(adv_caps|exp_caps)\b"), None),
    (re.compile(r"/norm_\d+\b|instance_norm"), "norms"),
    (re.compile(r"Discriminator"), "discriminator, between layers"),
    (re.compile(r"Generator"), "generator, between layers"),
    (re.compile(r"jvp\("), "losses"),
    (re.compile(r"_normal|threefry"), "noise"),
    (re.compile(r"^jit\("), "optimizer"),  # everything outside the networks and their gradients
)


class Operation(NamedTuple):
    """The kind and the layer of a compiled operation; ``kind`` is None for a container of other operations."""

    kind: str | None
    layer: str


def profile(compiled: Any, states: TrainState, batches: Batch, per_call: int) -> dict[str, dict[str, float]]:
    """Trace one call, to which ``states`` are donated.

    Returns:
      ``by_kind`` and ``by_layer``: milliseconds per update by name, largest first. On a CPU the times are summed over
      concurrent threads, so that their sum exceeds the wall time.

    Raises:
      UserError: the trace contains no operation of the program.
    """
    operations = read_operations(compiled.as_text())
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(compiled(states, batches))
        (trace,) = Path(folder).rglob("*.trace.json.gz")
        events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    kinds: dict[str, float] = collections.defaultdict(float)
    layers: dict[str, float] = collections.defaultdict(float)
    for name, milliseconds in own_milliseconds(events):
        operation = operations.get(name, Operation(OTHER, "other"))
        if operation.kind:
            kinds[operation.kind] += milliseconds / per_call
            layers[operation.layer] += milliseconds / per_call
    if not kinds:
        raise UserError("--profile: this device's trace names no operation of the program; leave --profile out")
    return {"by_kind": _largest_first(kinds), "by_layer": _largest_first(layers)}


def _largest_first(parts: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(parts.items(), key=lambda part: -part[1]))


def own_milliseconds(events: Iterable[Event]) -> list[tuple[str, float]]:
    """Return (operation, milliseconds without nested events) of the events that are operations.

    On a GPU only events of the GPU's streams count, as the threads of the host only launch the operations.
    """
    threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e.get("name") == "thread_name"}
    named = [e for e in events if e.get("ph") == "X" and "hlo_op" in e.get("args", {})]
    streams = [e for e in named if threads.get((e["pid"], e["tid"]), "").startswith("Stream")]
    named = sorted(streams or named, key=lambda e: (e["pid"], e["tid"], e["ts"], -e["dur"]))
    own: list[tuple[str, float]] = []
    enclosing: list[tuple[tuple[Any, Any], float, int]] = []  # (thread, end, index) of the events around this one
    for event in named:
        thread, end = (event["pid"], event["tid"]), event["ts"] + event["dur"]
        while enclosing and (enclosing[-1][0] != thread or enclosing[-1][1] <= event["ts"]):
            enclosing.pop()
        if enclosing:
            parent, milliseconds = own[enclosing[-1][2]]
            own[enclosing[-1][2]] = parent, milliseconds - event["dur"] / 1e3
        enclosing.append((thread, end, len(own)))
        own.append((event["args"]["hlo_op"], event["dur"] / 1e3))
    return own


def read_operations(text: str) -> dict[str, Operation]:
    """Parse the operations of a compiled program's text (HLO), by name."""
    bodies: dict[str, set[str]] = collections.defaultdict(set)
    lines = []
    computation = ""
    for line in text.splitlines():
        if header := re.match(r"(?:ENTRY )?%?([\w.\-]+) .*\{$", line):
            computation = header[1]
        elif instruction := re.match(r"\s+(?:ROOT )?%?([\w.\-]+) =.*? ([a-z][a-z0-9\-]*)\(", line):
            name, opcode = instruction.groups()
            bodies[computation].add(PRODUCTS if LIBRARY_PRODUCT.search(line) else opcode)
            lines.append((name, opcode, line))
    return {name: Operation(_kind(opcode, line, bodies), _layer(line)) for name, opcode, line in lines}


def _kind(opcode: str, line: str, bodies: Mapping[str, set[str]]) -> str | None:
    if opcode in _CONTAINERS:
        return None
    called = re.search(r"calls=%?([\w.\-]+)", line)
    inside = bodies[called[1]] if opcode == "fusion" and called else {opcode}
    if inside & _PRODUCT_OPCODES or PRODUCTS in inside or LIBRARY_PRODUCT.search(line):
        return PRODUCTS
    if inside & _REDUCTION_OPCODES:
        return REDUCTIONS
    if inside <= _COPY_OPCODES:
        return COPIES
    return OTHER if inside & _NO_ARITHMETIC else ELEMENTWISE


def _layer(line: str) -> str:
    op_name = re.search(r'op_name="([^"]*)"', line)
    name = op_name[1] if op_name else ""
    for pattern, layer in _LAYERS:
        if match := pattern.search(name):
            return layer or match[1]
    return "other"
