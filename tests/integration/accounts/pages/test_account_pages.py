"""Settings: profile, notices, address, password, sessions."""

import asyncio

import pytest

from tests.support.customers import PASSWORD, mails_to, newest_token
from tests.support.dashboard import Browser, Dashboard

NEW = "another-canary-sings-46"
STRANGE = "/support/msg_00000000000000000000000000"
PAGES = (
    "/settings",
    "/settings/email",
    "/settings/password",
    "/settings/data",
    "/settings/data/delete",
    "/audit",
    "/audit/export.csv",
    "/audit/export.json",
    "/support",
    STRANGE,
)
FORMS = (
    "/settings",
    "/settings/notices",
    "/settings/sessions/end",
    "/settings/sessions/end-others",
    "/settings/email",
    "/settings/password",
    "/settings/data/export",
    "/settings/data/restrict",
    "/settings/data/lift",
    "/settings/data/ask",
    "/settings/data/delete",
    "/settings/data/stay",
    "/support",
)


async def test_without_a_log_in_every_page_leads_to_it_and_back(dashboard: Dashboard) -> None:
    for path in PAGES:
        page = await dashboard.browser().get(f"{path}?before=7", follow=False)

        back = path.replace("/", "%2F") + "%3Fbefore%3D7"
        assert (page.status, page.response.headers["location"]) == (303, f"/log-in?next={back}")


async def test_without_a_log_in_every_form_leads_to_it(dashboard: Dashboard) -> None:
    for path in (*FORMS, f"{STRANGE}/reply", f"{STRANGE}/close"):
        page = await dashboard.browser().post(path, {"password": PASSWORD}, follow=False)

        assert (page.status, page.response.headers["location"]) == (303, "/log-in")


@pytest.mark.parametrize("token", ["", "0" * 64, "ü\x00"], ids=["missing", "wrong", "nonsense"])
async def test_a_form_of_another_site_does_nothing(
    ada: Browser, dashboard: Dashboard, token: str
) -> None:
    for path in FORMS:
        page = await ada.post(path, {"form_token": token, "name": "Mallory", "password": PASSWORD})

        assert page.status == 403
        assert "send it again" in page.text
    assert (await ada.get("/settings")).form("/settings").fields["name"] == "Ada"
    assert "/settings/data/stay" not in (await ada.get("/settings/data")).html
    kinds = [mail.kind for mail in await mails_to(dashboard.ports, "ada@example.org")]
    assert kinds == ["verify", "welcome"]


async def test_the_profile_shows_and_is_corrected(ada: Browser) -> None:
    page = await ada.get("/settings")
    shown = page.form("/settings").fields
    assert (shown["name"], shown["company"], shown["country"]) == ("Ada", "", "DE")
    assert "ada@example.org" in page.text

    saved = await ada.send(page, "/settings", name="Ada L.", company="Engines", country="GB")

    assert saved.path == "/settings?done=saved"
    assert "Saved." in saved.text
    shown = saved.form("/settings").fields
    assert (shown["name"], shown["company"], shown["country"]) == ("Ada L.", "Engines", "GB")


async def test_what_is_wrong_with_the_profile_stands_beside_its_field_and_nothing_is_lost(
    ada: Browser,
) -> None:
    page = await ada.get("/settings")

    wrong = await ada.send(page, "/settings", name=" ", company="Engines", country="XX")

    assert wrong.status == 400
    assert wrong.wrong("name")
    assert wrong.wrong("country")
    assert not wrong.wrong("company")
    assert wrong.form("/settings").fields["company"] == "Engines"
    assert (await ada.get("/settings")).form("/settings").fields["company"] == ""


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>\"'&", "A\x00B", "A\x1b[31m", "x" * 10_000, "\u202etxt"],
    ids=["tags", "nul", "escape", "long", "backwards"],
)
async def test_hostile_names_come_back_escaped_or_refused(ada: Browser, name: str) -> None:
    page = await ada.get("/settings")

    after = await ada.send(page, "/settings", name=name, company=name)

    assert after.status in {200, 400}
    assert "<script>alert" not in after.html
    if after.status == 400:
        assert after.wrong("name")
        assert after.wrong("company")


async def test_text_that_is_not_utf_8_is_refused_as_such(ada: Browser) -> None:
    for body in (b"name=%ff%fe", b"name=\xff\xfe"):
        answer = await ada.client.post(
            "/settings", content=body, headers={"content-type": "application/x-www-form-urlencoded"}
        )
        assert answer.status_code == 400
        assert "not readable text" in answer.text


async def test_notices_are_agreed_to_and_taken_back(ada: Browser) -> None:
    page = await ada.get("/settings")
    was = page.form("/settings/notices").fields.get("wants_notices")
    token = page.form("/settings/notices").fields["form_token"]

    on = await ada.post("/settings/notices", {"form_token": token, "wants_notices": "yes"})
    assert on.form("/settings/notices").fields["wants_notices"] == "yes"
    off = await ada.post("/settings/notices", {"form_token": token})

    assert was is None
    assert "wants_notices" not in off.form("/settings/notices").fields
    told = (await ada.get("/audit?group=data")).text
    assert "Notices about usage were agreed to" in told
    assert "The consent to notices was withdrawn" in told


