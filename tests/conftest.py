"""Set once, before anything imports jax: four simulated devices on the CPU, and no silent rank promotion."""

import os

# LLVM's optimisation passes take most of a compilation and the tests' networks are tiny: they are left out.
os.environ["XLA_FLAGS"] = " ".join(
    (
        "--xla_force_host_platform_device_count=4",
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
    )
)
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
