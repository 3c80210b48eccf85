"""A project's pages: settings, keys, provider, requests, numbers."""

import asyncio
import re
from datetime import timedelta

import msgspec
import pytest

from libs.common.contracts.gateway import AttemptRow, ContentAnswer, RequestAnswer
from libs.common.ids import new_id
from services.accounts.domain.errors import ExecutionPlaneAway
from services.accounts.pages import overview
from tests.support.dashboard import START, Browser, Dashboard, Page, request_answer

PROVIDER_KEY = "sk-canary-0123456789abcdWXYZ"


async def new_project(browser: Browser, name: str = "Shop") -> str:
    """Its path."""
    page = await browser.send(await browser.get("/projects"), "/projects", name=name)
    assert page.status == 200, page.text
    return page.path


def project_id(path: str) -> str:
    return path.rpartition("/")[2]


@pytest.fixture
async def home(ada: Browser) -> str:
    return await new_project(ada)


async def add_request(
    dashboard: Dashboard, home: str, request_id: str = "", **changes: object
) -> str:
    request_id = request_id or new_id("rr")
    dashboard.plane.add(project_id(home), request_answer(request_id, **changes))
    return request_id


async def test_the_first_page_leads_to_the_only_project(ada: Browser) -> None:
    assert "Your first project" in (await ada.get("/")).text

    home = await new_project(ada)

    page = await ada.get("/")
    assert page.path == home
    assert "Send the first request" in page.text


async def test_a_project_needs_a_name_that_can_be_shown(ada: Browser) -> None:
    page = await ada.get("/projects")
    wrong = await ada.send(page, "/projects", name="a\x07b")
    assert (wrong.status, wrong.form("/projects").fields["name"]) == (400, "a\x07b")
    assert "1 to 100 printable characters" in wrong.wrong("name")

    made = await ada.send(page, "/projects", name='<script>alert("x")</script>')
    assert "<script>alert" not in made.html
    assert '<script>alert("x")</script>' in made.text.replace("  ", " ")


async def test_the_quick_start_shows_a_key_once_and_a_command_with_it(
    ada: Browser, home: str
) -> None:
    page = await ada.send(await ada.get(home), f"{home}/quick-start")
    key = re.search(r"reqrun_test_\w+", page.html)

    assert key
    assert f"Authorization: Bearer {key.group()}" in page.text
    assert key.group() not in (await ada.get(home)).html
    assert key.group() not in (await ada.get(f"{home}/keys")).html


async def test_a_key_is_made_rotated_and_revoked(ada: Browser, home: str) -> None:
    keys = await ada.get(f"{home}/keys")
    made = await ada.send(keys, f"{home}/keys", name="Import", mode="live", purpose="signed")
    assert re.search(r"reqrun_live_\w+", made.html)
    assert "Signing secret" in made.text
    path = next(form.action for form in made.forms if form.action.endswith("/rotate"))
    rotated = await ada.send(made, path, overlap="1")
    assert rotated.status == 200
    assert len(set(re.findall(r"reqrun_live_\w{20,}", rotated.html))) == 1
    again = await ada.post(path, made.form(path).fields | {"overlap": "1"})
    assert again.status == 409
    assert "was rotated already" in again.text

    revoke = path.replace("/rotate", "/revoke")
    gone = await ada.send(rotated, revoke)
    assert "revoked" in gone.text
    assert (await ada.post(revoke, rotated.form(revoke).fields)).status == 200


async def test_a_form_that_is_sent_twice_makes_one_key_and_says_where_it_is(
    ada: Browser, home: str
) -> None:
    page = await ada.get(f"{home}/keys")
    sent = {**page.form(f"{home}/keys").fields, "name": "Import"}
    first, second = await asyncio.gather(*(ada.post(f"{home}/keys", sent) for _ in range(2)))

    assert sorted(page.status for page in (first, second)) == [200, 409]
    refused = first if first.status == 409 else second
    assert "sent twice" in refused.text
    assert not re.search(r"reqrun_test_\w{8,}", refused.html)
    assert len(re.findall("reqrun_test_…", (await ada.get(f"{home}/keys")).text)) == 1
    again = await ada.send(refused, f"{home}/keys", name="Another")
    assert again.status == 200


async def test_a_quick_start_and_a_project_are_made_once(ada: Browser, home: str) -> None:
    page = await ada.get(home)
    fields = page.form(f"{home}/quick-start").fields
    tries = [await ada.post(f"{home}/quick-start?mode=test", fields) for _ in range(2)]
    assert [page.status for page in tries] == [200, 409]

    fields = (await ada.get("/projects")).form("/projects").fields | {"name": "Twice"}
    tries = list(await asyncio.gather(*(ada.post("/projects", fields) for _ in range(2))))
    assert sorted(page.status for page in tries) == [200, 409]
    assert (await ada.get("/projects")).text.count("Twice") == 1


