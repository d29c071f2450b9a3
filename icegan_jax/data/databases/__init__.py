"""The databases, one file each: ``read`` returns the annotation as it stands (docs/add-a-database.md)."""

from collections.abc import Callable, Mapping

from icegan_jax.data.databases import casme, casme2, casme_cubed, casme_squared, fourdme, mmew, samm, smic
from icegan_jax.data.ingest.annotation import DatabaseAnnotation, Source

READERS: Mapping[str, Callable[[Source], DatabaseAnnotation]] = {
    "casme2": casme2.read,
    "samm": samm.read,
    "smic": smic.read,
    "smic_vis": smic.read,
    "smic_nir": smic.read,
    "casme": casme.read,
    "casme_squared": casme_squared.read,
    "casme_cubed": casme_cubed.read,
    "mmew": mmew.read,
    "fourdme": fourdme.read,
}
