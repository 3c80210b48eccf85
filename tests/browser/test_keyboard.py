"""The dashboard without a mouse, and the live parts for who is in the middle of something."""

from typing import Any, Final

from playwright.async_api import Page, StorageState, expect

from tests.browser import steps
from tests.browser.customer import Customer
from tests.browser.house import House, Tab

_FOCUSED: Final = """
() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  return {
    tag: at.tagName, name: at.name ?? "", text: at.textContent.trim(),
    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    isSeen: box.width > 0 && box.top >= -1 && box.bottom <= innerHeight + 1,
    from: box.top, to: box.bottom,
  };
}
"""
_MOST_STOPS: Final = 80


async def focused(page: Page) -> dict[str, Any]:
    """What has the focus. AssertionError where one could not see that it has."""
    found: dict[str, Any] = await page.evaluate(_FOCUSED)
    assert found["outline"] >= 2, found
    assert found["isSeen"], found
    return found


async def tab_to(page: Page, **wanted: str) -> None:
    """Press Tab until it is there; every stop on the way shows where it is."""
    for _ in range(_MOST_STOPS):
        await page.keyboard.press("Tab")
        at = await focused(page)
        if all(at[name] == value for name, value in wanted.items()):
            return
    raise AssertionError(f"no stop is {wanted}")


async def test_one_logs_in_with_the_keyboard_alone(house: House, customer: Customer) -> None:
    async with house.tab() as tab:
        page = tab.page
        await tab.go("/log-in")
        await page.keyboard.press("Tab")
        assert (await focused(page))["text"] == "Skip to the content"
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        assert (await focused(page))["name"] == "email", "the skip link skips nothing"

        await page.keyboard.type(customer.email)
        await tab_to(page, name="password")
        await page.keyboard.type(steps.PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Projects")


async def test_a_key_is_made_with_the_keyboard_alone(
    house: House, customer: Customer, state: StorageState
) -> None:
    async with house.tab(state) as tab:
        page = tab.page
        await tab.go(f"/projects/{customer.project}/keys")
        await tab_to(page, name="name")
        await page.keyboard.type("by keyboard")
        await tab_to(page, name="mode")
        await page.keyboard.press("l")
        await tab_to(page, text="Make the key")
        await page.keyboard.press("Enter")

        await expect(page.locator("#new-key")).to_contain_text("reqrun_live_")
        await tab_to(page, text="Change")
        await page.keyboard.press("Enter")
        await tab_to(page, text="Revoke for ever")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("The key is revoked")


async def brought_anew(page: Page, ending: str) -> None:
    """Until a live part has come twice: the first may have been under way already."""
    for _ in range(2):
        async with page.expect_response(
            lambda answer: answer.url.partition("?")[0].endswith(ending)
        ):
            pass
    await page.evaluate("new Promise(requestAnimationFrame)")


async def test_a_live_part_keeps_the_focus_and_what_is_open(
    house: House, customer: Customer, state: StorageState
) -> None:
    async with house.tab(state) as tab:
        await tab.go(f"/projects/{customer.project}?mode=test")
        await open_first(tab)
        link = tab.page.locator("#now tbody a").first
        await link.focus()
        await brought_anew(tab.page, "/now")

        await expect(link).to_be_focused()
        await expect(tab.page.locator("#now details").first).to_have_attribute("open", "")


async def test_a_story_that_goes_on_keeps_what_is_open(
    house: House, customer: Customer, state: StorageState
) -> None:
    async with house.tab(state) as tab:
        request = await house.send(customer.key, "sim-429-50times")
        await tab.go(f"/projects/{customer.project}/requests/{request}")
        await open_first(tab)
        summary = tab.page.locator("#live summary").first
        await summary.focus()
        before = await tab.page.locator(".timeline > li").count()

        await expect(tab.page.locator(".timeline > li").nth(before + 1)).to_be_visible()
        await expect(summary).to_be_focused()
        await expect(tab.page.locator("#live details").first).to_have_attribute("open", "")


async def open_first(tab: Tab) -> None:
    """The first part that is folded away."""
    await tab.page.locator("main details summary").first.click()
