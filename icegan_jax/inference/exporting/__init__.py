"""Export of an ensemble as files that any program with jax and numpy can load."""
