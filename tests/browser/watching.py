"""A page in the browser, and everything that it complains of or asks the network for."""

from typing import Protocol

from playwright.sync_api import ConsoleMessage, Page, Request

LOUD = ("error", "warning")


class Visit:
    """One address, opened.

    Attributes:
      page: of playwright, loaded.
      complaints: errors and warnings of the console, exceptions, requests that failed.
      requests: every address asked for besides the page's own, but for what it holds itself (data:).
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(f"{request.url[:200]}: {request.failure}"))
        page.on("request", self._see)
        self._address = address
        page.goto(address)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(width))

    def empty_pictures(self) -> list[str]:
        """The alternative texts of pictures that did not load."""
        script = "[...document.images].filter(image => !image.complete || !image.naturalWidth).map(image => image.alt)"
        return list(self.page.evaluate(script))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in LOUD:
            self.complaints.append(message.text)

    def _see(self, request: Request) -> None:
        if request.url != self._address and not request.url.startswith("data:"):
            self.requests.append(request.url)


class OpenPage(Protocol):
    """The fixture ``open_page``."""

    def __call__(self, address: str, width: int = 1280, dark: bool = False) -> Visit: ...
