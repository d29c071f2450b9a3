"""The generators of the tiny trained run."""

from pathlib import Path

import pytest

from icegan_jax.inference.ensemble import Ensemble, load_ensemble


@pytest.fixture(scope="session")
def ensemble(run_dir: Path) -> Ensemble:
    """Return the generators of all three folds."""
    return load_ensemble(run_dir, generator=True)
