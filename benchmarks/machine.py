"""Measurements of the machine and of compiled programs: matrix rate, memory, FLOP and times."""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.command import Result, peak_rss_gib

# Side of the square matrices, and number of products per wait: a product takes 1 ms on a GPU, so that waiting for each
# would distort the time. Both sides are large enough for the full rate (127 GFLOP/s at 1024, 2048 and 4096 on 2 cores).
_PRODUCTS = {"cpu": (2048, 1), "gpu": (8192, 10)}
_REPEATS = 20  # of which the median is taken

# A call of a library's matrix product or convolution in the text of a compiled program.
LIBRARY_PRODUCT = re.compile(r'custom_call_target="[^"]*(gemm|matmul|dot|conv)', re.IGNORECASE)


class Quartiles(NamedTuple):
    """Median and quartiles of several times, in seconds."""

    median: float
    lower: float
    upper: float


def quartiles(seconds: Sequence[float]) -> Quartiles:
    """Return median and quartiles of the times."""
    lower, median, upper = (float(value) for value in np.percentile(seconds, [25, 50, 75]))
    return Quartiles(median, lower, upper)


def timed(call: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Call, wait until the device is done, and return the seconds and the result."""
    start = time.perf_counter()
    result = jax.block_until_ready(call(*arguments))
    return time.perf_counter() - start, result


def describe_device(device: jax.Device) -> Result:
    """Describe the device, for ``machine`` of a result."""
    return {"device": device.device_kind, "platform": device.platform, "devices": jax.local_device_count()}


def matmul_precision() -> str:
    """Return JAX's precision of float32 products; the default is full float32 on a CPU and TF32 on a GPU."""
    return str(getattr(jax.config, "jax_default_matmul_precision", None) or "default")


def matrix_rate(dtype: str) -> float:
    """Measure the GFLOP/s of a square product of random matrices on the default device, as the median of 20.

    Float32 products have the precision of ``matmul_precision``, as in training.
    """
    side, calls = _PRODUCTS["cpu" if jax.local_devices()[0].platform == "cpu" else "gpu"]
    keys = jax.random.split(jax.random.key(0))
    make = jax.jit(lambda key: jax.random.normal(key, (side, side)).astype(dtype))
    a, b = make(keys[0]), make(keys[1])
    multiply = jax.jit(jnp.matmul)
    jax.block_until_ready(multiply(a, b))
    seconds = [timed(lambda: [multiply(a, b) for _ in range(calls)])[0] / calls for _ in range(_REPEATS)]
    return 2 * side**3 / quartiles(seconds).median / 1e9


def gflop(lowered: Any, compiled: Any = None) -> float:
    """Return the GFLOP of a program by XLA's cost analysis, in which the body of a loop counts once.

    The compiled program is analyzed, or the lowered program where there is no compiled one or where the compiled
    program calls a library for its products (on a GPU), which are not counted then. Both differ by about 1% in other
    operations (31.9 and 32.3 at width 0.25).
    """
    uncounted = compiled is None or LIBRARY_PRODUCT.search(compiled.as_text())
    analysis = (lowered if uncounted else compiled).cost_analysis()
    if isinstance(analysis, list | tuple):  # older JAX: an entry per program
        (analysis,) = analysis
    return float(analysis["flops"]) / 1e9


def program_gib(compiled: Any) -> float:
    """Return the device memory in GiB that a compiled program needs while running, by XLA's memory analysis."""
    m = compiled.memory_analysis()
    return (m.argument_size_in_bytes + m.output_size_in_bytes - m.alias_size_in_bytes + m.temp_size_in_bytes) / 2**30


def peak_memory_gib(device: jax.Device) -> float:
    """Return the peak memory of the device or, where the device does not report one (a CPU), of this process."""
    stats = device.memory_stats() or {}
    return stats["peak_bytes_in_use"] / 2**30 if "peak_bytes_in_use" in stats else peak_rss_gib()
