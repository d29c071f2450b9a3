"""The browser tests notice what they are there to notice."""

from pathlib import Path

import pytest

from tests.browser.watching import OpenPage

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def test_a_sound_page_has_nothing_to_complain_of(open_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(f'<!doctype html><p>here</p><img alt="dot" src="{PIXEL}">')
    visit = open_page((tmp_path / "a.html").as_uri())
    assert (visit.complaints, visit.requests, visit.empty_pictures(), visit.overflow()) == ([], [], [], 0)


@pytest.mark.parametrize(
    "html,found",
    [
        ("<script>throw new Error('broken')</script>", "broken"),
        ("<script>console.error('said so')</script>", "said so"),
        ('<img alt="gone" src="gone.png">', "gone.png"),
    ],
)
def test_what_goes_wrong_is_heard(open_page: OpenPage, tmp_path: Path, html: str, found: str) -> None:
    (tmp_path / "a.html").write_text(f"<!doctype html>{html}")
    visit = open_page((tmp_path / "a.html").as_uri())
    assert any(found in complaint for complaint in visit.complaints)
    assert visit.empty_pictures() == (["gone"] if "gone" in found else [])
    assert [request for request in visit.requests if not request.endswith("gone.png")] == []


def test_a_page_too_wide_is_measured(open_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<!doctype html><body style="margin: 0"><div style="width: 500px">wide</div>')
    assert open_page((tmp_path / "a.html").as_uri(), width=390).overflow() == 110
