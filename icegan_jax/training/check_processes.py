"""The roll call of a run of several processes: ends well when all of them are there, each index once.

    python -m icegan_jax.training.check_processes HOST:PORT COUNT INDEX TIMEOUT_S

A program of its own, started by ``processes.call_roll``: where somebody is missing or comes twice, jax's
coordination client ends the whole process with SIGABRT and a stack trace, and what started it can say it in a line.
An empty HOST:PORT leaves it to jax to find (SLURM, Open MPI 4, JAX_COORDINATOR_ADDRESS).
"""

import sys

import jax

if __name__ == "__main__":
    coordinator, count, index, timeout_s = sys.argv[1:]
    jax.distributed.initialize(
        coordinator or None,
        num_processes=int(count),
        process_id=int(index),
        local_device_ids=[],  # devices are not its business: an empty list keeps jax from restricting them
        initialization_timeout=int(timeout_s),
        shutdown_timeout_seconds=int(timeout_s),
    )
    jax.distributed.shutdown()  # waits until all have come this far
