"""The report's page in a browser: loading, sorting, filtering, narrow windows, dark mode, and no network requests."""

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.page_visit import OpenPage, PageVisit
from tests.reporting import fabricated

PHONE = 390  # pixels
FACES = ("Synthetic faces", "Where faces move", "onset, apex, difference")


def open_report(open_page: OpenPage, folder: str = "report", **fields: object) -> PageVisit:
    return open_page((fabricated.reported_run() / folder / "index.html").as_uri(), **fields)


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


@pytest.mark.parametrize("folder,pictures", [("report", 7), ("report_no_faces", 4)])
def test_the_page_loads_without_network_requests(open_page: OpenPage, folder: str, pictures: int) -> None:
    visit = open_report(open_page, folder)
    assert (visit.errors, visit.requests, visit.empty_pictures()) == ([], [], [])
    assert visit.page.locator("img").count() == pictures
    actual = visit.page.locator("img").evaluate_all("images => images.map(image => image.alt)")
    faces = [name for name in actual if any(word in name for word in FACES)]
    assert len(faces) == (3 if folder == "report" else 0)
    links = visit.page.locator("nav a")
    for number in range(links.count()):
        assert visit.page.locator(str(links.nth(number).get_attribute("href"))).count() == 1


def test_headers_sort_in_both_directions(open_page: OpenPage) -> None:
    visit = open_report(open_page)
    subjects = table(visit, "Subjects")
    assert column(subjects, 3) == ["3 / 3", "2 / 3", "3 / 3"]
    assert sort_by(subjects, "correct") == "ascending"
    assert column(subjects, 3) == ["2 / 3", "3 / 3", "3 / 3"] and column(subjects, 0) == ["a", "a", "b"]
    assert sort_by(subjects, "subject") == "ascending"
    assert column(subjects, 1) == ["1", "1", "2"]
    assert sort_by(subjects, "subject") == "descending"
    assert column(subjects, 1) == ["2", "1", "1"]
    states = subjects.locator("th").evaluate_all("heads => heads.map(head => head.getAttribute('aria-sort'))")
    assert states == ["none", "descending", *["none"] * 5]


def test_numbers_sort_as_numbers_and_by_keyboard(open_page: OpenPage) -> None:
    visit = open_report(open_page)
    visit.page.get_by_text("The chosen steps").click()
    steps = table(visit, "Chosen steps")
    assert column(steps, 1) == ["20", "100", "30"]
    steps.get_by_role("button", name="step").focus()
    visit.page.keyboard.press("Enter")
    assert column(steps, 1) == ["20", "30", "100"]
    visit.page.keyboard.press("Space")
    assert column(steps, 1) == ["100", "30", "20"] and column(steps, 0) == ["a_2", "b_1", "a_1"]
    clips = table(visit, "Clips")
    sort_by(clips, "margin")
    assert column(clips, 8)[:2] == ["-0.200", "+0.300"]
    assert sort_by(clips, "margin") == "descending"
    assert column(clips, 8)[-2:] == ["+0.300", "-0.200"]


def test_clips_are_filtered(open_page: OpenPage) -> None:
    visit = open_report(open_page)
    clips, tab_panel = table(visit, "Clips"), visit.page.locator("output")
    expect(tab_panel).to_have_text("9 of 9 clips")
    visit.page.get_by_label("wrong answers only").check()
    expect(tab_panel).to_have_text("1 of 9 clips")
    assert [column(clips, number) for number in range(5)] == [["a"], ["2"], ["clip2"], ["surprise"], ["negative"]]
    visit.page.get_by_label("wrong answers only").uncheck()
    visit.page.get_by_role("searchbox").fill("POSITIVE clip1")
    expect(tab_panel).to_have_text("3 of 9 clips")
    assert set(column(clips, 3)) == {"positive"}
    visit.page.keyboard.press("Enter")
    expect(tab_panel).to_have_text("3 of 9 clips")
    assert visit.errors == []


@pytest.mark.parametrize("folder", ["report", "report_no_faces"])
def test_the_page_fits_a_narrow_window(open_page: OpenPage, folder: str) -> None:
    visit = open_report(open_page, folder, width=PHONE)
    assert visit.overflow() == 0
    clips = table(visit, "Clips")
    assert clips.evaluate("box => box.scrollWidth - box.clientWidth") > 0  # the table scrolls in its box
    visit.page.get_by_text("config.json as it is").click()
    assert visit.overflow() == 0 and visit.errors == []


def test_dark_mode(open_page: OpenPage) -> None:
    script = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    filters = "getComputedStyle(document.querySelector('{} img')).filter"
    for dark, bright in ((False, 255), (True, 40)):
        visit = open_report(open_page, dark=dark)
        color = visit.page.evaluate(script)
        assert max(color) <= bright and (min(color) == 255 or dark)
        for kind in (".chart", ".sheet"):
            assert (visit.page.evaluate(filters.format(kind)) != "none") == dark
        assert visit.errors == []