async def test_the_address_changes_with_the_link_that_is_mailed_to_it(
    ada: Browser, dashboard: Dashboard
) -> None:
    page = await ada.get("/settings/email")

    asked = await ada.send(page, "/settings/email", email="ada@new.example", password=PASSWORD)

    assert asked.path == "/settings?done=email-asked"
    assert "ada@example.org" in asked.text
    token = await newest_token(dashboard.ports, "ada@new.example")
    link = await ada.get(f"/change-email?token={token}")
    done = await ada.send(link, "/change-email")
    assert "Your e-mail address is changed" in done.text
    assert "ada@new.example" in done.text


async def test_the_address_needs_the_password_and_to_be_one(
    ada: Browser, dashboard: Dashboard
) -> None:
    page = await ada.get("/settings/email")

    wrong = await ada.send(page, "/settings/email", email="no address", password="not the password")

    assert wrong.status == 400
    assert wrong.wrong("email")
    assert wrong.wrong("password") == "This is not your password."
    assert wrong.form("/settings/email").fields["email"] == "no address"
    assert "not the password" not in wrong.html
    assert await mails_to(dashboard.ports, "no address") == []


async def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(
    ada: Browser, dashboard: Dashboard
) -> None:
    other = dashboard.browser()
    await other.log_in("ada@example.org", PASSWORD)
    page = await ada.get("/settings/password")

    done = await ada.send(page, "/settings/password", old_password=PASSWORD, password=NEW)

    assert "all other sessions have ended" in done.text
    assert (await other.get("/settings")).path == "/log-in?next=%2Fsettings"
    assert (await ada.get("/settings")).path == "/settings"
    assert (await dashboard.browser().log_in("ada@example.org", NEW)).status == 200
    assert (await dashboard.browser().log_in("ada@example.org", PASSWORD)).status == 400


async def test_a_wrong_or_weak_password_changes_nothing_and_is_not_shown_again(
    ada: Browser, dashboard: Dashboard
) -> None:
    page = await ada.get("/settings/password")

    wrong = await ada.send(
        page, "/settings/password", old_password="wrong-old-one", password="short"
    )

    assert wrong.status == 400
    assert wrong.wrong("old_password") == "This is not your password."
    assert wrong.wrong("password")
    assert "wrong-old-one" not in wrong.html
    fields = wrong.form("/settings/password").fields
    assert (fields["old_password"], fields["password"]) == ("", "")
    assert (await dashboard.browser().log_in("ada@example.org", PASSWORD)).status == 200


async def test_sessions_are_listed_and_one_is_ended(ada: Browser, dashboard: Dashboard) -> None:
    other = dashboard.browser()
    agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/19.0 Safari/605.1.15"
    other.client.headers["user-agent"] = agent
    await other.log_in("ada@example.org", PASSWORD)
    page = await ada.get("/settings")
    assert "Safari on macOS" in page.text
    assert "127.0.0.0/24" in page.text
    assert page.html.count("this one") == 1
    assert agent not in page.html

    ended = await ada.send(page, "/settings/sessions/end")
    again = await ada.send(page, "/settings/sessions/end")

    assert ended.path == again.path == "/settings?done=session-ended"
    assert "Safari on macOS" not in again.text
    assert (await other.get("/settings")).path.startswith("/log-in")
    assert "You are logged in nowhere else" in again.text


async def test_all_other_sessions_are_ended_at_once(ada: Browser, dashboard: Dashboard) -> None:
    others = [dashboard.browser() for _ in range(2)]
    for other in others:
        await other.log_in("ada@example.org", PASSWORD)
    page = await ada.get("/settings")

    both = await asyncio.gather(
        *(ada.send(page, "/settings/sessions/end-others") for _ in range(2))
    )

    assert [one.path for one in both] == ["/settings?done=sessions-ended"] * 2
    for other in others:
        assert (await other.get("/settings")).path.startswith("/log-in")


@pytest.mark.parametrize("session_id", ["", "ses_nonsense", "\x00", "x" * 9_000])
async def test_a_session_that_is_none_is_no_mistake(ada: Browser, session_id: str) -> None:
    token = (await ada.get("/settings")).form("/settings").fields["form_token"]

    page = await ada.post("/settings/sessions/end", {"form_token": token, "session_id": session_id})

    assert page.path == "/settings?done=session-ended"


async def test_nobody_ends_a_strangers_session(
    ada: Browser, bob: Browser, dashboard: Dashboard
) -> None:
    second = dashboard.browser()
    await second.log_in("bob@example.org", PASSWORD)
    bobs = (await bob.get("/settings")).form("/settings/sessions/end").fields["session_id"]
    token = (await ada.get("/settings")).form("/settings").fields["form_token"]

    await ada.post("/settings/sessions/end", {"form_token": token, "session_id": bobs})

    assert (await second.get("/settings")).path == "/settings"


async def test_a_form_of_an_ended_session_is_refused_in_the_next_one(ada: Browser) -> None:
    page = await ada.get("/settings")
    await ada.send(page, "/log-out")
    await ada.log_in("ada@example.org", PASSWORD)

    stale = await ada.send(page, "/settings", name="Ada L.", company="Engines")

    assert stale.status == 403
    assert stale.form("/settings").fields["company"] == "Engines"
    assert (await ada.send(stale, "/settings")).path == "/settings?done=saved"
