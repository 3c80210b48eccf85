"""The first use, from the sign-up to the log-out, as somebody does it who has never been here."""

import asyncio
import re
import time
from typing import Final

from playwright.async_api import expect

from tests.browser import steps
from tests.browser.house import House, Tab
from tests.support.waiting import until

_REVOKED_SECONDS: Final = 5
"""What the page promises; docs/guides say the same."""


async def shell(command: str) -> str:
    """What a terminal says to a command that was pasted into it."""
    running = await asyncio.create_subprocess_shell(
        command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await running.communicate()
    assert running.returncode == 0, command
    return said.decode()


async def quick_start(tab: Tab) -> str:
    """The command that the page shows."""
    await tab.press("Make a test key and show the command")
    return await tab.page.locator("#quick-curl").inner_text()


async def test_from_sign_up_to_the_first_answers_to_log_out(house: House) -> None:
    began = time.monotonic()
    async with house.tab() as tab:
        email = steps.new_email("ada")
        await steps.enter(house, tab, email)
        project = await steps.make_project(tab, "My first project")
        command = await quick_start(tab)
        await it_appears_while_one_looks_on(tab, command)
        house.note("sign-up to first request seen", f"{time.monotonic() - began:.1f} s")

        await its_page_tells_why_it_waited(tab, command)
        await opening_the_content_is_written_down(tab)
        await a_key_is_made_rotated_and_revoked(house, tab, project)
        await a_live_request_goes_to_the_connected_provider(house, tab, project)
        house.note("the whole journey", f"{time.monotonic() - began:.1f} s")
        await nothing_is_left_after_the_log_out(tab, email)


async def it_appears_while_one_looks_on(tab: Tab, command: str) -> None:
    await tab.page.evaluate("window.isTheSamePage = true")

    assert '"object":"chat.completion"' in (await shell(command)).replace(" ", "")

    rows = tab.page.locator("#now table tbody tr")
    await expect(rows).to_have_count(1)
    await expect(rows.locator(".state")).to_have_text("completed")
    assert await tab.page.evaluate("window.isTheSamePage"), "it was loaded anew"


async def its_page_tells_why_it_waited(tab: Tab, command: str) -> None:
    await shell(command.replace("sim-ok", "sim-429-twice"))
    row = tab.page.locator("#now tbody tr").filter(has_text="sim-429-twice")
    await row.get_by_role("link").click()

    timeline = tab.page.locator(".timeline")
    await expect(timeline).to_contain_text("Attempt 3: answered (200)")
    told = await timeline.inner_text()
    assert told.count("failed, worth repeating (429)") == 2
    assert told.count("because the provider asked for it") == 2
    assert re.search(r"Waited [\d.]+ m?s", told)
    assert "Completed after" in told


async def opening_the_content_is_written_down(tab: Tab) -> None:
    await tab.press("Open the content")
    await expect(tab.page.locator("#body")).to_contain_text('"content": "Hello"')
    await expect(tab.page.locator("#result")).to_contain_text("chat.completion")

    await tab.follow("Audit")
    first = tab.page.locator("table tbody tr").first
    await expect(first).to_contain_text("The content of a request was opened")
    await expect(first).to_contain_text("rr_")


async def a_key_is_made_rotated_and_revoked(house: House, tab: Tab, project: str) -> None:
    old = await steps.make_key(tab, project, "nightly import", "test")
    assert await status(house, old) == 200

    row = tab.page.locator("tbody tr").filter(has_text="nightly import").filter(has_text=old[-4:])
    await row.get_by_text("Change", exact=True).click()
    await row.get_by_role("button", name="Rotate").click()
    new = await tab.page.locator("#new-key").inner_text()
    assert {await status(house, key) for key in (old, new)} == {200}

    row = tab.page.locator("tbody tr").filter(has_text=f"…{old[-4:]}")
    await row.get_by_text("Change", exact=True).click()
    await row.get_by_role("button", name="Revoke for ever").click()
    await expect(tab.page.get_by_role("status")).to_contain_text("The key is revoked")
    await until(lambda: is_refused(house, old), seconds=_REVOKED_SECONDS)
    assert await status(house, new) == 200


async def status(house: House, key: str) -> int:
    """With which a call that changes nothing is answered."""
    return (await house.call(key, "/v1/requests?limit=1")).status_code


async def is_refused(house: House, key: str) -> bool:
    return await status(house, key) == 401


async def a_live_request_goes_to_the_connected_provider(
    house: House, tab: Tab, project: str
) -> None:
    await steps.connect_provider(tab, project, f"{house.system.simulator_url}/v1")
    await tab.press("Test the connection")
    await expect(tab.page.get_by_role("status")).to_contain_text("models")
    assert "sk-simulated-provider-key" not in await tab.page.content()

    live = await steps.make_key(tab, project, "production", "live")
    request = await house.send(live, "sim-slow-3000000ms")
    await tab.go(f"/projects/{project}/requests/{request}")
    await tab.press("Cancel it")
    await expect(tab.page.get_by_role("status")).to_contain_text("Cancelled")
    await expect(tab.page.locator("#live .head .state")).to_have_text("cancelled")

    await tab.go(f"/projects/{project}")
    done = await house.send(live, "sim-ok")
    row = tab.page.locator("#now tbody tr").filter(has_text=done)
    await expect(row.locator(".state")).to_have_text("completed")
    await a_failed_request_is_sent_again(house, tab, live, project)


async def a_failed_request_is_sent_again(house: House, tab: Tab, key: str, project: str) -> None:
    failed = await house.send(key, "sim-400")
    await tab.go(f"/projects/{project}/requests/{failed}")
    await expect(tab.page.locator("#live .head .state")).to_have_text("failed")
    await tab.page.reload()  # the button is beside the live part
    await tab.press("Send it again")
    await expect(tab.page.get_by_role("status")).to_contain_text("is queued")
    await expect(tab.page.get_by_role("link", name=failed)).to_be_visible()


async def nothing_is_left_after_the_log_out(tab: Tab, email: str) -> None:
    inside = tab.path
    await tab.press("Log out")
    await expect(tab.page.get_by_role("status")).to_have_text("You are logged out.")

    for _ in range(2):
        await tab.page.go_back()
        await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Log in")
        assert email not in await tab.page.content()
    await tab.go(inside)
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Log in")
