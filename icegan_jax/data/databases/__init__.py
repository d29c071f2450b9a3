"""One reader per database: each yields the annotation as it stands, see docs/add-a-database.md."""

from collections.abc import Callable, Mapping

from icegan_jax.data.databases import casme
from icegan_jax.data.databases import casme2
from icegan_jax.data.databases import casme_cubed
from icegan_jax.data.databases import casme_squared
from icegan_jax.data.databases import fourdme
from icegan_jax.data.databases import mmew
from icegan_jax.data.databases import samm
from icegan_jax.data.databases import smic
from icegan_jax.data.ingest.annotation import DatabaseAnnotation
from icegan_jax.data.ingest.annotation import Source

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