@pytest.mark.parametrize("once", ["x", "key_", "prj_\x00"], ids=["word", "prefix", "nul"])
async def test_an_id_that_no_page_made_is_refused(ada: Browser, home: str, once: str) -> None:
    for path in (f"{home}/keys", "/projects"):
        page = await ada.get(path)
        sent = await ada.post(path, {**page.form(path).fields, "name": "x", "once": once})
        assert sent.status == 400, path


@pytest.mark.parametrize(
    ("typed", "field"),
    [({"name": ""}, "name"), ({"days": "99999"}, "days")],
    ids=["no name", "too long a life"],
)
async def test_a_key_that_cannot_be_is_explained_beside_the_field(
    ada: Browser, home: str, typed: dict[str, str], field: str
) -> None:
    page = await ada.get(f"{home}/keys")
    sent = await ada.post(
        f"{home}/keys", {**page.form(f"{home}/keys").fields, "name": "x", **typed}
    )

    assert sent.status == 400
    assert sent.wrong(field)


@pytest.mark.parametrize(
    "typed", [{"purpose": "x"}, {"days": "-1"}, {"days": "٣"}], ids=["purpose", "below", "digits"]
)
async def test_a_key_form_that_no_page_sends_is_refused(
    ada: Browser, home: str, typed: dict[str, str]
) -> None:
    page = await ada.get(f"{home}/keys")
    sent = await ada.post(
        f"{home}/keys", {**page.form(f"{home}/keys").fields, "name": "x", **typed}
    )

    assert sent.status == 400
    assert "reqrun_" not in sent.html


async def test_who_is_not_verified_gets_no_live_key(dashboard: Dashboard) -> None:
    from_sign_up = dashboard.browser()
    page = await from_sign_up.get("/sign-up")
    await from_sign_up.send(
        page,
        "/sign-up",
        name="Eve",
        email="eve@example.org",
        password="a long enough word",
        country="FR",
        has_accepted="yes",
    )
    await from_sign_up.log_in("eve@example.org", "a long enough word")
    home = await new_project(from_sign_up)
    page = await from_sign_up.get(f"{home}/keys")
    assert "not verified yet" in page.text

    live = await from_sign_up.send(page, f"{home}/keys", name="Live", mode="live")
    test = await from_sign_up.send(page, f"{home}/keys", name="Test", mode="test")

    assert (live.status, test.status) == (403, 200)
    assert "reqrun_live_" not in live.html


async def test_a_provider_is_connected_tested_replaced_and_removed(
    ada: Browser, home: str, dashboard: Dashboard
) -> None:
    path = f"{home}/provider"
    page = await ada.get(path)
    assert "No provider yet" in page.text
    wrong = await ada.send(page, path, base_url="http://10.0.0.1/v1", provider_key=PROVIDER_KEY)
    assert wrong.status == 400
    assert wrong.wrong("base_url")
    assert PROVIDER_KEY not in wrong.html
    assert wrong.form(path).fields["base_url"] == "http://10.0.0.1/v1"
    saved = await ada.send(page, path, base_url="", provider_key=PROVIDER_KEY)
    assert "https://api.openai.com/v1" in saved.text
    assert "WXYZ" in saved.text
    assert PROVIDER_KEY not in saved.html

    tested = await ada.send(saved, f"{path}/test")
    assert "It answers." in tested.text
    dashboard.plane.away = ExecutionPlaneAway()
    away = await ada.send(saved, f"{path}/test")
    assert away.status == 503
    assert "api.openai.com" in away.text
    removed = await ada.send(saved, f"{path}/remove")
    assert "No provider yet" in removed.text


