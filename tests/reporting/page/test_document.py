import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np

from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.results import build_results, build_unscored_results
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.reporting.figures import ReportFigures
from icegan_jax.reporting.grids import draw_strip, find_worst_clips
from icegan_jax.reporting.page.document import render_page
from icegan_jax.reporting.page.template import SCRIPT
from icegan_jax.reporting.run_files import Run
from tests.reporting import fabricated

HOSTILE = '<script>alert("x")</script>&\''
PNG = fabricated.PNG
STRIP = draw_strip(np.zeros((8, 8), np.uint8), np.ones((8, 8), np.uint8))


class Elements(HTMLParser):
    """Collect start tags and check that every element is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parse(html: str) -> Elements:
    elements = Elements()
    elements.feed(html)
    elements.close()
    assert elements.open == []
    return elements


def run_of(name="run", dataset="db", **fields):
    """Two subjects with two clips, every prediction negative; `dataset` is part of every name."""
    predictions = [
        Prediction(dataset, subject, f"{dataset}{label}", label, 0, (0.5, 0.2, 0.3))
        for subject in ("1", "2" + dataset)
        for label in range(2)
    ]
    about = fabricated.ABOUT | {"protocol": f"LOSO {dataset}", "selection": f"by {dataset}", "versions": {dataset: "1"}}
    results = build_results(predictions, **about, **fields) | {"warnings": {dataset: [f"warned {dataset}"]}}
    face = np.zeros((len(predictions), 8, 8), np.uint8)
    faces = SynthesizedFaces(
        onset=face,
        synthetic=np.stack([face] * 3, axis=1),
        apex=face,
        label=np.array([row.label for row in predictions]),
        subject=[(row.dataset, row.subject) for row in predictions],
        clip=[row.clip for row in predictions],
        fold=["fold"] * len(predictions),
    )
    counts = metrics.confusion([row.label for row in predictions], [0] * len(predictions))
    classes = ("negative", "positive", "surprise")
    return Run(name, results, {dataset: dataset, "data": {"dir": dataset}}, classes, predictions, counts, faces, [])


def pictures_of(run):
    worst = find_worst_clips(run.predictions, run.faces)
    return ReportFigures(PNG, {"db": PNG, HOSTILE: PNG}, worst, PNG, PNG, PNG)


def test_every_name_is_escaped():
    run = run_of(HOSTILE, HOSTILE)
    html = render_page(run, pictures_of(run))
    elements = parse(html)
    assert [tag for tag, _ in elements.seen].count("script") == 1 == html.count("<script")
    assert "".join(elements.text).count(HOSTILE) > 12


def test_the_policy_lets_the_page_s_own_script_run_and_no_other():
    run = run_of()
    html = render_page(run, pictures_of(run))
    policy = next(d["content"] for tag, d in parse(html).seen if tag == "meta" and "content" in d)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; ")
    script = re.search(r"<script>(.*)</script>", html, re.DOTALL).group(1)
    assert script == SCRIPT
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "unsafe" not in policy.split("script-src")[1]


def test_page_holds_everything_and_fetches_nothing():
    run = run_of()
    html = render_page(run, pictures_of(run))
    elements = parse(html)
    images = [attributes["src"] for tag, attributes in elements.seen if tag == "img"]
    assert len(images) == 8 and all(source.startswith("data:image/webp;base64,") for source in images)
    assert base64.b64encode(STRIP[:4]).decode().startswith("UklGR")  # RIFF
    assert not re.search(r"https?://|url\(|@import", html)
    assert {"link", "iframe", "object"}.isdisjoint(tag for tag, _ in elements.seen)
    targets = {d["href"] for tag, d in elements.seen if tag == "a"}
    sections = {f"#{d['id']}" for tag, d in elements.seen if tag == "section" and "id" in d}
    assert targets == sections and len(sections) == 12


def test_numbers_of_scores_and_time():
    run = run_of(oracle={"uf1": 0.912, "uar": 0.934})
    html = render_page(run, pictures_of(run))
    assert "best test epoch (not a valid score)" in html and "UF1 0.912 and UAR 0.934" in html
    scores = html[html.index('id="scores"') : html.index('id="selection"')]
    assert "always negative" in scores and "0.333" in scores and "0.912" not in scores
    assert "<dd>12.50</dd>" in html and "<li>db: warned db</li>" in html


def test_page_without_faces_says_so_and_omits_the_data_folder():
    run = run_of(dataset="my place")
    html = render_page(run, ReportFigures(confusion=PNG, losses=PNG), no_faces=True)
    with_faces = render_page(run, pictures_of(run))
    notice = "This page was made without faces"
    assert notice in html and notice not in with_faces
    for place in ("<dt>dir</dt>", "&quot;dir&quot;"):
        assert place in with_faces and place not in html


def test_a_run_that_trained_on_everybody_has_no_score():
    run = run_of()
    results = build_unscored_results(run.predictions, **fabricated.ABOUT)
    run = Run("all", results, {}, run.classes, [], run.counts * 0, run.faces, [])
    html = render_page(run, ReportFigures(synthesis=PNG))
    text = "".join(parse(html).text)
    assert "trained on everybody: nobody was held out, so no score exists" in text
    assert text.index("no score exists") < text.index("no scoreeverybody was trained on") < text.index("Synthesis")
    assert "0.500of these clips recognized" in text
    assert "a person that the generator was trained on" in text and "never saw" not in text
    for word in ("UF1", "Subjects", "Worst", "Confusion", 'id="clips"'):
        assert word not in html.split("<body>")[1].split("<script>")[0]


def test_a_run_without_faces_says_so():
    run = run_of()
    run = Run(run.name, run.results, run.config, run.classes, run.predictions, run.counts, None, [])
    html = render_page(run, ReportFigures(confusion=PNG))
    assert "no folds/*/synthesis.npz" in html and "no folds/*/metrics.jsonl" in html
    assert "without faces" not in html and html.count("<img") == 1
