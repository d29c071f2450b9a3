"""A page opened in the browser, with its errors, warnings and network requests."""

from typing import Protocol

from playwright.sync_api import ConsoleMessage, Page, Request

REPORTED = ("error", "warning")


class PageVisit:
    """One opened address.

    Attributes:
      page: the loaded page of playwright.
      errors: errors and warnings of the console, exceptions, failed requests.
      requests: the requested addresses except the page itself and embedded content (data:).
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._add_message)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("requestfailed", lambda request: self.errors.append(f"{request.url[:200]}: {request.failure}"))
        page.on("request", self._add_request)
        self._address = address
        page.goto(address)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(width))

    def empty_pictures(self) -> list[str]:
        """Return the alternative texts of the pictures that did not load."""
        script = "[...document.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.alt)"
        return list(self.page.evaluate(script))

    def _add_message(self, message: ConsoleMessage) -> None:
        if message.type in REPORTED:
            self.errors.append(message.text)

    def _add_request(self, request: Request) -> None:
        if request.url != self._address and not request.url.startswith("data:"):
            self.requests.append(request.url)


class OpenPage(Protocol):
    """The type of the fixture ``open_page``."""

    def __call__(self, address: str, width: int = 1280, dark: bool = False) -> PageVisit: ...