async def test_settings_are_kept_and_what_is_wrong_is_told_beside_each(
    ada: Browser, home: str
) -> None:
    path = f"{home}/settings"
    page = await ada.get(path)
    wrong = await ada.send(
        page,
        path,
        name="",
        requests_per_minute="many",
        running="0",
        retention_days="1.5",
        metadata_days="some",
        allowed_addresses="home",
    )
    assert wrong.status == 400
    fields = ("name", "requests_per_minute", "running", "retention_days", "metadata_days")
    assert all(wrong.wrong(field) for field in (*fields, "allowed_addresses"))
    assert wrong.form(path).fields["requests_per_minute"] == "many"

    saved = await ada.send(
        page,
        path,
        name="Shop 2",
        requests_per_minute="60",
        running="4",
        retention_days="3",
        metadata_days="9",
        on_unknown_outcome="fail",
        allowed_addresses="192.0.2.0/24\n2001:db8::/32",
    )
    kept = saved.form(path).fields
    assert (kept["name"], kept["requests_per_minute"], kept["running"]) == ("Shop 2", "60", "4")
    assert (kept["retention_days"], kept["metadata_days"]) == ("3", "9")
    assert kept["on_unknown_outcome"] == "fail"
    assert kept["allowed_addresses"].split() == ["192.0.2.0/24", "2001:db8::/32"]

    cleared = await ada.send(saved, path, requests_per_minute="", allowed_addresses="")
    kept = cleared.form(path).fields
    assert (kept["requests_per_minute"], kept["running"], kept["allowed_addresses"]) == (
        "",
        "4",
        "",
    )


async def test_a_project_is_paused_resumed_and_erased_by_its_name_alone(
    ada: Browser, home: str
) -> None:
    page = await ada.send(await ada.get(f"{home}/settings"), f"{home}/pause")
    assert "This project is paused" in (await ada.get(home)).text
    page = await ada.send(page, f"{home}/resume")
    refused = await ada.send(page, f"{home}/erase", sure="shop")
    assert refused.status == 400
    assert "Type the project's name" in refused.wrong("sure")

    gone = await ada.send(page, f"{home}/erase", sure="Shop")

    assert gone.path == "/projects?done=removed"
    assert (await ada.get(home)).status == 404


async def test_requests_are_listed_filtered_and_paged(
    ada: Browser, home: str, dashboard: Dashboard
) -> None:
    # Of one millisecond it is chance which sorts first.
    *ids, failed = sorted(new_id("rr") for _ in range(31))
    for one in ids:
        await add_request(dashboard, home, one)
    code, model = "<b>bad</b>", "<i>m</i>"
    await add_request(dashboard, home, failed, state="failed", last_error_code=code, model=model)
    page = await ada.get(f"{home}/requests?mode=test")
    assert failed in page.text
    assert "<i>m</i>" not in page.html
    assert ids[0] not in page.text
    older = re.search(r'href="([^"]+before=[^"]+)"', page.html)
    assert older
    assert ids[0] in (await ada.get(older.group(1).replace("&amp;", "&"))).text

    only = await ada.get(f"{home}/requests?mode=test&state=failed")
    assert only.text.count("rr_") == 1
    found = await ada.get(f"{home}/requests?mode=test&find={ids[3]}")
    assert found.path == f"{home}/requests/{ids[3]}"
    strange = await ada.get(f"{home}/requests?mode=test&state=nothing")
    assert "These filters cannot be" in strange.text
    assert "Nothing matches" in (await ada.get(f"{home}/requests?mode=test&model=none")).text


def told(number: int, **changes: object) -> AttemptRow:
    begin = START + timedelta(seconds=10 * number)
    return msgspec.structs.replace(
        AttemptRow(
            number=number,
            outcome="transient",
            started_at=begin,
            sent_at=begin,
            finished_at=begin + timedelta(seconds=1),
            status_code=429,
            error_code="provider_rate_limited",
            retry_at=begin + timedelta(seconds=3.5),
            retry_rule="retry-after",
            provider_request_id=None,
            provider_headers={"retry-after": "2"},
            tokens=None,
        ),
        **changes,
    )


async def show(ada: Browser, dashboard: Dashboard, home: str, answer: RequestAnswer) -> Page:
    dashboard.plane.add(project_id(home), answer)
    return await ada.get(f"{home}/requests/{answer.request.id}")


async def test_the_timeline_says_in_words_why_each_wait_was(
    ada: Browser, home: str, dashboard: Dashboard
) -> None:
    attempts = (
        told(1),
        told(2, status_code=None, outcome="ambiguous", error_code=None, retry_rule="crash-backoff"),
        told(3, outcome="completed", status_code=200, error_code=None, retry_rule=None),
    )
    answer = msgspec.structs.replace(request_answer(new_id("rr"), attempts=3), attempts=attempts)
    page = await show(ada, dashboard, home, answer)

    assert "Accepted and stored" in page.text
    assert "Attempt 1: failed, worth repeating (429)" in page.text
    assert "The provider's rate limit was reached." in page.text
    assert "Waited 9.0 s 2.5 s were chosen, because the provider asked for it" in page.text
    assert "because the executor that ran it died" in page.text
    assert "Attempt 3: answered (200)" in page.text
    assert "Completed after 1.0 s" in page.text
    assert "every 2s" not in page.html


