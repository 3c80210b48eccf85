"""What people do at the dashboard, step by step, with or without scripts."""

import asyncio
import re
import secrets
from functools import partial
from typing import Final

from playwright.async_api import expect

from tests.browser.house import House, Tab
from tests.support.waiting import until

PASSWORD: Final = "rusty-canary-flies-45"
_ID: Final = re.compile(r"/projects/(prj_\w+)")


def new_email(name: str) -> str:
    """An address that nobody has signed up with."""
    return f"{name}-{secrets.token_hex(4)}@example.org"


async def sign_up(tab: Tab, email: str, name: str = "Ada Lovelace", company: str = "") -> None:
    """As far as the page that sends them to their mails."""
    await tab.go("/sign-up")
    await tab.type(name=name, email=email, password=PASSWORD, company=company)
    await tab.page.get_by_label("Country").select_option("GB")
    await tab.page.get_by_label("I accept the terms").check()
    await tab.press("Sign up")
    await expect(tab.page).to_have_url(re.compile("/check-mail$"))


async def verify(house: House, tab: Tab, email: str) -> None:
    """By the link in their mail."""

    async def has_come() -> bool:
        return bool(await _links(house, email))

    await until(has_come)
    await tab.page.goto((await _links(house, email))[0])
    await tab.press("Verify")
    await expect(tab.page.get_by_role("status")).to_contain_text("is verified")


async def _links(house: House, email: str) -> list[str]:
    shape = re.compile(rf"{re.escape(house.url)}/verify\?token=[\w-]+")
    found = [shape.search(mail["text"]) for mail in await house.mails(email)]
    return [one[0] for one in found if one is not None]


async def log_in(tab: Tab, email: str) -> None:
    """From wherever the log-in page leads on to."""
    await tab.go("/log-in")
    await tab.type(email=email, password=PASSWORD)
    await tab.press("Log in")
    await expect(tab.page.get_by_role("button", name="Log out")).to_be_visible()


async def give_plan(house: House, email: str, plan: str) -> None:
    """The operator grants it: in no time one has room for more than one project."""
    operate = partial(asyncio.to_thread, house.system.operate)
    account = (await operate("people", "find", email))["account_id"]
    await operate("accounts", "plan", account, plan)

    async def is_there() -> bool:
        shown = await operate("accounts", "show", account)
        return bool(shown["account"]["plan"] == plan)

    await until(is_there)


async def make_project(tab: Tab, name: str) -> str:
    """A new one; its id."""
    await tab.go("/projects")
    await tab.type(name=name)
    await tab.press("Make the project")
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text(name)
    found = _ID.search(tab.path)
    assert found is not None
    return found[1]


async def make_key(tab: Tab, project: str, name: str, mode: str) -> str:
    """A new API key for one's own code; its text, which is shown once."""
    await tab.go(f"/projects/{project}/keys")
    await tab.type(name=name)
    await tab.page.get_by_label("Mode").select_option(mode)
    await tab.press("Make the key")
    return await tab.page.locator("#new-key").inner_text()


async def connect_provider(tab: Tab, project: str, url: str) -> None:
    """To an address, with some key."""
    await tab.go(f"/projects/{project}/provider")
    await tab.type(base_url=url, provider_key="sk-simulated-provider-key")
    await tab.press("Seal and save")
    await expect(tab.page.get_by_role("status")).to_have_text("Saved.")


async def enter(house: House, tab: Tab, email: str, name: str = "Ada Lovelace") -> None:
    """Sign up, verify, log in."""
    await sign_up(tab, email, name)
    await verify(house, tab, email)
    await log_in(tab, email)
