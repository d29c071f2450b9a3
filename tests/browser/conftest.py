"""A real browser without a window, for the pages that the program writes and serves."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.watching import OpenPage, Visit

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No sandbox: in a container Chromium may not make one, and these pages are our own.
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
QUIET = ("--disable-background-networking", "--disable-component-update")
REQUIRED = "ICEGAN_REQUIRE_BROWSER"  # set to 1, a missing browser fails the tests instead of skipping them


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The machine's Chromium; none is ever downloaded.

    One a module and no longer: while it is open, nothing in the tests' own thread can call ``asyncio.run`` (orbax
    does). A fixture that needs that is to be of the session or stand before this one.
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
    """Opens an address as ``open_page(address, width=1280, dark=False)`` and returns the ``Visit``."""
    contexts = []

    def opened(address: str, width: int = 1280, dark: bool = False) -> Visit:
        scheme = "dark" if dark else "light"
        context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        contexts.append(context)
        return Visit(context.new_page(), address)

    yield opened
    for context in contexts:
        context.close()
