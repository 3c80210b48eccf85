"""From Free to Pro, through a payment that fails, back, and out again; money is the stand-in's."""

import re

from playwright.async_api import expect

from tests.browser import steps
from tests.browser.house import HEIGHT, NARROW, WIDE, House, Tab
from tests.browser.test_pages import looked_at
from tests.support.waiting import until

_FULL = frozenset({429})  # no room for another project


async def test_from_free_to_pro_through_a_failed_payment_and_out_again(house: House) -> None:
    shop = house.system.stack.url("paddle")
    async with house.tab(expected=_FULL, also=frozenset({shop})) as tab:
        await steps.enter(house, tab, steps.new_email("mary"), "Mary Kenneth Keller")
        await steps.make_project(tab, "The only one")
        await free_has_room_for_one_project(tab)
        await pro_is_bought(tab)
        await its_invoice_is_there(house, tab)
        await the_payment_fails_and_is_made_good(house, tab)
        await it_is_cancelled_kept_and_cancelled(house, tab)
        await it_ends(tab)


async def free_has_room_for_one_project(tab: Tab) -> None:
    await tab.go("/projects")
    await tab.type(name="Another")
    await tab.press("Make the project")
    await expect(tab.page.get_by_role("alert")).to_contain_text("no room for another project")


async def pro_is_bought(tab: Tab) -> None:
    await tab.go("/billing")
    await tab.follow("See larger plans")
    await tab.follow("Change to Pro …")
    await expect(tab.page.locator(".changes")).to_contain_text("Room for 10 projects, not 1.")
    await tab.press("Go to the payment page")
    await tab.press("Pay")
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Paid: thank you")
    await tab.follow("Back to ReqRun")
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text("You are on Pro")
    await tab.follow("See your plan")
    await expect(tab.page.locator("main")).to_contain_text("Next payment")


async def its_invoice_is_there(house: House, tab: Tab) -> None:
    await tab.follow("Invoices and tax details")
    row = tab.page.locator("tbody tr")
    await expect(row.locator(".state")).to_have_text("paid")
    await looked_at(house, tab, "billing-invoices")
    await tab.type(email="books@example.org", business_name="Clarke College", tax_id="DE136695976")
    await tab.page.get_by_label("Country").select_option("DE")
    await tab.press("Save the details")
    await expect(tab.page.get_by_role("status")).to_have_text("Saved.")


async def portal(tab: Tab, button: str, *done: str) -> None:
    """To the payment provider's pages; there press `done`, and come back to `/billing`."""
    await tab.press(button)
    await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Customer portal")
    for name in done:
        await tab.press(name)
        await expect(tab.page.get_by_role("heading", level=1)).to_have_text("Customer portal")
    await tab.go("/billing")


async def shows(tab: Tab, text: str, *, is_there: bool = True, path: str = "/billing") -> None:
    """Loaded anew until it says so: what the payment provider tells comes by itself."""

    async def has_come() -> bool:
        await tab.go(path)
        return (text in await tab.text()) is is_there

    await until(has_come)


async def the_payment_fails_and_is_made_good(house: House, tab: Tab) -> None:
    await tab.go("/billing")
    await portal(tab, "How you pay", "Let the next payment fail", "End the period now")
    await shows(tab, "A payment for your plan failed.")
    await looked_at(house, tab, "billing-owed")
    await tab.go("/projects")
    note = tab.page.get_by_role("status").filter(has_text="A payment for your plan failed.")
    await expect(note).to_contain_text("Everything stays as it is until")
    await portal(tab, "Renew how you pay", "Update the card and pay what is due")
    await shows(tab, "A payment for your plan failed.", is_there=False)


async def it_is_cancelled_kept_and_cancelled(house: House, tab: Tab) -> None:
    for then in ("Keep Pro after all", None):
        await tab.go("/billing")
        await tab.follow("Cancel …")
        await expect(tab.page.locator(".changes")).to_contain_text("Room for 1 project, not 10.")
        if then is not None:
            await looked_at(house, tab, "billing-plan-free")
        await tab.page.get_by_role("button", name=re.compile("^Cancel Pro")).click()
        await expect(tab.page.get_by_role("status")).to_contain_text("Cancelled: your plan stays")
        await shows(tab, "it was cancelled")
        if then is not None:
            await tab.press(then)
            await shows(tab, "Next payment")


async def it_ends(tab: Tab) -> None:
    await portal(tab, "How you pay", "End the period now")
    await shows(tab, "See larger plans")
    await shows(tab, "pro → free", path="/audit?group=money")


async def test_plans_are_chosen_with_the_keyboard_and_without_scripts(house: House) -> None:
    shop = house.system.stack.url("paddle")
    async with house.tab(also=frozenset({shop}), java_script_enabled=False) as tab:
        await steps.enter(house, tab, steps.new_email("jean"), "Jean Bartik")
        for width in (NARROW, WIDE):
            await tab.page.set_viewport_size({"width": width, "height": HEIGHT})
            await tab.go("/billing/plans/pro")
        button = tab.page.get_by_role("button", name="Go to the payment page")
        await button.focus()
        await tab.page.keyboard.press("Enter")
        await tab.press("Pay")
        await tab.follow("Back to ReqRun")
        await expect(tab.page.get_by_role("heading", level=1)).to_have_text("You are on Pro")
