"""Procedural faces: grey clips of drawn people with micro-expressions, free of any licence.

``identity`` draws a person's numbers, ``portrait`` (with ``shape``, ``features``, ``hair``) the
neutral face, ``action_units`` says how muscles move it, ``render`` makes one frame, ``play`` a
clip, ``write`` a dataset.
"""

from icegan_jax.data.synthetic.write import read_regions, write_clips_to

__all__ = ["read_regions", "write_clips_to"]
