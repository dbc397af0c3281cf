"""What goes wrong in a browser while a test looks elsewhere."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response

_THE_RESPONSE_TELLS_MORE = "Failed to load resource"
_LEFT = "net::ERR_ABORTED"  # what a page still loads when it is left; every download
_WITHOUT_A_HOST = ("data", "blob")


class Watch:
    """Everything in a context that no person should meet: `faults`, in words.

    Console errors and warnings (a violated Content-Security-Policy is one), uncaught errors, failed
    requests, requests off the loopback, and statuses from 400 on that are not among `refusals`.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.faults: list[str] = []
        self.refusals: set[int] = set()
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"uncaught: {error.error}"))
        context.on("request", self._request)
        context.on("requestfailed", self._request_failed)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        is_bad = message.type in ("error", "warning")
        if is_bad and not message.text.startswith(_THE_RESPONSE_TELLS_MORE):
            self.faults.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in _WITHOUT_A_HOST and address.hostname != "127.0.0.1":
            self.faults.append(f"off the loopback: {request.url}")

    def _request_failed(self, request: Request) -> None:
        if request.failure != _LEFT:
            self.faults.append(f"{request.failure}: {request.method} {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.refusals:
            self.faults.append(f"{response.status}: {response.request.method} {response.url}")
