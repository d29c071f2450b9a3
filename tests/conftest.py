"""Set once, before anything imports jax: four simulated devices, no silent rank promotion, quick compilation."""

import atexit
import os
import shutil
import signal
import tempfile
from importlib import metadata

# A shell's background job is deaf to Ctrl-C, and so is all that it starts; some tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# pytest-xdist's workers are started with the environment that the session's first process has made here.
_IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
_CACHE = os.environ["JAX_COMPILATION_CACHE_DIR"] if _IS_WORKER else tempfile.mkdtemp(prefix="icegan-jax-tests-")
if not _IS_WORKER:
    atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)

# The tests' networks are tiny: optimizing their programs takes longer than it saves, three times longer at least.
_FLAGS = [
    "--xla_force_host_platform_device_count=4",
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
]
if metadata.version("jaxlib").startswith("0.10."):  # XLA ends the process at a flag that it does not know
    _FLAGS.append("--xla_cpu_use_fusion_emitters=false")
_SETTINGS = {
    "XLA_FLAGS": " ".join(_FLAGS),
    "JAX_PLATFORMS": "cpu",
    # A program that a test compiles again, in another process too, is compiled once a session.
    "JAX_COMPILATION_CACHE_DIR": _CACHE,
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
os.environ.update(_SETTINGS)

import jax  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
