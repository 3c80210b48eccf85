"""The audit list: in words, filtered, page by page, and as files."""

import csv
import json
import re
from datetime import timedelta

from services.accounts.domain.audit import OPERATOR, Change, Entry
from services.accounts.models import Project
from services.accounts.ports import Ports
from services.accounts.use_cases import audit
from tests.support.dashboard import Browser, Dashboard, Page
from tests.support.frozen_clock import FrozenClock


async def account_of(browser: Browser, ports: Ports) -> str:
    """The account of whoever is logged in there."""
    found = re.search(r"prj_\w+", (await browser.get("/")).path)
    assert found
    async with ports.db.transaction() as tx:
        from_project = await tx.get_one(Project, found.group())
        return from_project.account_id


async def with_project(browser: Browser, name: str = "Chat") -> str:
    """Its id."""
    made = await browser.send(await browser.get("/projects"), "/projects", name=name)
    return made.path.removeprefix("/projects/")


async def note(ports: Ports, account_id: str, count: int = 1, detail: str | None = None) -> None:
    for number in range(count):
        await audit.note(
            ports,
            Entry(
                what=Change.PLAN_CHANGED,
                account_id=account_id,
                subject_id=f"acc_{number}",
                actor=OPERATOR,
                detail=detail,
            ),
        )


def numbers(page: Page) -> list[int]:
    return [int(one) for one in re.findall(r">acc_(\d+)<", page.html)]


async def test_it_says_in_words_who_did_what_from_where_and_when(ada: Browser) -> None:
    await with_project(ada)

    page = await ada.get("/audit")

    for words in ("A project was made", "Logged in", "The account was opened", "you", "Chat",
                  "127.0.0.0/24", "14 Mar 2026, 09:26:53 UTC"):  # fmt: skip
        assert words in page.text
    assert "session.started" not in page.text


async def test_a_strangers_entries_are_not_there(ada: Browser, bob: Browser) -> None:
    bobs = await with_project(bob, "Secret plans")

    assert "Secret plans" not in (await ada.get("/audit")).text
    for path in ("/audit", "/audit/export.csv", "/audit/export.json"):
        assert (await ada.get(f"{path}?project={bobs}")).status == 404
    assert "Secret plans" in (await bob.get("/audit")).text


async def test_filters_choose_and_stay_chosen(
    ada: Browser, dashboard: Dashboard, clock: FrozenClock
) -> None:
    project_id = await with_project(ada)
    account_id = await account_of(ada, dashboard.ports)
    clock.advance(timedelta(days=1))
    await note(dashboard.ports, account_id, detail="free → pro")

    money = await ada.get("/audit?group=money")
    assert "The plan changed: free → pro" in money.text
    assert "the operator" in money.text
    assert "Logged in" not in money.text
    assert money.form("/audit").fields["group"] == "money"
    ours = await ada.get(f"/audit?project={project_id}")
    assert "A project was made" in ours.text
    assert "Logged in" not in ours.text
    first = await ada.get("/audit?since=2026-03-14&until=2026-03-14")
    assert "Logged in" in first.text
    assert "The plan changed" not in first.text
    assert first.form("/audit").fields["until"] == "2026-03-14"
    later = await ada.get("/audit?since=2026-03-15")
    assert "The plan changed" in later.text
    assert "Logged in" not in later.text
    assert "Nothing matches" in (await ada.get("/audit?since=2026-03-16")).text


async def test_pages_follow_each_other_and_keep_the_filters(
    ada: Browser, dashboard: Dashboard
) -> None:
    await with_project(ada)
    await note(dashboard.ports, await account_of(ada, dashboard.ports), 60)

    first = await ada.get("/audit?group=money")
    older = re.search(r'href="(/audit\?[^"]+)">Older', first.html)
    assert older
    second = await ada.get(older.group(1).replace("&amp;", "&"))

    assert numbers(first) == list(range(59, 9, -1))
    assert numbers(second) == list(range(9, -1, -1))
    assert "Logged in" not in second.text
    assert ">Older<" not in second.html
    assert 'href="/audit?group=money">Newest' in second.html


async def test_filters_that_cannot_be_say_so_beside_their_field(ada: Browser) -> None:
    for field, text in (
        ("since", "yesterday"),
        ("until", "2026-02-30"),
        ("until", "9999-12-31"),
        ("since", "%00"),
        ("since", "9" * 10_000),
        ("group", "<b>"),
    ):
        page = await ada.get(f"/audit?{field}={text}")

        assert page.status == 400
        assert page.wrong(field)
        assert "<b>" not in page.html
        assert (await ada.get(f"/audit/export.csv?{field}={text}")).status == 400


async def test_a_page_after_nothing_is_empty(ada: Browser) -> None:
    for before in ("0", "-1", "x", "%00", "9" * 18, "9" * 400, "%C2%B2"):
        page = await ada.get(f"/audit?before={before}")

        assert page.status == 200
        assert "Nothing matches" in page.text


async def test_it_is_taken_along_as_files_with_the_filters(
    ada: Browser, dashboard: Dashboard
) -> None:
    await with_project(ada)
    await note(dashboard.ports, await account_of(ada, dashboard.ports), detail="=HYPERLINK(1)")

    sheet = await ada.get("/audit/export.csv?group=money")
    file = await ada.get("/audit/export.json?group=money")

    headers = sheet.response.headers
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert headers["content-disposition"].endswith('"reqrun-audit-2026-03-14.csv"')
    assert headers["cache-control"] == "no-store"
    lines = list(csv.DictReader(sheet.html.splitlines()))
    assert [(one["what"], one["detail"]) for one in lines] == [("plan.changed", "'=HYPERLINK(1)")]
    assert file.response.headers["content-type"] == "application/json"
    assert [one["what"] for one in json.loads(file.html)] == ["plan.changed"]
    assert len(json.loads((await ada.get("/audit/export.json")).html)) > 4
