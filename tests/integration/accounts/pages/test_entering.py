"""Signing up, logging in, getting back in: through the pages, as a browser does."""

import re

import pytest
from sqlalchemy import select

from services.accounts.models import Mail, Person
from tests.support.dashboard import Browser, Dashboard, Page

EMAIL, PASSWORD = "ada@example.org", "correct horse battery staple"
NOBODY = "grace@example.org"


async def sign_up(browser: Browser, **typed: str) -> Page:
    page = await browser.get("/sign-up")
    wish = {
        "name": "Ada",
        "email": EMAIL,
        "password": PASSWORD,
        "country": "GB",
        "has_accepted": "yes",
    }
    return await browser.send(page, "/sign-up", **{**wish, **typed})


async def mailed_link(dashboard: Dashboard, kind: str) -> str:
    """The path of the link in the newest mail of a kind."""
    async with dashboard.ports.db.transaction() as tx:
        query = select(Mail.text).where(Mail.kind == kind).order_by(Mail.id.desc()).limit(1)
        text = (await tx.scalars(query)).one()
    found = re.search(r"http://127\.0\.0\.1:8411(/\S+)", text)
    assert found, text
    return found.group(1)


@pytest.fixture
async def browser(dashboard: Dashboard) -> Browser:
    return dashboard.browser()


async def test_who_signs_up_verifies_and_logs_in(dashboard: Dashboard, browser: Browser) -> None:
    page = await sign_up(browser)
    assert (page.status, page.path) == (200, "/check-mail")

    link = await mailed_link(dashboard, "verify")
    page = await browser.get(link)
    assert "Verify your e-mail address" in page.text
    page = await browser.send(page, "/verify")
    assert page.path == "/log-in?done=verified"
    page = await browser.send(page, "/log-in", email=EMAIL, password=PASSWORD)

    assert page.status == 200
    assert page.path.startswith("/projects")
    assert EMAIL in page.text
    assert "not verified" not in page.text


async def test_what_is_wrong_stands_beside_its_field_and_the_rest_is_kept(
    browser: Browser,
) -> None:
    page = await sign_up(browser, email="nobody", password="short", country="", name="A\x00da")

    assert page.status == 400
    assert page.form("/sign-up").fields["email"] == "nobody"
    assert page.form("/sign-up").fields["password"] == ""
    assert all(page.wrong(field) for field in ("email", "password", "country", "name"))
    assert "<b>" not in (await sign_up(browser, name="<b>Ada</b>", email="x")).html


async def test_a_log_in_makes_a_new_session_and_a_log_out_ends_it(
    dashboard: Dashboard, browser: Browser
) -> None:
    await sign_up(browser)
    page = await browser.log_in(EMAIL, "wrong wrong wrong")
    assert (page.status, browser.cookie("session")) == (400, None)
    assert "do not belong together" in page.text

    page = await browser.log_in(EMAIL, PASSWORD)
    first = browser.cookie("session")
    assert first
    again = await browser.get("/log-in", follow=False)
    assert again.status == 303
    left = await browser.send(page, "/log-out")
    assert left.path == "/log-in?done=logged-out"
    browser.client.cookies.set("reqrun_session", first, domain="127.0.0.1")
    assert (await browser.get("/projects", follow=False)).status == 303
    async with dashboard.ports.db.transaction() as tx:
        assert (await tx.scalars(select(Person.email))).all() == [EMAIL]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:1",
        "/\u65e5\u672c",
    ],
    ids=["other site", "two slashes", "backslash", "tab", "script", "no header holds it"],
)
async def test_a_log_in_leads_to_no_other_site(browser: Browser, target: str) -> None:
    await sign_up(browser)
    page = await browser.get("/log-in")
    sent = await browser.post(
        "/log-in",
        {**page.form("/log-in").fields, "email": EMAIL, "password": PASSWORD, "next": target},
        follow=False,
    )

    assert sent.response.headers["location"] == "/"


@pytest.mark.parametrize("token", ["", "x", "ä", None], ids=["none", "wrong", "no-ascii", "other"])
async def test_a_form_that_is_not_of_this_session_does_nothing_and_keeps_what_was_typed(
    dashboard: Dashboard, browser: Browser, token: str | None
) -> None:
    await sign_up(browser)
    stolen = (await dashboard.browser().get("/log-in")).form("/log-in").fields["form_token"]
    await browser.get("/log-in")
    page = await browser.post(
        "/log-in",
        {"email": EMAIL, "password": PASSWORD, "form_token": stolen if token is None else token},
    )

    assert page.status == 403
    assert browser.cookie("session") is None
    assert page.form("/log-in").fields["email"] == EMAIL


async def test_who_forgot_the_password_sets_a_new_one_and_every_session_ends(
    dashboard: Dashboard, browser: Browser
) -> None:
    await sign_up(browser)
    await browser.log_in(EMAIL, PASSWORD)
    other = dashboard.browser()
    await other.send(await other.get("/forgot"), "/forgot", email=EMAIL)
    link = await mailed_link(dashboard, "reset")
    page = await other.send(await other.get(link), "/reset-password", password="password1234")
    assert (page.status, page.wrong("password") != "") == (400, True)
    page = await other.send(page, "/reset-password", password="a quite different one")
    assert page.path == "/log-in?done=password-set"

    assert (await browser.get("/projects", follow=False)).status == 303
    assert (await other.log_in(EMAIL, "a quite different one")).path.startswith("/projects")
    used = await other.send(await other.get(link), "/reset-password", password="once more, please")
    assert used.status == 410
    assert "has been used or has expired" in used.text


async def test_nothing_shows_whether_an_address_is_known(
    dashboard: Dashboard, browser: Browser
) -> None:
    await sign_up(browser)
    for path, typed in (
        ("/forgot", {}),
        ("/log-in", {"password": "not the password"}),
    ):
        known, unknown = [
            await own.send(await own.get(path), path, email=email, **typed)
            for email, own in ((EMAIL, dashboard.browser()), (NOBODY, dashboard.browser()))
        ]
        assert known.status == unknown.status
        assert known.text.replace(EMAIL, "") == unknown.text.replace(NOBODY, "")
    again = await sign_up(dashboard.browser())
    assert (again.status, again.path) == (200, "/check-mail")


async def test_pages_are_safe_to_show(browser: Browser) -> None:
    page = await sign_up(browser, email="x")
    headers = page.response.headers

    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    cookie = (await browser.client.get("/log-in")).headers.get("set-cookie", "")
    assert "Domain" not in cookie


async def test_a_stranger_is_sent_to_the_log_in_and_back(browser: Browser) -> None:
    await sign_up(browser)
    page = await browser.get("/projects?mode=test")
    assert page.path == "/log-in?next=%2Fprojects%3Fmode%3Dtest"

    page = await browser.send(page, "/log-in", email=EMAIL, password=PASSWORD)

    assert page.path == "/projects?mode=test"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"email=%ff%fe", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"a=1&" * 200, "application/x-www-form-urlencoded"),
        (b"\xff", "application/x-www-form-urlencoded"),
    ],
    ids=["no-utf8", "json", "many", "no-ascii"],
)
async def test_what_is_no_form_of_ours_is_refused(browser: Browser, body: bytes, kind: str) -> None:
    answer = await browser.client.post("/log-in", content=body, headers={"content-type": kind})

    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
