"""The written pages in a browser: loading, sorting, filtering, narrow windows, dark mode, and no network requests."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from icegan_jax.data.clips import EXPRESSIONS, Clip
from icegan_jax.data.dataset import Record
from icegan_jax.data.ingest.prepared_page import write_page
from icegan_jax.data.ingest.repairs import make_repair
from icegan_jax.inference.outputs import score_predictions
from icegan_jax.inference.predictions_page import render_predictions_page
from icegan_jax.inference.timeline import Timeline, TimelineEvent
from icegan_jax.reporting.render import data_url, encode_picture, render
from tests.browser.page_visit import OpenPage, PageVisit
from tests.inference.test_visualize import make_result
from tests.reporting import fabricated

pytestmark = pytest.mark.slow
PHONE = 390  # pixels
# The number of pictures on each page.
PAGES = {"report": 52, "report_no_faces": 2, "prepared": 12, "predictions": 8, "synthesis": 1}

EVENT = TimelineEvent("b", "b: negative, 1.00 to 1.50 s", "#0072b2", 100, 50)
TIMELINE = Timeline("M0 0L1000 100", [EVENT], [(0.0, "0:00")], {"negative": "#0072b2"})


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the pages NAME/index.html."""
    folder = tmp_path_factory.mktemp("pages")
    for name in PAGES:
        (folder / name).mkdir()
    for name in ("report", "report_no_faces"):
        html = (fabricated.reported_run() / name / "index.html").read_text(encoding="utf-8")
        (folder / name / "index.html").write_text(html, encoding="utf-8")
    clips = [Clip("smic", f"s{n}", f"clip{n}", n, Path("frames"), 1, 2 + n, 30) for n in range(3)]
    face = np.full((32, 32), 100, np.uint8)
    apexes = [Record(c.dataset, c.subject, c.clip, c.label, 0, face, face + np.uint8(c.label), face) for c in clips]
    write_page(
        folder / "prepared/index.html",
        summary={"protocol": "megc2019"},
        apexes=apexes,
        clips=clips,
        repairs=[make_repair(clips[1], "apex", None, 3, "spotted")],
        findings=[],
        classes=EXPRESSIONS,
    )
    result = make_result()
    results = [result, replace(result, name="b", truth="negative")]
    networks = {"run": "demo", "networks": "fold a", "held-out scores": "none"}
    score = score_predictions(results, EXPRESSIONS)
    html = render_predictions_page(
        "Predictions", results, EXPRESSIONS, [], networks=networks, files={}, score=score, timeline=TIMELINE
    )
    (folder / "predictions/index.html").write_text(html, encoding="utf-8")
    url = data_url(encode_picture(face, "PNG"), "image/png")
    html = render(
        "synthesis.html", title="face.png", description="Synthetic", url=url, record={"seed": 0, "draws": [0]}
    )
    (folder / "synthesis/index.html").write_text(html, encoding="utf-8")
    return folder


def open_at(open_page: OpenPage, pages: Path, name: str = "report", **fields: object) -> PageVisit:
    return open_page((pages / name / "index.html").as_uri(), **fields)


def table(visit: PageVisit, name: str) -> Locator:
    return visit.page.get_by_role("region", name=name, exact=True)


def column(box: Locator, number: int) -> list[str]:
    """Return the texts of a column in the order of the visible rows."""
    rows = box.locator("tbody tr:visible")
    return rows.locator(f"td:nth-child({number + 1})").all_text_contents()


def sort_by(box: Locator, name: str) -> str | None:
    """Click a column header and return its sort direction."""
    box.get_by_role("button", name=name, exact=True).click()
    return box.get_by_role("columnheader", name=name, exact=True).get_attribute("aria-sort")


@pytest.mark.parametrize("width", [1280, PHONE])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_without_network_requests_and_fits(
    open_page: OpenPage, pages: Path, name: str, width: int
) -> None:
    visit = open_at(open_page, pages, name, width=width)
    assert (visit.errors, visit.requests, visit.empty_pictures()) == ([], [], [])
    texts = visit.page.locator("img").evaluate_all("images => images.map(image => image.alt)")
    assert len(texts) == PAGES[name] and all(texts)
    visit.page.locator("details").evaluate_all("boxes => boxes.forEach(box => { box.open = true })")
    assert visit.overflow() == 0
    links = visit.page.locator("nav a")
    for number in range(links.count()):
        assert visit.page.locator(str(links.nth(number).get_attribute("href"))).count() == 1


def test_headers_sort_in_both_directions(open_page: OpenPage, pages: Path) -> None:
    subjects = table(open_at(open_page, pages), "Subjects")
    assert column(subjects, 3) == ["3 / 3", "2 / 3", "3 / 3"]
    assert sort_by(subjects, "correct") == "ascending"
    assert column(subjects, 3) == ["2 / 3", "3 / 3", "3 / 3"] and column(subjects, 0) == ["a", "a", "b"]
    assert sort_by(subjects, "subject") == "ascending"
    assert sort_by(subjects, "subject") == "descending"
    assert column(subjects, 1) == ["2", "1", "1"]
    states = subjects.locator("th").evaluate_all("heads => heads.map(head => head.getAttribute('aria-sort'))")
    assert states == ["none", "descending", *["none"] * 8]


