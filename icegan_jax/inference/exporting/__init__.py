"""A run's networks as files that any program with jax and numpy can load."""
