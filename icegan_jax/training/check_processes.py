"""Subprocess that ends with exit code 0 when all processes of a run have started it, each index once.

    python -m icegan_jax.training.check_processes HOST:PORT COUNT INDEX TIMEOUT_S

``distributed.check_all_present`` starts it as a subprocess: where an index is missing or comes twice, jax's
coordination client ends the whole process with SIGABRT and a stack trace. With an empty HOST:PORT jax finds the address
by itself (SLURM, Open MPI 4, JAX_COORDINATOR_ADDRESS).
"""

import sys

import jax

if __name__ == "__main__":
    coordinator, count, index, timeout_s = sys.argv[1:]
    jax.distributed.initialize(
        coordinator or None,
        num_processes=int(count),
        process_id=int(index),
        local_device_ids=[],  # no devices are used; with None jax would restrict them
        initialization_timeout=int(timeout_s),
        shutdown_timeout_seconds=int(timeout_s),
    )
    jax.distributed.shutdown()  # waits for all processes
