"""People for the tests, drawn once."""

from functools import cache

import numpy as np

from icegan_jax.data.procedural.identity import sample_identity
from icegan_jax.data.procedural.play import resting_face
from icegan_jax.data.procedural.portrait import Portrait, draw_portrait
from icegan_jax.data.procedural.render import Muscles, Sides


@cache
def meet(number: int) -> tuple[Portrait, Muscles, dict[str, Sides]]:
    """The portrait, muscles and resting face of test person ``number``."""
    rng = np.random.default_rng([5, number])
    person = sample_identity(rng)
    return draw_portrait(person), Muscles(person), resting_face(rng, 1.0)
