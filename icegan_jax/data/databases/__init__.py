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
