"""Settings for all tests, before jax is imported: four simulated devices, no rank promotion, fast compilation."""

import atexit
import os
import shutil
import signal
import tempfile
from importlib import metadata

# A background job of a shell ignores Ctrl-C, as do its subprocesses; some tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The workers of pytest-xdist inherit the environment that the first process sets here.
_IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
_CACHE = os.environ["JAX_COMPILATION_CACHE_DIR"] if _IS_WORKER else tempfile.mkdtemp(prefix="icegan-jax-tests-")
if not _IS_WORKER:
    atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)

# The networks of the tests are tiny: optimizing their programs takes at least three times longer than it saves.
_FLAGS = [
    "--xla_force_host_platform_device_count=4",
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
]
if metadata.version("jaxlib").startswith("0.10."):  # XLA ends the process at an unknown flag
    _FLAGS.append("--xla_cpu_use_fusion_emitters=false")
_SETTINGS = {
    "XLA_FLAGS": " ".join(_FLAGS),
    "JAX_PLATFORMS": "cpu",
    # A program that several tests compile, also in subprocesses, is compiled once per session.
    "JAX_COMPILATION_CACHE_DIR": _CACHE,
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
os.environ.update(_SETTINGS)

import jax  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
