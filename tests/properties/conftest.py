"""Hypothesis draws the same examples each time; with HYPOTHESIS_PROFILE=search other and many more examples."""

import os
import tempfile

from hypothesis import HealthCheck, configuration, settings

configuration.set_hypothesis_home_dir(tempfile.gettempdir())  # nothing is written beside the sources
_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=50,
    print_blob=True,
    database=None,
    suppress_health_check=_SLOW,
)
settings.register_profile("search", deadline=None, max_examples=400, database=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
