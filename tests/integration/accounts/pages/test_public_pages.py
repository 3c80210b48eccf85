"""What everybody may read: the policy, the terms, who helps, and where to report a weakness."""

import re
from datetime import datetime, timedelta
from email.utils import parseaddr

import msgspec
import pytest

from services.accounts.domain.contacts import SubProcessor
from services.accounts.ports import Ports
from services.accounts.settings import Settings
from tests.support.dashboard import Browser, Dashboard, running
from tests.support.frozen_clock import START

PAGES = ("/privacy", "/terms", "/sub-processors")
SECTIONS = (
    "1. What this policy covers",
    "2. Data we collect",
    "3. How we use data",
    "4. Legal bases for EEA, UK, and Swiss users",
    "5. How data is shared",
    "6. Retention",
    "7. International transfers",
    "8. Your privacy rights",
    "9. Security",
    "10. Changes",
)


async def test_the_policy_has_its_sections_its_version_and_its_contacts(
    dashboard: Dashboard,
) -> None:
    page = await dashboard.browser().get("/privacy")

    assert tuple(re.findall(r"<h2>(.*?)</h2>", page.html)) == SECTIONS
    for words in ("2026-11-01", "01 November 2026", "Example Ltd", "privacy@example.org",
                  "hashed API keys", "complain to a supervisory authority"):  # fmt: skip
        assert words in page.text


async def test_the_terms_say_that_they_are_to_be_reviewed(dashboard: Dashboard) -> None:
    page = await dashboard.browser().get("/terms")

    for words in ("To the operator", "reviewed", "Acceptable use", "Liability", "Example Ltd",
                  "What it does not promise", "2026-11-01"):  # fmt: skip
        assert words in page.text


async def test_who_helps_is_named_with_what_for_and_where(
    dashboard: Dashboard, settings: Settings, ports: Ports
) -> None:
    page = await dashboard.browser().get("/sub-processors")
    assert "Nobody else processes data" in page.text
    assert settings.contacts.region in page.text

    helper = SubProcessor("Mail & <b>Co</b>", "delivers mail", "Ireland")
    some = msgspec.structs.replace(settings.contacts, sub_processors=(helper,))
    async with running(msgspec.structs.replace(settings, contacts=some), ports) as other:
        page = await other.browser().get("/sub-processors")
    for words in ("Mail &amp; &lt;b&gt;Co&lt;/b&gt;", "delivers mail", "Ireland"):
        assert words in page.html
    assert "Nobody else" not in page.text


@pytest.mark.parametrize("path", PAGES)
async def test_everybody_may_read_it_logged_in_or_not(
    dashboard: Dashboard, ada: Browser, path: str
) -> None:
    stranger, known = await dashboard.browser().get(path), await ada.get(path)

    assert (stranger.status, known.status) == (200, 200)
    assert "Log in" in stranger.text
    assert "To the dashboard" in known.text
    assert "ada@example.org" not in known.html


async def test_a_version_that_is_no_day_is_shown_as_it_is(settings: Settings, ports: Ports) -> None:
    named = msgspec.structs.replace(ports, terms_version="third edition")
    async with running(settings, named) as other:
        page = await other.browser().get("/privacy")

    assert "Version third edition." in page.text
    assert "in force since" not in page.text


async def test_security_txt_is_as_rfc_9116_wants_it(dashboard: Dashboard) -> None:
    answer = (await dashboard.browser().get("/.well-known/security.txt")).response

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert answer.text.count("Expires:") == 1  # 2.5.5
    scheme, _, address = fields["Contact"].partition(":")
    assert (scheme, parseaddr(address)[1]) == ("mailto", "security@example.org")
    expires_at = datetime.fromisoformat(fields["Expires"])
    assert START < expires_at < START + timedelta(days=365)
    assert fields["Canonical"] == "http://127.0.0.1:8411/.well-known/security.txt"
    assert fields["Preferred-Languages"] == "en"


@pytest.mark.parametrize("path", [*PAGES, "/settings", "/settings/data", "/audit", "/support"])
async def test_no_page_needs_more_than_the_content_policy_allows(ada: Browser, path: str) -> None:
    page = await ada.get(path)

    assert "script-src 'self'" in page.response.headers["content-security-policy"]
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", page.html)
    assert not re.search(r"<script(?![^>]*\ssrc=)", page.html)
    assert not re.search(r'(?:src|href|action)="https?:', page.html)
    ids = re.findall(r'\sid="([^"]+)"', page.html)
    assert len(ids) == len(set(ids))
    labelled = set(re.findall(r'<label for="([^"]+)"', page.html))
    fields = re.findall(r'<(?:input|select|textarea) id="([^"]+)"', page.html)
    assert set(fields) <= labelled
