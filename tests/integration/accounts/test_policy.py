"""Promises of the privacy policy that no other test proves (docs/privacy.md)."""

import msgspec
import pytest

from services.accounts.domain.letters import LetterKind
from services.accounts.ports import Ports
from services.accounts.settings import Settings
from tests.support.customers import PASSWORD, signed_up
from tests.support.dashboard import Browser, running

EMAIL = "ada@example.org"


async def log_in(browser: Browser, cookie: str) -> list[str]:
    """The session's cookie as it is set. Over plain HTTP no browser would send the visitor's."""
    page = await browser.get("/log-in")
    visitor = page.response.headers["set-cookie"]
    assert visitor.startswith(cookie.format("visitor"))
    answer = await browser.client.post(
        "/log-in",
        data={**page.form("/log-in").fields, "email": EMAIL, "password": PASSWORD},
        headers={"cookie": visitor.partition(";")[0]},
    )
    assert answer.status_code == 303, answer.text
    set_now = answer.headers.get_list("set-cookie")
    return [one for one in set_now if one.startswith(cookie.format("session"))]


async def test_outside_local_development_cookies_go_over_https_alone(
    settings: Settings, ports: Ports
) -> None:
    await signed_up(ports, EMAIL)
    hosted = msgspec.structs.replace(settings, dashboard_url="https://reqrun.example")
    async with running(hosted, ports) as dashboard:
        page = await dashboard.browser().get("/log-in")
        (cookie,) = await log_in(dashboard.browser(), "__Host-reqrun_{}=")

    assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert page.response.headers["strict-transport-security"].startswith("max-age=63072000")


async def test_in_local_development_they_go_over_plain_http_and_to_no_script(
    settings: Settings, ports: Ports
) -> None:
    await signed_up(ports, EMAIL)
    async with running(settings, ports) as dashboard:
        page = await dashboard.browser().get("/log-in")
        (cookie,) = await log_in(dashboard.browser(), "reqrun_{}=")

    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert "strict-transport-security" not in page.response.headers


@pytest.mark.parametrize(
    ("kind", "values", "says"),
    [
        (LetterKind.VERIFY, {"link": "https://x.example/verify?token=t"}, "/verify?token=t"),
        (LetterKind.RESET, {"link": "https://x.example/reset-password?token=t"}, "token=t"),
        (LetterKind.WELCOME, {}, "Ada"),
        (
            LetterKind.USAGE_NOTICE,
            {"share": "80", "used": "800", "limit": "1,000", "period_ends_on": "2026-11-30"},
            "80",
        ),
        (
            LetterKind.POLICY_CHANGED,
            {"changes": "We keep less.", "effective_on": "2026-12-31"},
            "2026-12-31",
        ),
    ],
)
async def test_every_mail_that_the_policy_names_can_be_written(
    ports: Ports, kind: LetterKind, values: dict[str, str], says: str
) -> None:
    letter = ports.write(kind, name="Ada", base_url="https://x.example", **values)

    assert letter.subject
    assert says in letter.text
    assert says in letter.html
