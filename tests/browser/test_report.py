"""The report's page in a real browser: it loads, sorts, filters, fits a phone and a dark room, and asks nobody."""

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.watching import OpenPage, Visit
from tests.reporting import fabricated

PHONE = 390  # pixels
FACES = ("Synthetic faces", "Where faces move", "onset, apex, difference")


def opened(open_page: OpenPage, folder: str = "report", **fields: object) -> Visit:
    return open_page((fabricated.reported_run() / folder / "index.html").as_uri(), **fields)


def table(visit: Visit, name: str) -> Locator:
    return visit.page.get_by_role("region", name=name, exact=True)


def column(box: Locator, number: int) -> list[str]:
    """The texts of a column's cells, in the rows' order; hidden rows are left out."""
    rows = box.locator("tbody tr:visible")
    return rows.locator(f"td:nth-child({number + 1})").all_text_contents()


def press(box: Locator, name: str) -> str | None:
    """Presses a header and tells how it says that the table is sorted now."""
    box.get_by_role("button", name=name, exact=True).click()
    return box.get_by_role("columnheader", name=name, exact=True).get_attribute("aria-sort")


@pytest.mark.parametrize("folder,pictures", [("report", 7), ("report_no_faces", 4)])
def test_it_loads_whole_and_asks_nobody(open_page: OpenPage, folder: str, pictures: int) -> None:
    visit = opened(open_page, folder)
    assert (visit.complaints, visit.requests, visit.empty_pictures()) == ([], [], [])
    assert visit.page.locator("img").count() == pictures
    found = visit.page.locator("img").evaluate_all("images => images.map(image => image.alt)")
    faces = [name for name in found if any(word in name for word in FACES)]
    assert len(faces) == (3 if folder == "report" else 0)
    links = visit.page.locator("nav a")
    for number in range(links.count()):
        assert visit.page.locator(str(links.nth(number).get_attribute("href"))).count() == 1


def test_headers_sort_both_ways(open_page: OpenPage) -> None:
    visit = opened(open_page)
    subjects = table(visit, "Subjects")
    assert column(subjects, 3) == ["3 / 3", "2 / 3", "3 / 3"]
    assert press(subjects, "correct") == "ascending"
    assert column(subjects, 3) == ["2 / 3", "3 / 3", "3 / 3"] and column(subjects, 0) == ["a", "a", "b"]
    assert press(subjects, "subject") == "ascending"
    assert column(subjects, 1) == ["1", "1", "2"]
    assert press(subjects, "subject") == "descending"
    assert column(subjects, 1) == ["2", "1", "1"]
    states = subjects.locator("th").evaluate_all("heads => heads.map(head => head.getAttribute('aria-sort'))")
    assert states == ["none", "descending", *["none"] * 5]


def test_numbers_sort_as_numbers_and_by_keyboard(open_page: OpenPage) -> None:
    visit = opened(open_page)
    visit.page.get_by_text("The chosen steps").click()
    steps = table(visit, "Chosen steps")
    assert column(steps, 1) == ["20", "100", "30"]
    steps.get_by_role("button", name="step").focus()
    visit.page.keyboard.press("Enter")
    assert column(steps, 1) == ["20", "30", "100"]
    visit.page.keyboard.press("Space")
    assert column(steps, 1) == ["100", "30", "20"] and column(steps, 0) == ["a_2", "b_1", "a_1"]
    clips = table(visit, "Clips")
    press(clips, "margin")
    assert column(clips, 8)[:2] == ["-0.200", "+0.300"]
    assert press(clips, "margin") == "descending"
    assert column(clips, 8)[-2:] == ["+0.300", "-0.200"]


def test_clips_are_filtered(open_page: OpenPage) -> None:
    visit = opened(open_page)
    clips, shown = table(visit, "Clips"), visit.page.locator("output")
    expect(shown).to_have_text("9 of 9 clips")
    visit.page.get_by_label("wrong answers only").check()
    expect(shown).to_have_text("1 of 9 clips")
    assert [column(clips, number) for number in range(5)] == [["a"], ["2"], ["clip2"], ["surprise"], ["negative"]]
    visit.page.get_by_label("wrong answers only").uncheck()
    visit.page.get_by_role("searchbox").fill("POSITIVE clip1")
    expect(shown).to_have_text("3 of 9 clips")
    assert set(column(clips, 3)) == {"positive"}
    visit.page.keyboard.press("Enter")
    expect(shown).to_have_text("3 of 9 clips")
    assert visit.complaints == []


@pytest.mark.parametrize("folder", ["report", "report_no_faces"])
def test_it_fits_a_phone(open_page: OpenPage, folder: str) -> None:
    visit = opened(open_page, folder, width=PHONE)
    assert visit.overflow() == 0
    clips = table(visit, "Clips")
    assert clips.evaluate("box => box.scrollWidth - box.clientWidth") > 0  # it scrolls in its own box
    visit.page.get_by_text("config.json as it is").click()
    assert visit.overflow() == 0 and visit.complaints == []


def test_it_is_dark_in_the_dark(open_page: OpenPage) -> None:
    script = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    filters = "getComputedStyle(document.querySelector('{} img')).filter"
    for dark, bright in ((False, 255), (True, 40)):
        visit = opened(open_page, dark=dark)
        colour = visit.page.evaluate(script)
        assert max(colour) <= bright and (min(colour) == 255 or dark)
        for kind in (".chart", ".sheet"):
            assert (visit.page.evaluate(filters.format(kind)) != "none") == dark
        assert visit.complaints == []
