"""HTML from the templates of this folder: each page is one file with its style, its script and its pictures."""

import base64
import functools
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.reporting.face_grid import difference_image

NUMBER = "number"  # the CSS class of a column of numbers

_TEMPLATES = resources.files(__package__) / "templates"
# The part of the style that the page of icegan_jax.app has, too.
RESULT_STYLE = "".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("results.css", "flicker.css"))
_STYLE = RESULT_STYLE + (_TEMPLATES / "style.css").read_text(encoding="utf-8")
SCRIPT = (_TEMPLATES / "table.js").read_text(encoding="utf-8")
# The policy forbids every request and every script but the one above, whatever the name of a clip contains.
_POLICY = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
)
_QUALITY = 85  # of pictures of faces as WebP: a seventh of the size of a PNG, without a visible difference

Picture = Image.Image | NDArray[np.uint8]


class Column(NamedTuple):
    """A column of a table: the text of the header, and the CSS class of the cells or an empty string."""

    name: str
    css_class: str = ""


class Cell(NamedTuple):
    """A number: the text that is shown, and the value to sort by; None for an absent number."""

    text: str
    value: float | None


class LinkCell(NamedTuple):
    """A text that links to another part of the page or to a file beside it."""

    text: str
    address: str


class FacesCell(NamedTuple):
    """The faces of a clip, shown as onset, apex and their difference."""

    clip: str
    onset: NDArray[np.uint8]
    apex: NDArray[np.uint8]


TableCell = str | Cell | LinkCell | FacesCell


class Row(NamedTuple):
    """A row of a table: a cell for each column, and the values of the fields that a form filters by."""

    cells: Sequence[TableCell]
    fields: Mapping[str, str] = {}


@dataclass(frozen=True)
class Table:
    """A table that sorts by the column whose header is clicked.

    Attributes:
        name: for screen readers; "table_" and the name in lower case is the id by which a form finds the table.
        columns: the columns; the cells of a ``NUMBER`` column are ``Cell``.
        rows: the rows.
    """

    name: str
    columns: Sequence[Column]
    rows: Sequence[Row] = field(default_factory=list)


def render(template: str, **content: object) -> str:
    """Return the HTML of a file in ``templates/`` with the values that it names; all text in the values is escaped."""
    return _writable(_environment().get_template(template).render(content))


def render_macro(template: str, macro: str, **arguments: object) -> str:
    """Return the HTML of a macro of a file in ``templates/``; all text in the arguments is escaped."""
    return _writable(str(getattr(_environment().get_template(template).module, macro)(**arguments)).strip())


def _writable(html: str) -> str:
    """Replace unpaired surrogates, which JSON and names of files may hold and UTF-8 cannot encode."""
    return html.encode("utf-8", "replace").decode()


def format_value(value: object) -> str:
    """Return a value of a JSON file as text, nested values in brackets."""
    if isinstance(value, Mapping):
        words = ((name, entry, format_value(entry)) for name, entry in value.items())
        return ", ".join(f"{k} ({text})" if isinstance(v, Mapping) else f"{k} {text}" for k, v, text in words) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(format_value, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value) or "–"


def number_cell(value: float | None, digits: int = 3) -> Cell:
    """Return the cell of a number with so many decimals; a dash for None."""
    return Cell("–", None) if value is None else Cell(f"{value:.{digits}f}", value)


def encode_picture(picture: Picture, kind: str, **options: object) -> bytes:
    """Return the content of a picture file of a kind that Pillow writes, "PNG" or "WEBP"."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def data_url(content: bytes, media_type: str) -> str:
    """Return the address that embeds a file of a media type such as "image/png"."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def webp_url(picture: Picture) -> str:
    """Return the address of an embedded picture of faces, as WebP with small losses."""
    return data_url(encode_picture(picture, "WEBP", quality=_QUALITY), "image/webp")


def exact_url(picture: Picture) -> str:
    """Return the address of an embedded picture as WebP without losses.

    For charts, and for faces that alternate with their onset: at the quality of ``webp_url`` a gray face changes by 1.6
    levels, which is no less than a micro-expression (on drawn faces; the file has a fifth of the size).
    """
    return data_url(encode_picture(picture, "WEBP", lossless=True), "image/webp")


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("icegan_jax.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(style=Markup(_STYLE), script=Markup(SCRIPT), policy=_POLICY)
    environment.filters.update(
        webp_url=webp_url, exact_url=exact_url, difference_image=difference_image, format_value=format_value
    )
    return environment
