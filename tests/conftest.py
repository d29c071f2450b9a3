"""Set once, before anything imports jax: four simulated devices, no silent rank promotion, quick compilation."""

import atexit
import os
import shutil
import tempfile

_CACHE = tempfile.mkdtemp(prefix="icegan-jax-tests-")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)

_SETTINGS = {
    # LLVM's optimisation passes take most of a compilation, and the tests' networks are tiny: they are left out.
    "XLA_FLAGS": "--xla_force_host_platform_device_count=4 "
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    "JAX_PLATFORMS": "cpu",
    # A program that a test compiles again, in another process too, is compiled once a session.
    "JAX_COMPILATION_CACHE_DIR": _CACHE,
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
os.environ.update(_SETTINGS)

import jax  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
