"""Any name on a page is plain text, without tags or scripts, and every element of a page is closed."""

from pathlib import Path

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from icegan_jax.data.clips import Clip
from icegan_jax.data.dataset import Record
from icegan_jax.data.ingest.annotation import Finding
from icegan_jax.data.ingest.prepared_page import write_page
from icegan_jax.data.ingest.repairs import Repair
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.results import Timing, build_results
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.reporting.report_figures import ReportFigures, find_worst_clips
from icegan_jax.reporting.report_page import render_report
from icegan_jax.reporting.run_files import Run
from tests.reporting.fabricated import PNG
from tests.reporting.parsed_page import ParsedPage

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(2)>",
    "&lt;b&gt; &amp; &#60;",
    "</style></title></script><!-- ]]>",
    "\u202eabc\u2066",
    "line\nbreak\r\n\ttab",
    "{}%s${x}`",
    "a\ud800b",
    "x" * 10_000,
    "",
)
NAMES = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=30), st.text(st.sampled_from("<>&\"'/=- ab!"), max_size=30)
)


def tags(page: ParsedPage) -> list[tuple[str, tuple[str, ...]]]:
    """Return each tag with the names of its attributes."""
    return [(tag, tuple(attributes)) for tag, attributes in page.elements]


def report(name: str) -> ParsedPage:
    rows = [
        Prediction(f"d{name}", f"{person}{name}", f"c{name}{label}", label, 0, (0.5, 0.3))
        for person in "ab"
        for label in (0, 1)
    ]
    classes = (f"n{name}", f"p{name}")
    results = build_results(
        rows,
        classes,
        protocol=f"p{name}",
        selection=f"s{name}",
        seed=0,
        timing=Timing(1.0, 1.0, 1.0, 1.0),
        versions={f"v{name}": name},
        data_fingerprint=name,
    )
    score = results["overall"]
    results |= {"by_selection": {f"s{name}": score, f"t{name}": score}, "selected_steps": {name: 1}}
    results["warnings"] = {name: [f"w{name}"]}
    config = {"data": {"dir": name}, f"k{name}": name}
    n = len(rows)
    face = np.zeros((n, 8, 8), np.uint8)
    people = [(row.dataset, row.subject) for row in rows]
    label = np.array([row.label for row in rows])
    faces = SynthesizedFaces(face, np.stack([face] * 2, 1), face, label, people, [row.clip for row in rows], [name] * n)
    run = Run(f"r{name}", results, config, classes, rows, np.array([[2, 0], [2, 0]]), faces, [])
    figures = ReportFigures([(name, PNG)], find_worst_clips(rows, faces), face[0], face[0])
    return ParsedPage(render_report(run, figures))


@given(NAMES)
@example(HOSTILE[0])
def test_the_report_shows_any_name_as_text(name: str) -> None:
    result = report(name)
    result.html.encode()
    assert tags(result) == tags(report("a"))
    shown = name.encode("utf-8", "replace").decode().replace("\r", "\n")
    assert not shown.strip() or shown.split("\n")[0] in "".join(result.text).replace("\r", "\n")


def prepared(path: Path, name: str) -> ParsedPage:
    clips = [Clip(f"d{name}", f"s{name}", f"c{name}", 0, Path("frames"), 1, 2, 3)]
    face = np.zeros((16, 16), np.uint8)
    write_page(
        path,
        summary={"protocol": f"p{name}", "sources": (name,), f"k{name}": name},
        apexes=[Record(c.dataset, c.subject, c.clip, 0, 0, face, face) for c in clips],
        clips=clips,
        repairs=[Repair(c.dataset, c.subject, c.clip, f"f{name}", f"o{name}", f"n{name}", f"r{name}") for c in clips],
        findings=[Finding("note", f"c{name}", f"w{name}", f"m{name}", f"r{name}")],
        classes=(f"n{name}",),
    )
    return ParsedPage(path.read_text(encoding="utf-8"))


@settings(max_examples=30)
@given(NAMES)
@example(HOSTILE[0])
def test_the_page_of_prepare_shows_any_name_as_text(tmp_path_factory, name: str) -> None:
    path = tmp_path_factory.getbasetemp() / "index.html"
    result = prepared(path, name)
    assert tags(result) == tags(prepared(path, "a"))
    assert len(result.scripts) == 1
