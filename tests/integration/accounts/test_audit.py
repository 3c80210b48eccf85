"""Audit events: from where, in pages, filtered, taken along."""

import csv
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from libs.common.contracts.plans import PlanName
from services.accounts.domain.audit import OPERATOR, Actor, Change, Entry, Filter, Group
from services.accounts.domain.errors import TooManyTries, WrongPassword
from services.accounts.domain.keys import NewKey, Purpose
from services.accounts.models import AuditEvent
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, audit, keys, plans, projects, sessions, standing
from tests.support.customers import BROWSER, ELSEWHERE, NETWORK, customer
from tests.support.frozen_clock import FrozenClock
from tests.support.plans import plan_changed


async def everything(ports: Ports, account_id: str, wish: Filter | None = None) -> list[AuditEvent]:
    page = await audit.list_page(ports, account_id, wish or Filter())
    assert page.before is None
    return list(page.events)


async def note_many(ports: Ports, account_id: str, count: int) -> None:
    for number in range(count):
        entry = Entry(
            what=Change.CONTENT_REVEALED,
            account_id=account_id,
            subject_id=f"rr_{number}",
            actor=OPERATOR,
        )
        await audit.note(ports, entry)


async def test_it_says_who_did_what_from_where(ports: Ports) -> None:
    person = (await customer(ports)).person
    project = await projects.create(
        ports, person.account_id, "Chat", actor=Actor(person.id, ELSEWHERE)
    )
    await projects.pause(ports, project.id, actor=OPERATOR)

    seen = [
        (event.what, event.actor, event.network, event.project_id)
        for event in await everything(ports, person.account_id)
    ]

    assert seen == [
        ("project.paused", "operator", None, project.id),
        ("project.created", person.id, ELSEWHERE, project.id),
        ("session.started", person.id, NETWORK, None),
        ("account.verified", person.id, NETWORK, None),
        ("account.created", person.id, NETWORK, None),
    ]


async def test_pages_follow_each_other_without_a_gap_or_a_double(
    ports: Ports, clock: FrozenClock
) -> None:
    account = await accounts.create(ports, "Acme", PlanName.FREE, actor=OPERATOR)
    await note_many(ports, account.id, audit.PAGE)
    clock.advance(timedelta(seconds=1))
    await note_many(ports, account.id, audit.PAGE)

    first = await audit.list_page(ports, account.id)
    await note_many(ports, account.id, 3)  # what comes meanwhile moves nothing
    second = await audit.list_page(ports, account.id, before=first.before)
    third = await audit.list_page(ports, account.id, before=second.before)

    ids = [event.id for page in (first, second, third) for event in page.events]
    assert (len(first.events), len(second.events), len(third.events)) == (50, 50, 1)
    assert third.before is None
    assert ids == sorted(set(ids), reverse=True)


async def test_nobody_sees_a_strangers_events(ports: Ports) -> None:
    mine = await accounts.create(ports, "Mine", PlanName.FREE, actor=OPERATOR)
    other = await accounts.create(ports, "Other", PlanName.FREE, actor=OPERATOR)
    await note_many(ports, other.id, 5)
    [*_, theirs] = await everything(ports, other.id)

    assert len(await everything(ports, mine.id)) == 1
    assert await everything(ports, mine.id, Filter(actor="operator")) != []
    assert (await audit.list_page(ports, mine.id, before=theirs.id)).events == []
    assert (await audit.list_page(ports, mine.id, before=2**62)).events == []


async def test_it_is_filtered_by_what_by_project_by_whom_and_by_time(
    ports: Ports, clock: FrozenClock
) -> None:
    person = (await customer(ports)).person
    actor, account_id = Actor(person.id, NETWORK), person.account_id
    clock.advance(timedelta(hours=1))
    one = await projects.create(ports, account_id, "One", actor=actor)
    two = await projects.create(ports, account_id, "Two", actor=actor)
    wish = NewKey(project_id=two.id, mode="test", name="mine", purpose=Purpose.OWN_CODE)
    key = await keys.issue(ports, wish, actor=actor)
    clock.advance(timedelta(hours=1))
    await plans.take(ports, plan_changed(account_id, PlanName.PRO))

    async def found(**wish: object) -> list[str]:
        events = await everything(ports, account_id, Filter(**wish))  # type: ignore[arg-type]
        return [event.subject_id for event in events]

    now = clock.now()
    assert await found(group=Group.KEYS) == [key.id]
    assert await found(group=Group.MONEY) == [account_id]
    assert await found(group=Group.DATA) == [two.id, one.id]
    assert await found(project_id=two.id) == [key.id, two.id]
    assert await found(actor="billing") == [account_id]
    assert await found(since=now) == [account_id]
    assert len(await found(until=now - timedelta(hours=1))) == 3
    assert await found(since=now - timedelta(hours=1), until=now, project_id=one.id) == [one.id]


async def read(chunks: AsyncIterator[bytes]) -> str:
    return b"".join([chunk async for chunk in chunks]).decode()


async def test_all_of_it_can_be_taken_along(ports: Ports) -> None:
    account = await accounts.create(ports, "Acme", PlanName.FREE, actor=OPERATOR)
    await note_many(ports, account.id, 1_100)  # more than are read at once
    await standing.suspend(ports, account.id, "=HYPERLINK(evil)", actor=OPERATOR)

    as_json = json.loads(await read(audit.export_json(ports, account.id)))
    as_csv = list(csv.DictReader((await read(audit.export_csv(ports, account.id))).splitlines()))

    assert len(as_json) == len(as_csv) == 1_102
    assert [row["what"] for row in as_json] == [row["what"] for row in as_csv]
    assert as_json[0]["detail"] == "=HYPERLINK(evil)"
    assert as_csv[0]["detail"] == "'=HYPERLINK(evil)"
    assert set(as_json[0]) == set(as_csv[0])


async def test_nothing_to_take_along_is_an_empty_list(ports: Ports) -> None:
    wish = Filter(group=Group.MONEY)

    assert json.loads(await read(audit.export_json(ports, "acc_none", wish))) == []
    assert len((await read(audit.export_csv(ports, "acc_none", wish))).splitlines()) == 1


async def test_refused_sign_ins_are_written_down_once_an_hour(
    ports: Ports, clock: FrozenClock
) -> None:
    person = (await customer(ports)).person

    async def guess(times: int) -> None:
        for _ in range(times):
            with pytest.raises((WrongPassword, TooManyTries)):
                await sessions.log_in(ports, person.email, "wrong-wrong-wrong", BROWSER)

    await guess(13)
    seen = await everything(ports, person.account_id, Filter(actor="nobody"))
    assert [(event.what, event.network) for event in seen] == [("sign_ins.refused", NETWORK)]

    clock.advance(timedelta(hours=1))
    await guess(13)
    assert len(await everything(ports, person.account_id, Filter(actor="nobody"))) == 2


async def test_refused_sign_ins_to_nobodys_account_are_nobodys(ports: Ports) -> None:
    for _ in range(12):
        with pytest.raises((WrongPassword, TooManyTries)):
            await sessions.log_in(ports, "nobody@example.org", "wrong-wrong-wrong", BROWSER)

    async with ports.db.transaction() as tx:
        assert await tx.get(AuditEvent, 1) is None
