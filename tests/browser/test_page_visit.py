"""``PageVisit`` records errors, requests and layout faults of a page."""

from pathlib import Path

import pytest

from tests.browser.page_visit import OpenPage

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def test_a_page_without_faults(open_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(f'<!doctype html><p>here</p><img alt="dot" src="{PIXEL}">')
    visit = open_page((tmp_path / "a.html").as_uri())
    assert (visit.errors, visit.requests, visit.empty_pictures(), visit.overflow()) == ([], [], [], 0)


@pytest.mark.parametrize(
    "html,expected",
    [
        ("<script>throw new Error('broken')</script>", "broken"),
        ("<script>console.error('message')</script>", "message"),
        ('<img alt="gone" src="gone.png">', "gone.png"),
    ],
)
def test_errors_are_recorded(open_page: OpenPage, tmp_path: Path, html: str, expected: str) -> None:
    (tmp_path / "a.html").write_text(f"<!doctype html>{html}")
    visit = open_page((tmp_path / "a.html").as_uri())
    assert any(expected in error for error in visit.errors)
    assert visit.empty_pictures() == (["gone"] if "gone" in expected else [])
    assert [request for request in visit.requests if not request.endswith("gone.png")] == []


def test_the_overflow_is_measured(open_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<!doctype html><body style="margin: 0"><div style="width: 500px">wide</div>')
    assert open_page((tmp_path / "a.html").as_uri(), width=390).overflow() == 110
