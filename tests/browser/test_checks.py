"""The checks of this folder notice what they are there for: each is shown a page that is broken."""

from typing import Final

import pytest
from playwright.async_api import Route

from tests.browser import accessibility
from tests.browser.house import HEIGHT, NARROW, House, Tab
from tests.browser.test_injection import nothing_ran
from tests.browser.test_pages import sticking_out
from tests.support.waiting import until

_END: Final = "</main>"
_GREY: Final = '<p><a class="button" href="/terms"><svg width="9" height="9" role="img"/></a></p>'


async def broken(tab: Tab, piece: str) -> None:
    """The log-in page with something wrong in it, as a bad template would make it."""

    async def answer(route: Route) -> None:
        came = await route.fetch()
        await route.fulfill(response=came, body=(await came.text()).replace(_END, piece + _END))

    await tab.page.route("**/log-in", answer)
    await tab.go("/log-in")


@pytest.mark.parametrize(
    ("piece", "rule"),
    [
        ('<img src="/privacy">', "image-alt"),
        ('<input name="forgotten">', "label"),
        ('<div role="buton">x</div>', "aria-roles"),
        ("<h5>Too deep</h5>", "heading-order"),
        (_GREY, "svg-img-alt"),
        ('<button class="first" disabled>No</button><a href="/" class="wrong"></a>', "link-name"),
    ],
    ids=["picture", "label", "role", "heading", "drawing", "link"],
)
async def test_axe_notices_a_page_that_shuts_people_out(
    piece: str, rule: str, house: House
) -> None:
    async with house.tab() as tab:
        await broken(tab, piece)
        found = await accessibility.violations(tab.page)
        assert any(one.startswith(f"{rule}:") for one in found), found


async def test_axe_notices_text_that_is_hard_to_read(house: House) -> None:
    async with house.tab() as tab:
        await tab.go("/log-in")
        await tab.page.evaluate("document.querySelector('h1').style.color = '#aaa'")
        found = await accessibility.violations(tab.page)
        assert any(one.startswith("color-contrast:") for one in found), found


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        ("<img src=x onerror=hacked()>", "policy violated: script-src-attr"),
        ("<script>hacked()</script>", "policy violated: script-src-elem"),
        ('<p style="color: red">x</p>', "policy violated: style-src-attr"),
        ('<img alt="" src="http://192.0.2.1/pixel.gif">', "policy violated: img-src"),
        ('<img alt="" src="/assets/0/none.svg">', "answered 404"),
    ],
    ids=["handler", "script", "style", "stranger", "missing"],
)
async def test_the_watch_notices_what_a_page_must_not_do(
    piece: str, words: str, house: House
) -> None:
    async with house.tab() as tab:
        await broken(tab, piece)
        await until(lambda: any(words in one for one in tab.watch.troubles))
        tab.watch.troubles.clear()


async def test_the_watch_notices_errors_dialogs_and_strangers(house: House) -> None:
    async with house.tab() as tab:
        await tab.go("/log-in")
        await tab.page.evaluate("setTimeout(() => { throw new Error('of a script') })")
        await tab.page.evaluate("console.error('said aloud')")
        await tab.page.evaluate("alert('canary')")
        await tab.page.evaluate("void fetch('http://192.0.2.1/').catch(() => {})")
        wanted = ("thrown: of a script", "said aloud", "dialog: canary", "connect-src")
        await until(lambda: all(any(one in said for said in tab.watch.troubles) for one in wanted))
        tab.watch.troubles.clear()


@pytest.mark.parametrize(
    "piece",
    ["<svg onload=hacked()></svg>", '<a href=" javascript:hacked()">x</a>', "<script>1</script>"],
    ids=["handler", "address", "script"],
)
async def test_what_could_run_is_noticed_though_the_policy_stops_it(
    piece: str, house: House
) -> None:
    async with house.tab() as tab:
        await broken(tab, piece)
        tab.watch.troubles.clear()
        with pytest.raises(AssertionError, match="/log-in"):
            await nothing_ran(tab)
        tab.watch.troubles.clear()


async def test_a_page_that_is_too_wide_is_noticed(house: House) -> None:
    async with house.tab() as tab:
        await tab.page.set_viewport_size({"width": NARROW, "height": HEIGHT})
        await broken(tab, f"<p>{'wide' * 200}</p>")
        assert await sticking_out(tab.page)
