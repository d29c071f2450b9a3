"""People for the tests, drawn once."""

from functools import cache

import numpy as np

from icegan_jax.data.synthetic.animate import resting_face
from icegan_jax.data.synthetic.identity import sample_identity
from icegan_jax.data.synthetic.portrait import Portrait, draw_portrait
from icegan_jax.data.synthetic.render import FaceMuscles, Sides


@cache
def draw_person(number: int) -> tuple[Portrait, FaceMuscles, dict[str, Sides]]:
    """The portrait, muscles and resting face of test person ``number``."""
    rng = np.random.default_rng([5, number])
    person = sample_identity(rng)
    return draw_portrait(person), FaceMuscles(person), resting_face(rng, 1.0)
