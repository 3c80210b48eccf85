"""A customer whose pages all have something on them."""

import msgspec
from playwright.async_api import StorageState, expect

from tests.browser import steps
from tests.browser.house import House, Tab
from tests.support.waiting import until


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """`state`: the cookies of their browser. The rest: ids, and a test key of the project."""

    email: str
    state: StorageState
    project: str
    empty_project: str
    key: str
    completed: str
    failed: str
    running: str
    thread: str


async def settled(house: House) -> Customer:
    """Sign up, make two projects, use one of them in test mode, write to support."""
    email = steps.new_email("grace")
    async with house.tab() as tab:
        await steps.enter(house, tab, email, "Grace Hopper")
        await steps.give_plan(house, email, "pro")
        project = await steps.make_project(tab, "Nightly import")
        empty_project = await steps.make_project(tab, "Nothing yet")
        await steps.connect_provider(tab, project, f"{house.system.simulator_url}/v1")
        key = await steps.make_key(tab, project, "Import", "test")
        thread = await _write(tab)
        made = Customer(
            email=email,
            state=await tab.page.context.storage_state(),
            project=project,
            empty_project=empty_project,
            key=key,
            completed=await house.send(key, "sim-429-twice", idempotency_key="order-4711"),
            failed=await house.send(key, "sim-400"),
            running=await house.send(key, "sim-slow-3000000ms"),
            thread=thread,
        )
    await _ended(house, made)
    return made


async def _write(tab: Tab) -> str:
    await tab.go("/support")
    await tab.type(subject="A question", text="Where do I find my invoices?")
    await tab.press("Send it")
    await expect(tab.page.get_by_role("status")).to_contain_text("Your message is with us")
    return tab.path.partition("?")[0].rpartition("/")[2]


async def _ended(house: House, customer: Customer) -> None:
    async def have_ended() -> bool:
        states = [
            (await house.call(customer.key, f"/v1/requests/{one}")).json()["status"]
            for one in (customer.completed, customer.failed)
        ]
        return states == ["completed", "failed"]

    await until(have_ended)
