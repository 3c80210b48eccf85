"""The dashboard for who lets no script run: everything that matters works, reloaded by hand."""

from playwright.async_api import expect

from tests.browser import steps
from tests.browser.house import House, Tab
from tests.browser.test_journey import shell


async def test_the_first_use_works_without_scripts(house: House) -> None:
    async with house.tab(java_script_enabled=False) as tab:
        await steps.enter(house, tab, steps.new_email("ida"), "Ida Rhodes")
        project = await steps.make_project(tab, "By hand")
        home = f"/projects/{project}"
        await tab.press("Make a test key and show the command")
        await expect(tab.page.get_by_role("button", name="Copy")).to_have_count(0)
        await shell(await tab.page.locator("#quick-curl").inner_text())

        await tab.go(f"{home}?mode=test")
        await expect(tab.page.locator("#now tbody .state")).to_have_text("completed")
        await tab.page.locator("#now tbody").get_by_role("link").click()
        await expect(tab.page.locator(".timeline")).to_contain_text("Attempt 1: answered (200)")
        await tab.press("Open the content")
        await expect(tab.page.locator("#result")).to_contain_text("chat.completion")

        await the_list_is_filtered(tab, home)
        await a_key_comes_and_goes(tab, project)
        await the_rest_works(tab)


async def the_list_is_filtered(tab: Tab, home: str) -> None:
    await tab.go(f"{home}/requests?mode=test")
    await tab.page.get_by_label("State").select_option("failed")
    await tab.press("Filter")
    await expect(tab.page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    await tab.follow("Clear")
    await expect(tab.page.locator("#rows tbody tr")).to_have_count(1)


async def a_key_comes_and_goes(tab: Tab, project: str) -> None:
    key = await steps.make_key(tab, project, "by hand", "test")
    row = tab.page.locator("tbody tr").filter(has_text=f"…{key[-4:]}")
    await row.get_by_text("Change", exact=True).click()
    await row.get_by_role("button", name="Revoke for ever").click()
    await expect(tab.page.get_by_role("status")).to_contain_text("The key is revoked")
    await expect(row.locator(".state")).to_have_text("revoked")


async def the_rest_works(tab: Tab) -> None:
    await tab.go("/settings")
    await tab.type(company="Bureau of Standards")
    await tab.press("Save the profile")
    await expect(tab.page.get_by_role("status")).to_have_text("Saved.")
    await tab.press("Log out")
    await expect(tab.page.get_by_role("status")).to_have_text("You are logged out.")
