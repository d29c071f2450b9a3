"""The report as one self-contained HTML page, from the template report.html."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from statistics import median_low
from typing import Any

from icegan_jax.evaluation.score_table import ORACLE_NAME, ScoreRow, format_score, score_rows
from icegan_jax.reporting.calibration_section import calibration_context, calibration_tiles
from icegan_jax.reporting.render import NUMBER, Cell, Column, Row, Table, number_cell, render
from icegan_jax.reporting.report_figures import ReportFigures
from icegan_jax.reporting.run_description import (
    configuration_table,
    databases,
    describe_command,
    describe_resumes,
    describe_system,
    describe_title,
)
from icegan_jax.reporting.run_files import Run
from icegan_jax.reporting.score_tables import class_table, clips_table, confusions, subjects_table
from icegan_jax.reporting.style import DIFFERENCE_GAIN, class_color
from icegan_jax.reporting.synthesis_scores import synthesis_table

SECTION_TITLES = {
    "score": "This run, counts pooled over all folds",
    "floor": "Floors: predictions that never look at a face",
    "reference": "References on the same clips and folds",
}
_RULES = {"last": "last step", "inner": "inner validation"}  # the selection rules that results.json names


def render_report(run: Run, figures: ReportFigures, *, no_faces: bool = False, docs: str = "") -> str:
    """Return the whole page as HTML, with every name that comes from data escaped.

    Args:
      run: the finished run.
      figures: of the run.
      no_faces: the page states that it has no faces, does not name the folder of the data, and links no file outside
        its own folder.
      docs: the address of the documentation of the page; without it, the page names the document only.
    """
    results = run.results
    scored: dict[str, Any] = {}
    if run.scored:
        constant = next(name for name in results["floors"] if name.startswith("always_"))
        matrices = confusions(results)
        scored = {
            "scores": _score_sections(score_rows(results)),
            "constant": constant.replace("_", " ").capitalize(),
            "rule": _rule(str(results["selection"])),
            "oracle_name": ORACLE_NAME,
            "by_rule": _rules_table(results),
            "steps": _steps(results.get("selected_steps")),
            "wrong": sum(row.label != row.prediction for row in run.predictions),
            "matrices": matrices,
            "by_class": class_table(matrices, run.classes),
            "subjects": subjects_table(run.predictions, run.classes),
            "clips": clips_table(run.predictions, run.classes),
        }
    return render(
        "report.html",
        title=describe_title(run),
        run=run,
        results=results,
        figures=figures,
        no_faces=no_faces,
        gain=DIFFERENCE_GAIN,
        class_color=class_color,
        system=describe_system(run),
        command=describe_command(run, data_folder=not no_faces),
        resumes=describe_resumes(run.config, data_folder=not no_faces),
        databases=databases(run),
        files=_files(run, figures, no_faces),
        docs=docs,
        entries=[*_tiles(results), *calibration_tiles(run.calibration)],
        calibration=None if run.calibration is None else calibration_context(run.calibration, run.classes),
        warnings=[f"{name}: {line}" for name, lines in results.get("warnings", {}).items() for line in lines],
        synthesis_scores=None if run.faces is None else synthesis_table(run.faces, run.classes),
        configuration=configuration_table(run.config, data_folder=not no_faces),
        versions=_versions(results),
        **scored,
    )


def selection_name(selection: str) -> str:
    """Return the displayed name of the selection rule; a rule that is not known is returned unchanged."""
    return _RULES.get(_rule(selection), selection)


def _files(run: Run, figures: ReportFigures, no_faces: bool) -> list[str]:
    """Return the files that the page links, relative to its folder."""
    present = {
        "../results.json": not no_faces,
        "../predictions.csv": run.scored and not no_faces,
        "../config.json": not no_faces,
        "scores.csv": run.scored,
        "confusion.png": figures.confusion is not None,
        "losses.png": figures.curves is not None,
        "synthesis.png": figures.synthesis is not None,
    }
    return [name for name, exists in present.items() if exists]


def _tiles(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the main results with their descriptions, or that there is no score."""
    if not results.get("scored", True):
        entries = [
            ("no score", "everybody was trained on, nobody was left to test"),
            (str(results["num_clips"]), f"clips of {results.get('num_people', 'all')} people, all trained on"),
            (f"{results['fit']['accuracy']:.3f}", "of these clips recognized: how well it fits, no score"),
        ]
    else:
        overall = results["overall"]
        entries = []
        for name in ("uf1", "uar"):
            low_high = overall[f"{name}_ci95"]
            interval = "" if low_high is None else f", 95% interval {low_high[0]:.3f} to {low_high[1]:.3f}"
            entries.append((f"{overall[name]:.3f}", name.upper() + interval))
        subjects = results.get("num_people", results["num_folds"])
        entries.append((str(results["num_clips"]), f"clips of {subjects} held-out subjects"))
    return [*entries, (selection_name(str(results["selection"])), "reported model")]


def _score_sections(rows: Sequence[ScoreRow]) -> Iterator[tuple[str, list[tuple[str, tuple[str, ...], bool]]]]:
    """Yield the title and the rows of each section of the score table: name, numbers, and whether it is the total."""
    shown = [row for row in rows if row.section in SECTION_TITLES]  # the oracle is shown apart
    for section, of_section in groupby(shown, key=lambda row: row.section):
        lines: list[tuple[str, tuple[str, ...], bool]] = []
        for row in of_section:
            scores = (format_score(row.uf1, row.uf1_interval), format_score(row.uar, row.uar_interval))
            numbers = (str(row.clips), *scores, number_cell(row.accuracy).text)
            lines.append((row.name, numbers, section == "score" and row.name == "overall"))
        yield SECTION_TITLES[section], lines


def _rule(selection: str) -> str:
    """Return the rule that results.json names; empty for a rule that is not known."""
    first_word = next(iter(selection.split()), "")
    return first_word if first_word in _RULES else ""


def _rules_table(results: Mapping[str, Any]) -> Table | None:
    """Return the scores by each valid selection rule; None where there is one only."""
    valid = {name: block for name, block in results.get("by_selection", {}).items() if name != ORACLE_NAME}
    if len(valid) < 2:
        return None
    rows = []
    for name, block in valid.items():
        reported = " (reported)" if name == _rule(str(results["selection"])) else ""
        scores = [Cell(format_score(block[key], block[f"{key}_ci95"]), block[key]) for key in ("uf1", "uar")]
        rows.append(Row([f"{_RULES.get(name, name)}{reported}", *scores, number_cell(block["accuracy"])]))
    numbers = [Column(name, NUMBER) for name in ("UF1 [95%]", "UAR [95%]", "accuracy")]
    return Table("Scores by rule", [Column("rule"), *numbers], rows)


def _steps(steps: Mapping[str, int] | None) -> dict[str, Any] | None:
    if not steps:
        return None
    table = Table(
        "Chosen steps",
        [Column("fold"), Column("step", NUMBER)],
        [Row([fold, number_cell(step, 0)]) for fold, step in steps.items()],
    )
    values = steps.values()
    return {"low": min(values), "high": max(values), "median": median_low(values), "table": table}


def _versions(results: Mapping[str, Any]) -> dict[str, str]:
    """Return protocol, seed, fingerprint, times and versions."""
    entries = {
        "protocol": results["protocol"],
        "selection rule": results["selection"],
        "training seed": results["seed"],
        "data fingerprint": results["data_fingerprint"],
    }
    for name, value in results["timing"].items():
        entries[name.replace("_", " ")] = f"{value:,.2f}" if isinstance(value, float) else value
    return {name: str(value) for name, value in {**entries, **results["versions"]}.items()}
