"""What people and providers write stays text, on every page and in every mail."""

import asyncio
import json
from typing import Any, Final
from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from tests.browser import steps
from tests.browser.house import House, Tab
from tests.support.raw_server import RawServer, raw_server, reply
from tests.support.waiting import until

CANARIES: Final = {
    "handler": "<img src=x onerror=window.hacked=1>",
    "break-out": "\"'></script></title></textarea><script>window.hacked=1</script>",
    "template": "{{7*7}}${7*7}<svg/onload=window.hacked=1>",
}
_INTRUDERS: Final = """
[...document.querySelectorAll("*")].filter((one) =>
  [...one.attributes].some((attribute) =>
    attribute.name.startsWith("on") || attribute.value.trim().startsWith("javascript:"))
  || (one.localName === "script" && !one.src)).map((one) => one.outerHTML)
"""
"""Elements that could run something: our pages have none."""


def provider_error(canary: str) -> bytes:
    """What a provider that wants to do harm would answer with."""
    error = {"message": canary, "type": canary, "code": canary}
    body = json.dumps({"error": error}).encode()
    return reply("400 Bad Request", body, f"x-request-id: {canary}", f"openai-model: {canary}")


@pytest.mark.parametrize("name", CANARIES)
async def test_whatever_somebody_writes_stays_text(name: str, house: House) -> None:
    canary = CANARIES[name]

    async def refuse(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while await server.read_request(reader):
            writer.write(provider_error(canary))
            await writer.drain()

    async with (
        raw_server(refuse) as provider,
        house.tab(expected=frozenset({400, 403, 404})) as tab,
    ):
        email = steps.new_email(name)
        await steps.sign_up(tab, email, name=canary, company=canary)
        await steps.verify(house, tab, email)
        await steps.log_in(tab, email)
        project = await steps.make_project(tab, canary)
        await steps.connect_provider(tab, project, provider.url)
        key = await steps.make_key(tab, project, canary, "live")
        request = await send(house, key, canary)
        thread = await write(tab, canary)

        await every_page_shows_text(tab, paths(project, request, thread, canary), canary)
        await the_content_shows_text(tab, f"/projects/{project}/requests/{request}", canary)
        await the_live_list_shows_text(tab, f"/projects/{project}/requests", canary)
        await bad_forms_show_text(tab, project, canary)
        await mails_show_text(house, email, canary)


async def send(house: House, key: str, canary: str) -> str:
    """A request that is nothing but canaries, and that the provider refuses; its id."""
    messages = [{"role": "user", "content": canary}]
    order: dict[str, Any] = {"model": canary, "messages": messages, "idempotency_key": canary}
    answer = await house.call(key, "/v1/chat/completions", json={**order, "wait": True})
    assert answer.json()["status"] == "failed", answer.text
    shown = (await house.call(key, f"/v1/requests/{answer.json()['id']}")).json()
    assert shown["last_error_code"] == "provider_rejected", shown
    return str(shown["id"])


async def write(tab: Tab, canary: str) -> str:
    """To support; the path of the conversation."""
    await tab.go("/support")
    await tab.type(subject=canary, text=canary)
    await tab.press("Send it")
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text(canary)
    return tab.path.partition("?")[0]


def paths(project: str, request: str, thread: str, canary: str) -> dict[str, bool]:
    """Every page there is, and whether it shows something that was written."""
    home, asked = f"/projects/{project}", quote(canary, safe="")
    return {
        "/projects": True,
        home: True,
        f"{home}/requests": True,
        f"{home}/requests?model={asked}": True,
        f"{home}/requests?find={asked}&state={asked}&before={asked}": True,
        f"{home}/requests/{request}": True,
        f"{home}/requests/{asked}": False,
        f"{home}/keys?done={asked}": True,
        f"{home}/provider": True,
        f"{home}/usage": True,
        f"{home}/settings": True,
        "/settings": True,
        "/settings/data": False,
        "/settings/data/delete": False,
        "/audit": True,
        f"/audit?group={asked}&since={asked}": False,
        "/support": True,
        thread: True,
        f"/{asked}": False,
        f"/log-in?next={asked}&done={asked}": False,
        f"/verify?token={asked}": False,
    }


async def every_page_shows_text(tab: Tab, pages: dict[str, bool], canary: str) -> None:
    for path, shows_it in pages.items():
        await tab.go(path)
        await nothing_ran(tab)
        assert not shows_it or canary in await written(tab.page), path


async def written(page: Page) -> str:
    """All that a page says, in its text, its fields, and the names of its parts."""
    words: str = await page.evaluate("""
        [document.body.textContent, document.title,
         ...[...document.querySelectorAll("input, textarea")].map((one) => one.value),
         ...[...document.querySelectorAll("[aria-label]")].map((one) => one.ariaLabel)].join("\\n")
    """)
    return words


async def nothing_ran(tab: Tab) -> None:
    assert await tab.page.evaluate(_INTRUDERS) == [], tab.path
    assert await tab.page.evaluate("window.hacked") is None, tab.path
    tab.watch.assert_quiet()


async def the_content_shows_text(tab: Tab, path: str, canary: str) -> None:
    await tab.go(path)
    await tab.press("Open the content")
    for part in ("#body", "#error-1"):
        shown = json.loads(await tab.page.locator(part).inner_text())
        assert canary in json.dumps(shown, ensure_ascii=False).replace('\\"', '"'), part
    await nothing_ran(tab)


async def the_live_list_shows_text(tab: Tab, path: str, canary: str) -> None:
    await tab.go(path)
    async with tab.page.expect_response(lambda answer: "/requests/rows" in answer.url):
        pass
    await until(lambda: is_morphed(tab.page))
    await expect(tab.page.locator("#rows")).to_contain_text(canary)
    await nothing_ran(tab)


async def is_morphed(page: Page) -> bool:
    return bool(await page.evaluate("document.querySelector('.htmx-request') === null"))


async def bad_forms_show_text(tab: Tab, project: str, canary: str) -> None:
    await tab.go(f"/projects/{project}/provider")
    await tab.type(base_url=canary, provider_key=canary)
    await tab.press("Seal and save")
    await expect(tab.page.get_by_role("alert")).to_be_visible()
    assert await tab.page.locator("[name=base_url]").input_value() == canary
    await nothing_ran(tab)


async def mails_show_text(house: House, email: str, canary: str) -> None:
    mails = await house.mails(email)
    assert any(canary in mail["text"] for mail in mails)
    assert not any(canary in mail["html"] for mail in mails if "<" in canary)
