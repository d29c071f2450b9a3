"""Figures and the page that a finished run is shown with. Reads the run directory, never jax."""
