"""Drawn ("procedural") faces: gray clips of drawn people with micro-expressions, free of any license.

``identity`` samples the parameters of a person, ``portrait`` (with ``head_shape`` and ``features``) draws the neutral
face, ``action_units`` defines how muscles move the skin, ``render`` draws one frame, ``animate`` a clip,
``write`` a dataset, and ``databases`` several with the people, clips and classes of recorded databases.
"""

from icegan_jax.data.synthetic.databases import DATABASES, draw_databases
from icegan_jax.data.synthetic.write import draw_clips, read_true_regions

__all__ = ["DATABASES", "draw_clips", "draw_databases", "read_true_regions"]
