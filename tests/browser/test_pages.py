"""Every page: in both themes and at both ends of the widths, quiet, and open to everybody."""

import os
from pathlib import Path
from typing import Final, Literal

import msgspec
import pytest
from playwright.async_api import Page, StorageState, expect

from tests.browser import accessibility
from tests.browser.customer import Customer
from tests.browser.house import HEIGHT, NARROW, WIDE, House, Tab

_OPEN: Final = {
    "sign-up": "/sign-up",
    "log-in": "/log-in",
    "log-in-after": "/log-in?done=logged-out&next=/audit",
    "forgot": "/forgot",
    "check-mail": "/check-mail",
    "verify": "/verify?token=none",
    "reset-password": "/reset-password?token=none",
    "change-email": "/change-email?token=none",
    "restore-email": "/restore-email?token=none",
    "privacy": "/privacy",
    "terms": "/terms",
    "sub-processors": "/sub-processors",
    "not-there": "/not-there",
}
_OWN: Final = {
    "projects": "/projects",
    "overview-test": "/projects/{project}?mode=test",
    "overview-live": "/projects/{project}",
    "overview-first-use": "/projects/{empty_project}",
    "requests-test": "/projects/{project}/requests?mode=test",
    "requests-none": "/projects/{project}/requests",
    "requests-no-match": "/projects/{project}/requests?mode=test&model=nobody",
    "request-completed": "/projects/{project}/requests/{completed}",
    "request-failed": "/projects/{project}/requests/{failed}",
    "request-running": "/projects/{project}/requests/{running}",
    "keys": "/projects/{project}/keys",
    "keys-none": "/projects/{empty_project}/keys",
    "provider": "/projects/{project}/provider",
    "provider-none": "/projects/{empty_project}/provider",
    "usage-test": "/projects/{project}/usage?mode=test",
    "usage-live": "/projects/{project}/usage",
    "project-settings": "/projects/{project}/settings",
    "request-not-there": "/projects/{project}/requests/rr_01m833m71bz1bj7m00000000",
    "settings": "/settings",
    "settings-email": "/settings/email",
    "settings-password": "/settings/password",
    "data": "/settings/data",
    "data-delete": "/settings/data/delete",
    "billing": "/billing",
    "billing-plans": "/billing/plans",
    "billing-plan": "/billing/plans/scale",
    "billing-invoices": "/billing/invoices",
    "billing-thanks-late": "/billing/thanks?plan=scale&looks=99",
    "audit": "/audit",
    "audit-no-match": "/audit?group=money",
    "support": "/support",
    "support-thread": "/support/{thread}",
}
WANTS_PICTURES: Final = "REQRUN_ARTEFACTS" in os.environ
_MISSING: Final = frozenset({404})
_LOOKS: Final[tuple[tuple[Literal["light", "dark"], int], ...]] = (
    ("light", WIDE),
    ("light", NARROW),
    ("dark", NARROW),
    ("dark", WIDE),
)
_JUDGED: Final = (("light", WIDE), ("dark", NARROW))
"""By axe, which takes longest: each theme's colours once, each width's sizes once."""


async def looked_at(house: House, tab: Tab, name: str) -> None:
    """In four ways, with pictures where wanted. AssertionError with all that is wrong."""
    page, wrong = tab.page, list[str]()
    for theme, width in _LOOKS:
        await page.emulate_media(color_scheme=theme)
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        if WANTS_PICTURES:
            await photographed(page, house.artefacts / f"{name}-{theme}-{width}.png")
        found = await sticking_out(page)
        if (theme, width) in _JUDGED:
            found += await accessibility.violations(page)
        wrong += [f"{name}, {theme}, {width}: {one}" for one in found]
    assert not wrong, "\n".join(wrong)


async def photographed(page: Page, file: Path) -> None:
    # As it is: what hides the caret and stops animations is a style that our policy forbids.
    await page.screenshot(path=file, full_page=True, caret="initial", animations="allow")


async def sticking_out(page: Page) -> list[str]:
    """What makes people scroll sideways."""
    width, room = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return [f"{width} px wide in a window of {room}"] if width > room else []


@pytest.mark.parametrize("name", _OPEN)
async def test_a_page_for_everybody_is_quiet_and_accessible(name: str, house: House) -> None:
    async with house.tab(expected=_MISSING if name == "not-there" else frozenset()) as tab:
        await tab.go(_OPEN[name])
        await looked_at(house, tab, name)


@pytest.mark.parametrize("name", _OWN)
async def test_a_page_of_a_customer_is_quiet_and_accessible(
    name: str, house: House, customer: Customer
) -> None:
    expected = _MISSING if name.endswith("not-there") else frozenset[int]()
    async with house.tab(customer.state, expected) as tab:
        await tab.go(_OWN[name].format(**msgspec.structs.asdict(customer)))
        await open_everything(tab.page)
        await looked_at(house, tab, name)


async def open_everything(page: Page) -> None:
    """What is folded away is a part of the page, too."""
    await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")


async def test_what_a_form_answers_with_is_quiet_and_accessible(
    house: House, customer: Customer
) -> None:
    home = f"/projects/{customer.project}"
    async with house.tab(customer.state, frozenset({400, 422})) as tab:
        await tab.go(f"{home}/keys")
        await tab.type(name="")
        await tab.press("Make the key")
        await expect(tab.page.get_by_role("alert")).to_be_visible()
        await looked_at(house, tab, "keys-wrong")

        await tab.go(f"{home}/keys")
        await tab.type(name="signed")
        await tab.page.get_by_label("For", exact=True).select_option("signed")
        await tab.press("Make the key")
        await looked_at(house, tab, "keys-issued")

        await tab.go(f"{home}/requests/{customer.failed}")
        await tab.press("Open the content")
        await looked_at(house, tab, "request-content")

        await tab.go(f"{home}/provider")
        await tab.press("Test the connection")
        await looked_at(house, tab, "provider-tested")

        await tab.go(f"/projects/{customer.empty_project}")
        await tab.press("Make a test key and show the command")
        await looked_at(house, tab, "quick-start")


async def test_a_wrong_sign_up_is_quiet_and_accessible(house: House) -> None:
    async with house.tab(expected=frozenset({400})) as tab:
        await tab.go("/sign-up")
        await tab.type(name="Ada", email="nobody")
        await tab.press("Sign up")
        await expect(tab.page.get_by_role("alert")).to_be_visible()
        await looked_at(house, tab, "sign-up-wrong")


async def test_whoever_is_not_logged_in_is_led_to_the_log_in_and_back(
    house: House, state: StorageState
) -> None:
    async with house.tab() as tab:
        await tab.go("/audit?group=keys")
        assert tab.path == "/log-in?next=%2Faudit%3Fgroup%3Dkeys"
        await tab.page.context.add_cookies(state["cookies"])  # type: ignore[arg-type]  # as it came
        await tab.page.reload()
        assert tab.path == "/audit?group=keys"
