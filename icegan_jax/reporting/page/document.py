"""The report as one self-contained HTML page."""

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from icegan_jax.evaluation.score_table import score_rows
from icegan_jax.reporting.figures import ReportFigures
from icegan_jax.reporting.page import clip_tables, figures, run_settings, scores
from icegan_jax.reporting.page.html import paragraph
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
    """A section of the page: a name for links to the section, its heading and its HTML."""

    name: str
    heading: str
    html: str


def render_page(run: Run, report_figures: ReportFigures, *, no_faces: bool = False) -> str:
    """Return the whole page as HTML, with every name that comes from data escaped.

    Args:
      run: the finished run.
      report_figures: of the run.
      no_faces: the page states that it has no faces, and does not name the folder of the data.
    """
    sections = list(_sections(run, report_figures, no_faces))
    links = "".join(f'<a href="#{section.name}">{section.heading}</a>' for section in sections)
    body = [
        f"<h1>{escape(run.name)}</h1>",
        paragraph(str(run.results["protocol"]), "soft"),
        "" if run.scored else paragraph(_UNSCORED, "note"),
        paragraph(_WITHOUT_FACES, "note") if no_faces else "",
        scores.render_tiles(run.results),
        f"<nav>{links}</nav>",
        *(f'<section id="{section.name}"><h2>{section.heading}</h2>{section.html}</section>' for section in sections),
    ]
    return render_document(run.name, "\n".join(body))


def _sections(run: Run, report_figures: ReportFigures, no_faces: bool) -> Iterator[Section]:
    warnings = run_settings.render_warnings(run.results)
    if warnings:
        yield Section("warnings", "Warnings", warnings)
    if run.scored:
        yield Section("scores", "Scores", scores.render_scores(run.results, score_rows(run.results)))
        yield Section("selection", "How the model was selected", scores.render_selection(run.results))
        yield Section("confusion", "Confusion", figures.render_confusion(run, report_figures))
        if run.faces is not None:
            yield Section("worst", "Worst clips", figures.render_worst_clips(run, report_figures))
        yield Section("subjects", "Subjects", clip_tables.render_subjects(run.predictions, run.classes))
        yield Section("every_clip", "Clips", clip_tables.render_clips(run.predictions, run.classes))
    if run.faces is not None:
        yield Section("changes", "Where faces move", figures.render_difference_maps(run, report_figures))
        yield Section("synthesis", "Synthesis", figures.render_synthesis(run, report_figures))
    elif not no_faces:
        yield Section("faces", "Faces", paragraph(figures.NO_FACES))
    yield Section("training", "Training", figures.render_curves(report_figures))
    config = run_settings.without_data_folder(run.config) if no_faces else run.config
    yield Section("configuration", "Configuration", run_settings.render_config(config))
    yield Section("versions", "Versions and time", run_settings.render_versions(run.results))
