import re
from html.parser import HTMLParser

import pytest

from icegan_jax.evaluation import table
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.results import Timing, build_results
from icegan_jax.reporting import page

HOSTILE = '<script>alert("x")</script>&\''


class Elements(HTMLParser):
    """Collects start tags and checks that every element is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
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


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"\x89PNG fake")
    return page.Picture("Faces", "Words on <faces>.", path, wide=True)


def render(name, dataset, pictures=(), **fields):
    predictions = [
        Prediction(dataset, subject, f"{dataset}{label}", label, 0, (0.5, 0.2, 0.3))
        for subject in ("1", "2" + dataset)
        for label in range(2)
    ]
    results = build_results(
        predictions,
        protocol=f"LOSO {dataset}",
        selection=f"last {dataset}",
        seed=0,
        timing=Timing(1234.5, 1.0, 1.0, 1.0),
        versions={dataset: dataset},
        data_fingerprint=dataset,
        **fields,
    )
    rows = table.score_rows(results)
    return page.render_page(name, results, {dataset: dataset}, rows, predictions, pictures)


def test_every_name_is_escaped():
    html = render(HOSTILE, HOSTILE)
    elements = parse(html)
    assert "<script" not in html
    assert not any(tag == "script" for tag, _ in elements.seen)
    assert "".join(elements.text).count(HOSTILE) > 5


def test_page_holds_everything_and_fetches_nothing(picture):
    html = render("run", "db", [picture, page.Picture("None", "nothing here", None)])
    elements = parse(html)
    images = [attributes for tag, attributes in elements.seen if tag == "img"]
    assert len(images) == 1 and images[0]["src"].startswith("data:image/png;base64,")
    assert not re.search(r"https?://|url\(|@import", html)
    assert {"link", "iframe", "script"}.isdisjoint(tag for tag, _ in elements.seen)
    assert "nothing here" in html


def test_page_suits_phones_and_dark_rooms():
    html = render("run", "db")
    assert 'name="viewport" content="width=device-width' in html
    assert "prefers-color-scheme: dark" in html


def test_numbers_of_subjects_scores_and_oracle():
    html = render("run", "db", oracle={"uf1": 0.912, "uar": 0.934})
    assert "<td>db</td><td>1</td><td>1 / 2</td><td>1 / 1</td><td>0 / 1</td><td>–</td>" in html
    assert "best test epoch (not a valid score)" in html and "0.912" in html
    assert "1,234.50" in html and "0.333" in html