@pytest.mark.parametrize(
    ("waits_for", "words"),
    [
        ("resume", "the project is paused"),
        ("cool_down", "asked that this model rests"),
        ("retry", "waits for its next attempt"),
        ("slot", "as many requests of this project run as may"),
        ("executor", "the next free executor takes it"),
    ],
)
async def test_an_open_request_says_what_it_waits_for_and_looks_again(
    ada: Browser, home: str, dashboard: Dashboard, waits_for: str, words: str
) -> None:
    row = request_answer(new_id("rr"), state="queued", finished_at=None)
    answer = msgspec.structs.replace(row, waits_for=waits_for)
    page = await show(ada, dashboard, home, answer)

    assert words in page.text
    assert "every 2s" in page.html


async def test_content_is_opened_on_demand_for_its_owner_and_escaped(
    ada: Browser, home: str, dashboard: Dashboard
) -> None:
    request_id = await add_request(dashboard, home)
    dashboard.plane.content[request_id] = ContentAnswer(
        request=b'{"messages": ["<script>"]}', result=b"\xff no json", errors={1: b"<b>"}, gone=None
    )
    path = f"{home}/requests/{request_id}"
    page = await ada.get(path)
    assert "messages" not in page.html

    opened = await ada.send(page, f"{path}/content")

    assert '"messages"' in opened.text
    assert "<script>" not in opened.html.replace('<script src="', "")
    ((what, _, context),) = dashboard.plane.asked
    assert (what, context.mode, context.project_id) == ("content", "test", project_id(home))
    assert context.key_id.startswith("usr_")
    assert "The content of a request was opened" in (await ada.get("/audit")).text


@pytest.mark.parametrize(
    ("gone", "words"), [("erased", "It was erased"), ("expired", "and is gone")]
)
async def test_content_that_is_gone_says_why(
    ada: Browser, home: str, dashboard: Dashboard, gone: str, words: str
) -> None:
    request_id = await add_request(dashboard, home)
    dashboard.plane.content[request_id] = msgspec.convert(
        {"request": None, "result": None, "errors": {}, "gone": gone}, ContentAnswer
    )
    path = f"{home}/requests/{request_id}"

    assert words in (await ada.send(await ada.get(path), f"{path}/content")).text


async def test_an_open_request_is_cancelled_and_a_failed_one_sent_again(
    ada: Browser, home: str, dashboard: Dashboard
) -> None:
    opened = await add_request(dashboard, home, state="queued", finished_at=None)
    failed = await add_request(dashboard, home, state="failed")
    for request_id, verb in ((opened, "cancel"), (failed, "retry")):
        path = f"{home}/requests/{request_id}"
        page = await ada.send(await ada.get(path), f"{path}/{verb}")
        assert page.status == 200

    assert [what for what, _, _ in dashboard.plane.asked] == ["cancel", "retry"]
    audit = (await ada.get("/audit")).text
    assert "cancelled" in audit
    assert audit.count("rr_") == 2


async def test_without_the_execution_plane_pages_say_what_is_missing_and_the_rest_works(
    ada: Browser, home: str, dashboard: Dashboard
) -> None:
    dashboard.plane.away = ExecutionPlaneAway()
    for path in ("", "/requests", "/usage", "/now", "/requests/rows"):
        page = await ada.get(home + path)
        assert page.status == 200
        assert "Requests cannot be looked at right now" in page.text
    request = await ada.get(f"{home}/requests/{new_id('rr')}")
    assert request.status == 503

    for path in (f"{home}/keys", f"{home}/provider", f"{home}/settings", "/audit", "/settings"):
        assert (await ada.get(path)).status == 200
    dashboard.plane.away = None
    assert "cannot be looked at" not in (await ada.get(home)).text


async def test_a_live_part_of_an_ended_session_leads_to_the_log_in(
    home: str, dashboard: Dashboard
) -> None:
    answer = await dashboard.browser().get(f"{home}/now", headers={"hx-request": "true"})

    assert answer.status == 200
    assert answer.response.headers["hx-redirect"].startswith("/log-in?next=")


async def test_so_many_open_requests_that_counting_ended_are_not_said_to_be_all(
    ada: Browser, home: str, dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await add_request(dashboard, home, state="queued", finished_at=None)
    assert "3 queued" in (await ada.get(home)).text

    monkeypatch.setattr(overview, "MAX_OPEN_COUNTED", 3)

    assert "3+ queued, 0 running" in (await ada.get(home)).text
