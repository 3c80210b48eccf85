"""Your data: taken along, its processing paused, objected to, deleted."""

import asyncio
import io
import json
import zipfile
from datetime import timedelta

from services.accounts.domain.errors import ExecutionPlaneAway
from services.accounts.use_cases import deletion, support
from tests.support.customers import PASSWORD, mails_to
from tests.support.dashboard import Browser, Dashboard, Page
from tests.support.frozen_clock import FrozenClock

DATA = "/settings/data"


async def ask(browser: Browser, right: str, text: str) -> Page:
    page = await browser.get(DATA)
    return await browser.send(page, f"{DATA}/ask", right=right, text=text)


async def test_the_page_names_who_is_responsible_and_where_to_complain(ada: Browser) -> None:
    page = await ada.get(DATA)

    for word in ("Example Ltd", "privacy@example.org", "Germany", "supervisory authority"):
        assert word in page.text
    assert page.form(f"{DATA}/restrict")
    assert "/settings/data/delete" in page.html


async def test_the_export_is_a_file_for_whoever_knows_the_password(ada: Browser) -> None:
    page = await ada.get(DATA)

    got = await ada.send(page, f"{DATA}/export", password=PASSWORD)

    headers = got.response.headers
    assert (got.status, headers["content-type"]) == (200, "application/zip")
    assert headers["cache-control"] == "no-store"
    assert headers["content-disposition"] == ('attachment; filename="reqrun-export-2026-03-14.zip"')
    with zipfile.ZipFile(io.BytesIO(got.response.content)) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("person.json"))["email"] == "ada@example.org"
    assert "The account's data was exported" in (await ada.get("/audit")).text


async def test_without_the_password_nothing_is_exported(ada: Browser, dashboard: Dashboard) -> None:
    page = await ada.get(DATA)

    wrong = await ada.send(page, f"{DATA}/export", password="not the password")

    assert (wrong.status, wrong.wrong("password")) == (400, "This is not your password.")
    assert "not the password" not in wrong.html
    assert "content-disposition" not in wrong.response.headers
    dashboard.plane.away = ExecutionPlaneAway()
    await ada.send(await ada.get("/projects"), "/projects", name="Chat")
    away = await ada.send(page, f"{DATA}/export", password=PASSWORD)
    assert away.status == 503
    assert "try again in a moment" in away.text


async def test_processing_is_paused_and_goes_on(ada: Browser, dashboard: Dashboard) -> None:
    page = await ada.get(DATA)

    paused = await ada.send(page, f"{DATA}/restrict")
    twice = await ada.send(page, f"{DATA}/restrict")

    assert paused.path == f"{DATA}?done=restricted"
    assert twice.status == 200
    assert "All processing is paused" in paused.text
    lifted = await ada.send(paused, f"{DATA}/lift")
    assert "Processing goes on" in lifted.text
    assert lifted.form(f"{DATA}/restrict")
    told = (await ada.get("/audit")).text
    assert told.count("All processing was paused") == 1
    assert "Processing was let go on" in told
    assert dashboard.plane.asked == []


async def test_an_objection_becomes_a_support_message(ada: Browser, dashboard: Dashboard) -> None:
    sent = await ask(ada, right="object", text="Do not count my tokens.\r\n<b>Please.</b>")

    assert sent.path.startswith("/support/msg_")
    assert "Object to a use of my data" in sent.text
    assert "&lt;b&gt;Please.&lt;/b&gt;" in sent.html
    assert "My privacy rights" in (await ada.get("/support")).text
    operators = await mails_to(dashboard.ports, "support@example.org")
    assert [mail.kind for mail in operators] == ["support_new"]


async def test_a_request_without_a_right_or_a_text_is_asked_again_with_what_was_typed(
    ada: Browser, dashboard: Dashboard
) -> None:
    without = await ask(ada, right="", text="Do not count my tokens.")
    assert (without.status, without.wrong("right")) == (400, "Choose what it is about.")
    assert without.form(f"{DATA}/ask").fields["text"] == "Do not count my tokens."

    for text in ("", "x" * 5_001, "x" * 10_000, "a\x00b", "a\x1bb"):
        wrong = await ask(ada, right="other", text=text)
        assert wrong.status == 400
        assert "1 to 5000 characters" in wrong.wrong("text")
        assert wrong.form(f"{DATA}/ask").fields["right"] == "other"
    assert await mails_to(dashboard.ports, "support@example.org") == []


async def test_deleting_says_what_happens_and_asks_for_the_password(ada: Browser) -> None:
    page = await ada.get(f"{DATA}/delete")
    for word in ("in seven days", "receipt", "Backups", "ada@example.org", "anonymous sums"):
        assert word in page.text

    wrong = await ada.send(page, f"{DATA}/delete", password="not the password")

    assert (wrong.status, wrong.wrong("password")) == (400, "This is not your password.")
    assert "will be deleted" not in (await ada.get(DATA)).text


async def test_a_deletion_is_started_shown_and_undone(ada: Browser, dashboard: Dashboard) -> None:
    page = await ada.get(f"{DATA}/delete")

    started = await asyncio.gather(
        *(ada.send(page, f"{DATA}/delete", password=PASSWORD) for _ in range(2))
    )

    for one in started:
        assert one.path == f"{DATA}?done=deletion-started"
        assert "will be deleted on 21 Mar 2026" in one.text
    assert (await ada.get(f"{DATA}/delete")).path == DATA
    undone = await ada.send(started[0], f"{DATA}/stay")
    again = await ada.send(started[0], f"{DATA}/stay")
    assert undone.path == again.path == f"{DATA}?done=deletion-undone"
    assert "will be deleted" not in again.text
    kinds = [mail.kind for mail in await mails_to(dashboard.ports, "ada@example.org")]
    assert kinds.count("deletion_started") == kinds.count("deletion_undone") == 1


async def test_after_seven_days_the_account_is_gone(
    ada: Browser, dashboard: Dashboard, clock: FrozenClock
) -> None:
    page = await ada.get(f"{DATA}/delete")
    await ada.send(page, f"{DATA}/delete", password=PASSWORD)
    clock.advance(timedelta(days=7))

    assert await deletion.carry_out_due(dashboard.ports) == 1

    assert (await ada.get(DATA)).path.startswith("/log-in")
    again = await dashboard.browser().log_in("ada@example.org", PASSWORD)
    assert again.status == 400
    receipt = (await mails_to(dashboard.ports, "ada@example.org"))[-1]
    assert receipt.kind == "deleted"


async def test_nobodys_right_is_anothers(ada: Browser, bob: Browser, dashboard: Dashboard) -> None:
    await ask(ada, right="access", text="What do you hold about me?")
    await ada.send(await ada.get(DATA), f"{DATA}/restrict")

    page = await bob.get(DATA)

    assert page.form(f"{DATA}/restrict")
    assert "No messages yet" in (await bob.get("/support")).text
    assert len(await support.list_all(dashboard.ports, None)) == 1


async def test_a_form_is_no_address_to_look_at(ada: Browser) -> None:
    for path in ("export", "restrict", "lift", "ask", "stay"):
        assert (await ada.get(f"{DATA}/{path}")).status == 405
