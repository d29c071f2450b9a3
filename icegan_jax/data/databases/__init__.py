"""The databases: ``read`` returns the annotation of one as it stands (docs/add-a-database.md)."""

from collections.abc import Callable, Mapping
from functools import partial

from icegan_jax.data.databases import assumed_layouts, casme2, samm, smic
from icegan_jax.data.ingest.annotation import DatabaseAnnotation, Source
from icegan_jax.data.ingest.read_database import read_database

READERS: Mapping[str, Callable[[Source], DatabaseAnnotation]] = {
    "casme2": casme2.read,
    "samm": samm.read,
    **dict.fromkeys(smic.CAMERAS, smic.read),
    **{name: partial(read_database, database=layout) for name, layout in assumed_layouts.FORMATS.items()},
}

# Names of the databases in publications and folders, for messages.
OTHER_NAMES = {
    "casmeii": "casme2",
    "casme_ii": "casme2",
    "samm_lv": "samm",
    "smic_hs": "smic",
    **dict.fromkeys(("casme_sq", "casme^2", "cas(me)2", "cas(me)^2"), "casme_squared"),
    **dict.fromkeys(("casme3", "casme_iii", "casme^3", "cas(me)3", "cas(me)^3"), "casme_cubed"),
    "4dme": "fourdme",
}
