"""The dashboard beside a part of the system that is away: it says so, works, and comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import StorageState, expect

from tests.browser import steps
from tests.browser.customer import Customer
from tests.browser.house import House, Tab


@asynccontextmanager
async def away(house: House, name: str) -> AsyncIterator[None]:
    """A process or a server is dead within the block."""
    await house.system.kill(name)
    try:
        yield
    finally:
        await house.system.start(name)


async def test_without_gateways_pages_say_what_is_missing_and_the_rest_works(
    house: House, customer: Customer, state: StorageState
) -> None:
    home = f"/projects/{customer.project}"
    # One that ends is told to try again; a page that holds more than requests stays a page.
    async with (
        house.tab(state, frozenset({503})) as tab,
        house.tab(state, frozenset({503})) as watching,
    ):
        await watching.go(f"{home}?mode=test")
        await expect(watching.page.locator("#now .figure").first).to_be_visible()
        async with away(house, "gateway"):
            await it_says_so(tab, home, customer)
            await expect(watching.page.locator("#now .note.wait")).to_be_visible()
            await what_needs_no_gateway_works(tab, customer)
        await expect(watching.page.locator("#now .figure").first).to_be_visible()
        await everything_is_back(house, tab, home, customer)


async def it_says_so(tab: Tab, home: str, customer: Customer) -> None:
    for path in ("", "/requests", "/usage"):
        await tab.go(f"{home}{path}?mode=test")
        await expect(tab.page.locator("main .note.wait").first).to_be_visible()
        await expect(tab.page.get_by_role("heading", level=1)).to_be_visible()
    await tab.go(f"{home}/requests/{customer.completed}")
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Something is away")


async def what_needs_no_gateway_works(tab: Tab, customer: Customer) -> None:
    key = await steps.make_key(tab, customer.empty_project, "meanwhile", "test")
    assert key.startswith("reqrun_test_")
    await tab.go("/settings")
    await tab.type(company="Navy")
    await tab.press("Save the profile")
    await expect(tab.page.get_by_role("status")).to_have_text("Saved.")
    await tab.go("/audit")
    await expect(tab.page.locator("tbody tr").first).to_contain_text("The profile was corrected")
    await expect(tab.page.locator("tbody tr").nth(1)).to_contain_text("An API key was made")


async def everything_is_back(house: House, tab: Tab, home: str, customer: Customer) -> None:
    await (
        tab.page.get_by_role("link", name="Try again")
        .or_(tab.page.get_by_role("link", name="Projects"))
        .first.click()
    )
    request = await house.send(customer.key, "sim-ok")
    await tab.go(f"{home}/requests/{request}")
    await expect(tab.page.locator("#live .head .state")).to_have_text("completed")


async def test_without_redis_everything_works(
    house: House, customer: Customer, state: StorageState
) -> None:
    home = f"/projects/{customer.project}"
    async with house.tab(state) as tab:
        async with away(house, "redis"):
            request = await house.send(customer.key, "sim-ok")
            await tab.go(f"{home}/requests/{request}")
            await expect(tab.page.locator("#live .head .state")).to_have_text("completed")
            for path in ("", "/requests", "/usage"):
                await tab.go(f"{home}{path}?mode=test")
                await expect(tab.page.locator("main .note.wait")).to_have_count(0)
            await steps.make_key(tab, customer.empty_project, "without Redis", "test")
        await asyncio.gather(*(house.send(customer.key, "sim-ok") for _ in range(3)))
