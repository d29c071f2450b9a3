"""The targets of the links and pictures of the documentation exist."""

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, anchors, links

LOCAL = [(page, link) for page in PAGES for link in links(page) if not link.startswith("https://")]


def test_there_are_links() -> None:
    assert len(LOCAL) > 30 and any(link.endswith(".png") for _, link in LOCAL)


@pytest.mark.parametrize(("page", "link"), LOCAL, ids=lambda value: value.name if isinstance(value, Path) else value)
def test_a_link_leads_to_a_file_and_a_heading(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    assert target.is_file(), f"{page.name}: {link}"
    assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_reachable_from_the_readme() -> None:
    reached, todo = {PAGES[0]}, [PAGES[0]]
    while todo:
        page = todo.pop()
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target not in reached:
                reached.add(target)
                todo.append(target)
    assert set(PAGES) <= reached
