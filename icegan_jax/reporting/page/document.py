"""The report's page: one HTML file with everything inside, for phone and screen, light and dark."""

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from icegan_jax.evaluation.score_table import score_rows
from icegan_jax.reporting.figures import ReportFigures
from icegan_jax.reporting.page import clip_tables, figures, run_settings, scores
from icegan_jax.reporting.page.html import paragraph
from icegan_jax.reporting.page.scores import render_selection
from icegan_jax.reporting.page.template import render_document
from icegan_jax.reporting.run_files import Run

_UNSCORED = (
    "This network was trained on everybody: nobody was held out, so no score exists. It is for use on other people's "
    "faces; how well such a network does is measured by a run that holds people out (--config.protocol=loso)."
)
_WITHOUT_FACES = (
    "This page was made without faces (--no_faces): it holds no picture of a person, neither alone nor averaged, and "
    "not the folder of the data. Names of subjects and clips are in it."
)


class Section(NamedTuple):
    """A part of the page: a name for links to it, its heading and its HTML."""

    name: str
    heading: str
    html: str


def render_page(run: Run, pictures: ReportFigures, *, no_faces: bool = False) -> str:
    """The whole page as HTML; every name that comes from data is escaped.

    Args:
      run: what it shows.
      pictures: of the run.
      no_faces: the page says that it was made without, and does not name the folder of the data.
    """
    sections = list(_sections(run, pictures, no_faces))
    links = "".join(f'<a href="#{section.name}">{section.heading}</a>' for section in sections)
    body = [
        f"<h1>{escape(run.name)}</h1>",
        paragraph(str(run.results["protocol"]), "soft"),
        "" if run.scored else paragraph(_UNSCORED, "note"),
        paragraph(_WITHOUT_FACES, "note") if no_faces else "",
        scores.render_tiles(run.results),
        f"<nav>{links}</nav>",
        *(f'<section id="{part.name}"><h2>{part.heading}</h2>{part.html}</section>' for part in sections),
    ]
    return render_document(run.name, "\n".join(body))


def _sections(run: Run, pictures: ReportFigures, no_faces: bool) -> Iterator[Section]:
    warnings = run_settings.render_warnings(run.results)
    if warnings:
        yield Section("warnings", "Warnings", warnings)
    if run.scored:
        yield Section("scores", "Scores", scores.render_scores(run.results, score_rows(run.results)))
        yield Section("selection", "How the model was selected", render_selection(run.results))
        yield Section("confusion", "Confusion", figures.render_confusion(run, pictures))
        if run.faces is not None:
            yield Section("worst", "Worst clips", figures.render_worst_clips(run, pictures))
        yield Section("subjects", "Subjects", clip_tables.render_subjects(run.predictions, run.classes))
        yield Section("every_clip", "Clips", clip_tables.render_clips(run.predictions, run.classes))
    if run.faces is not None:
        yield Section("changes", "Where faces move", figures.render_difference_maps(run, pictures))
        yield Section("synthesis", "Synthesis", figures.render_synthesis(run, pictures))
    elif not no_faces:
        yield Section("faces", "Faces", paragraph(figures.NO_FACES))
    yield Section("training", "Training", figures.render_curves(pictures))
    config = run_settings.without_data_folder(run.config) if no_faces else run.config
    yield Section("configuration", "Configuration", run_settings.render_config(config))
    yield Section("versions", "Versions and time", run_settings.render_versions(run.results))
