"""A whole system and a browser before it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
from playwright.async_api import Browser, Page, StorageState, expect

from tests.browser.watching import Watch
from tests.support.stack import System

WIDE: Final = 1280
NARROW: Final = 360
HEIGHT: Final = 900
_PATIENCE: Final = 20_000
"""Milliseconds for whatever a page must come to show: the machine may be busy."""

expect.set_options(timeout=_PATIENCE)


class Tab:
    """One tab of a browser that has nothing else open."""

    def __init__(self, page: Page, watch: Watch, url: str) -> None:
        """`url`: of the dashboard."""
        self.page, self.watch, self.url = page, watch, url

    @property
    def path(self) -> str:
        """Where it is."""
        return self.page.url.removeprefix(self.url)

    async def go(self, path: str) -> None:
        """Type in an address of the dashboard."""
        await self.page.goto(self.url + path)

    async def press(self, name: str) -> None:
        """The button with this text."""
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def follow(self, name: str) -> None:
        """The link with this text."""
        await self.page.get_by_role("link", name=name, exact=True).click()

    async def type(self, **fields: str) -> None:
        """Fill in fields by their names in the form."""
        for name, text in fields.items():
            await self.page.locator(f"main [name={name}]").fill(text)

    async def text(self, selector: str = "main") -> str:
        """What a person reads there."""
        return await self.page.locator(selector).inner_text()


class House:
    """`system`: all of it. `artefacts`: where pictures and figures go."""

    def __init__(self, system: System, chromium: Browser, artefacts: Path) -> None:
        """All of it runs already."""
        self.system, self.artefacts = system, artefacts
        self.url = system.stack.url("accounts")
        self._chromium = chromium

    @asynccontextmanager
    async def tab(
        self,
        state: StorageState | None = None,
        expected: frozenset[int] = frozenset(),
        also: frozenset[str] = frozenset(),
        **options: Any,
    ) -> AsyncIterator[Tab]:
        """A fresh browser, with the cookies of `state`; at the end nothing may have gone wrong.

        `expected`: error statuses. `also`: other origins that may be asked.
        """
        context = await self._chromium.new_context(
            storage_state=state,
            viewport={"width": WIDE, "height": HEIGHT},
            locale="en-GB",
            timezone_id="Europe/Vienna",
            **options,
        )
        context.set_default_timeout(_PATIENCE)
        try:
            watch = await Watch(frozenset({self.url, *also}), expected).over(context)
            yield Tab(await context.new_page(), watch, self.url)
            watch.assert_quiet()
        finally:
            await context.close()

    async def mails(self, to: str) -> list[dict[str, Any]]:
        """What came for an address, the newest first."""
        return list(await self._ask("mail", f"/mails.json?to={to}"))

    async def call(self, key: str, path: str, **options: Any) -> httpx2.Response:
        """The public API, with an API key: POST where there is a `json`."""
        headers = {"authorization": f"Bearer {key}"}
        method = "POST" if "json" in options else "GET"
        url = self.system.gateways[0] + path
        async with httpx2.AsyncClient(timeout=40, trust_env=False) as client:
            return await client.request(method, url, headers=headers, **options)

    async def send(self, key: str, model: str, **more: Any) -> str:
        """Send a request; its id."""
        order = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}
        answer = await self.call(key, "/v1/chat/completions", json=order)
        assert answer.is_success, answer.text
        return answer.headers["x-reqrun-request-id"]

    def note(self, name: str, figure: str) -> None:
        """Write a measured figure down beside the pictures."""
        with (self.artefacts / "figures.txt").open("a") as file:
            file.write(f"{name}: {figure}\n")

    async def _ask(self, process: str, path: str) -> Any:
        async with httpx2.AsyncClient(trust_env=False) as client:
            return (await client.get(self.system.stack.url(process) + path)).json()
