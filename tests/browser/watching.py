"""What goes wrong in a browser without anybody seeing it: errors, failures, strangers, dialogs."""

import asyncio
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Dialog, Request, Response, WebError

_REPORT_VIOLATIONS: Final = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI}`));
"""
_LEFT: Final = "net::ERR_ABORTED"
_FIRST_ERROR: Final = 400
_STATUS_LINE: Final = "Failed to load resource: the server responded with a status of "


class Watch:
    """`troubles`: in words, in the order they came."""

    def __init__(self, origins: frozenset[str], expected: frozenset[int]) -> None:
        """`origins`: all that may be asked. `expected`: error statuses that are no trouble."""
        self.troubles: list[str] = []
        self._origins, self._expected = origins, expected
        self._closing: set[asyncio.Task[None]] = set()

    async def over(self, context: BrowserContext) -> "Watch":
        """Watch every page of `context` from now on."""
        await context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", self._said)
        context.on("weberror", self._thrown)
        context.on("request", self._asked)
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)
        context.on("dialog", self._popped_up)
        return self

    def assert_quiet(self) -> None:
        """AssertionError with everything that was wrong."""
        assert not self.troubles, "\n".join(self.troubles)

    def _said(self, message: ConsoleMessage) -> None:
        # The same is told, with its address, by the response.
        if message.type == "error" and not message.text.startswith(_STATUS_LINE):
            self.troubles.append(f"console: {message.text}")

    def _thrown(self, error: WebError) -> None:
        self.troubles.append(f"thrown: {error.error}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if f"{parts.scheme}://{parts.netloc}" not in self._origins:
            self.troubles.append(f"another origin: {request.url}")

    def _failed(self, request: Request) -> None:
        # A page that is left gives up what it was still asking for.
        if request.failure != _LEFT:
            self.troubles.append(f"failed: {request.url} {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= _FIRST_ERROR and response.status not in self._expected:
            self.troubles.append(f"answered {response.status}: {response.url}")

    def _popped_up(self, dialog: Dialog) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        task = asyncio.ensure_future(dialog.dismiss())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
