"""Headless Chromium for the pages that the program writes and serves."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.page_visit import OpenPage, PageVisit

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No sandbox: Chromium cannot create one in a container, and these pages are trusted.
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
QUIET = ("--disable-background-networking", "--disable-component-update")
REQUIRED = "ICEGAN_REQUIRE_BROWSER"  # set to 1, a missing browser fails the tests instead of skipping them


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start the machine's Chromium; none is downloaded.

    The browser lives for one module: while it is open, no code in the tests' thread can call ``asyncio.run``, as orbax
    does. A fixture that needs ``asyncio.run`` must have session scope or precede this fixture.
    """
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        words = f"no Chromium on this machine ({', '.join(NAMES)})"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{words}, and {REQUIRED} is 1")
        pytest.skip(words)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*ARGUMENTS, *QUIET])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Return ``open_page(address, width=1280, dark=False)``, which opens an address and returns the ``PageVisit``."""
    contexts = []

    def open_address(address: str, width: int = 1280, dark: bool = False) -> PageVisit:
        scheme = "dark" if dark else "light"
        context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        contexts.append(context)
        return PageVisit(context.new_page(), address)

    yield open_address
    for context in contexts:
        context.close()
