"""Figures and the HTML page of a finished run, from the files of the run directory, without jax."""