def test_numbers_sort_as_numbers_and_by_keyboard(open_page: OpenPage, pages: Path) -> None:
    visit = open_at(open_page, pages)
    visit.page.get_by_text("The chosen steps").click()
    steps = table(visit, "Chosen steps")
    assert column(steps, 1) == ["20", "100", "30"]
    steps.get_by_role("button", name="step").focus()
    visit.page.keyboard.press("Enter")
    assert column(steps, 1) == ["20", "30", "100"]
    visit.page.keyboard.press("Space")
    assert column(steps, 1) == ["100", "30", "20"] and column(steps, 0) == ["a_2", "b_1", "a_1"]


def test_clips_of_a_report_are_filtered(open_page: OpenPage, pages: Path) -> None:
    visit = open_at(open_page, pages)
    clips, shown = table(visit, "Clips"), visit.page.locator("output")
    expect(shown).to_have_text("9 of 9 clips")
    visit.page.get_by_label("wrong answers only").check()
    expect(shown).to_have_text("1 of 9 clips")
    assert [column(clips, number) for number in range(5)] == [["a"], ["2"], ["clip2"], ["surprise"], ["negative"]]
    visit.page.get_by_label("wrong answers only").uncheck()
    visit.page.get_by_role("searchbox").fill("POSITIVE clip1")
    expect(shown).to_have_text("3 of 9 clips")
    visit.page.keyboard.press("Enter")
    expect(shown).to_have_text("3 of 9 clips")
    assert visit.errors == []


def test_prepared_clips_are_filtered_and_sorted(open_page: OpenPage, pages: Path) -> None:
    visit = open_at(open_page, pages, "prepared")
    clips, shown = table(visit, "Clips"), visit.page.locator("output")
    sort_by(clips, "change")
    assert sort_by(clips, "change") == "descending" and column(clips, 3) == ["clip2", "clip1", "clip0"]
    visit.page.get_by_label("class").select_option("surprise")
    assert column(clips, 3) == ["clip2"]
    visit.page.get_by_label("class").select_option("")
    visit.page.get_by_label("repaired only").check()
    expect(shown).to_have_text("1 of 3 clips")
    assert column(clips, 3) == ["clip1"] and visit.errors == []


def test_wrong_predictions_are_filtered_with_their_faces(open_page: OpenPage, pages: Path) -> None:
    visit = open_at(open_page, pages, "predictions")
    visit.page.get_by_role("link", name="b: negative, 1.00 to 1.50 s").click()
    assert visit.page.evaluate("document.querySelector(':target').id") == "b"
    visit.page.get_by_label("wrong answers only").check()
    assert column(table(visit, "Predictions"), 0) == ["clip<1>"]
    cards = visit.page.locator("section.card")
    expect(cards.nth(0)).to_be_visible()
    expect(cards.nth(1)).to_be_hidden()
    assert visit.errors == []


def test_dark_mode(open_page: OpenPage, pages: Path) -> None:
    script = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    filters = "getComputedStyle(document.querySelector('{}')).filter"
    for dark, bright in ((False, 255), (True, 40)):
        for name, kind in (("report", ".chart img"), ("prepared", "img.map")):
            visit = open_at(open_page, pages, name, dark=dark)
            color = visit.page.evaluate(script)
            assert max(color) <= bright and (min(color) == 255 or dark)
            assert (visit.page.evaluate(filters.format(kind)) != "none") == dark


FLICKER = "getComputedStyle(document.querySelector('.flicker img + img')).animationName"


def test_an_apex_alternates_with_its_onset_on_hover_by_key_and_for_all(open_page: OpenPage, pages: Path) -> None:
    visit = open_at(open_page, pages, "prepared")
    assert visit.page.evaluate(FLICKER) == "none"
    face = visit.page.locator(".flicker").first
    face.hover()
    assert visit.page.evaluate(FLICKER) == "flicker"
    visit.page.mouse.move(0, 0)
    face.focus()
    assert visit.page.evaluate(FLICKER) == "flicker"
    visit.page.get_by_label("let all faces alternate").check()
    assert visit.page.evaluate(FLICKER) == "flicker"
    visit.page.emulate_media(reduced_motion="reduce")
    style = "getComputedStyle(document.querySelector('.flicker img + img'))"
    assert visit.page.evaluate(f"[{style}.animationName, {style}.opacity]") == ["none", "1"]


def test_rows_are_cards_on_a_phone_and_nothing_is_cut_off(open_page: OpenPage, pages: Path) -> None:
    cut = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.ariaLabel)"
    for name in ("report", "prepared"):
        visit = open_at(open_page, pages, name, width=PHONE)
        assert visit.page.locator(".scroll").evaluate_all(cut) == []


def test_paper_has_every_row_and_every_folded_box(open_page: OpenPage, pages: Path) -> None:
    visit = open_at(open_page, pages)
    visit.page.emulate_media(media="print")
    cut = "boxes => boxes.filter(box => box.scrollHeight > box.clientHeight + 1).map(box => box.ariaLabel)"
    assert visit.page.locator(".scroll").evaluate_all(cut) == []
    assert visit.page.locator("details[open]").count() == 0
    visit.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert visit.page.locator("details:not([open])").count() == 0
    visit.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert visit.page.locator("details[open]").count() == 0
