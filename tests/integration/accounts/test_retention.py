"""Rows whose time is over go, table by table; others stay; every table has its entry."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from libs.common import retention
from libs.common.ids import new_id
from services.accounts.domain.audit import Change
from services.accounts.models import (
    AbuseSignal,
    AuditEvent,
    Base,
    Link,
    Mail,
    Notice,
    Session,
    SupportEntry,
    SupportMessage,
    Throttle,
)
from services.accounts.ports import Ports
from services.accounts.repositories import retention as swept
from services.accounts.use_cases.retention import sweep
from tests.support import catalogue
from tests.support.customers import customer
from tests.support.frozen_clock import FrozenClock

SECOND = timedelta(seconds=1)


async def test_every_table_has_a_window_or_a_reason(accounts_address: str) -> None:
    assert await catalogue.tables(accounts_address) == set(retention.ACCOUNTS)


def test_every_window_has_something_that_keeps_it() -> None:
    windowed = {table for table, kept in retention.ACCOUNTS.items() if kept.window is not None}

    assert windowed == swept.SWEPT | {"outbox", "support_entries"}


def of_mail(**changes: Any) -> Mail:
    fields = {
        "id": new_id("mail"), "kind": "verify", "recipient": "a@example.org", "subject": "s",
        "text": "t", "html": "h", "tries": 1,
    }  # fmt: skip
    return Mail(**(fields | changes))


def of_session(person_id: str, **changes: Any) -> Session:
    fields = {"id": new_id("ses"), "digest": new_id("x").encode(), "person_id": person_id,
              "network": "n", "agent": "a"}  # fmt: skip
    return Session(**(fields | changes))


def of_message(account_id: str, **changes: Any) -> SupportMessage:
    fields = {"id": new_id("msg"), "account_id": account_id, "person_id": "usr_x", "kind": "bug",
              "subject": "s", "state": "closed"}  # fmt: skip
    return SupportMessage(**(fields | changes))


@pytest.fixture
async def person(ports: Ports) -> Any:
    return (await customer(ports)).person


async def add(ports: Ports, *rows: Base) -> None:
    async with ports.db.transaction() as tx:
        for row in rows:
            tx.add(row)
            await tx.flush()


async def count(ports: Ports, table: type[Base]) -> int:
    async with ports.db.transaction() as tx:
        return await tx.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.parametrize(
    "table",
    ["sessions", "links", "throttles", "mails", "notices", "support_messages", "abuse_signals"],
)
async def test_what_is_over_goes_and_what_is_not_stays(
    ports: Ports, clock: FrozenClock, person: Any, table: str
) -> None:
    """Each of two rows, a second apart on both sides of the window."""
    kept = retention.ACCOUNTS[table]
    assert kept.window is not None
    over = clock.now() - kept.window
    young = over + SECOND
    ended = {"created_at": over, "due_at": over}
    rows: dict[str, list[Base]] = {
        "sessions": [of_session(person.id, created_at=over, seen_at=at) for at in (over, young)],
        "links": [
            Link(digest=bytes([n]), person_id=person.id, purpose="reset", expires_at=at)
            for n, at in enumerate((over, young))
        ],
        "throttles": [Throttle(name=f"mail.{n}", full_at=at) for n, at in enumerate((over, young))],
        "mails": [of_mail(**ended, sent_at=at) for at in (over, young)],
        "notices": [
            Notice(account_id=person.account_id, name=f"{n}", told_at=at)
            for n, at in enumerate((over, young))
        ],
        "support_messages": [
            of_message(person.account_id, created_at=at, updated_at=at, closed_at=at)
            for at in (over, young)
        ],
        "abuse_signals": [
            AbuseSignal(what="sign_up", network=f"{n}", started_at=at, count=1)
            for n, at in enumerate((over, young))
        ],
    }
    model = type(rows[table][0])
    before = await count(ports, model)
    await add(ports, *rows[table])

    assert (await sweep(ports))[table] == 1
    assert await count(ports, model) == before + 1
    assert (await sweep(ports))[table] == 0


async def test_a_mail_that_waits_stays_and_one_given_up_is_gone_after_a_week(
    ports: Ports, clock: FrozenClock
) -> None:
    long_ago = clock.now() - timedelta(days=300)
    week = clock.now() - timedelta(days=7)
    waiting = of_mail(created_at=long_ago, due_at=long_ago)
    failed = of_mail(created_at=long_ago, due_at=long_ago, failed_at=week)
    recent = of_mail(created_at=long_ago, due_at=long_ago, failed_at=week + SECOND)
    await add(ports, waiting, failed, recent)

    assert (await sweep(ports))["mails"] == 1
    async with ports.db.transaction() as tx:
        assert set(await tx.scalars(select(Mail.id))) == {waiting.id, recent.id}


async def test_the_texts_of_a_support_message_go_with_it(
    ports: Ports, clock: FrozenClock, person: Any
) -> None:
    at = clock.now() - retention.SUPPORT
    message = of_message(person.account_id, created_at=at, updated_at=at, closed_at=at)
    still = of_message(person.account_id, state="open", created_at=at, updated_at=at)
    await add(ports, message, still)
    for one in (message, still):
        await add(ports, SupportEntry(message_id=one.id, author="customer", text="t", at=at))

    await sweep(ports)

    async with ports.db.transaction() as tx:
        assert list(await tx.scalars(select(SupportEntry.message_id))) == [still.id]


def of_event(days: float, ports: Ports) -> AuditEvent:
    return AuditEvent(
        account_id="acc_x", subject_id="acc_x", actor="system", what=Change.PROJECT_SET,
        at=ports.clock.now() - timedelta(days=days),
    )  # fmt: skip


async def test_audit_events_go_after_400_days_and_no_sooner_whatever_is_asked(ports: Ports) -> None:
    await add(ports, of_event(400.5, ports), of_event(900, ports))
    await add(ports, AuditEvent(
        account_id="acc_x", subject_id="acc_x", actor="system", what=Change.PROJECT_SET,
        at=ports.clock.now() + timedelta(days=3650),
    ))  # fmt: skip

    assert (await sweep(ports))["audit_events"] == 2
    async with ports.db.transaction() as tx:
        await tx.scalar(text("SELECT drop_audit_events_v1('2100-01-01', 100)"))
    assert await count(ports, AuditEvent) == 1


async def test_many_go_batch_by_batch(ports: Ports, clock: FrozenClock) -> None:
    many = swept.BATCH + 5
    async with ports.db.transaction() as tx:
        tx.add_all(Throttle(name=f"t.{n}", full_at=clock.now() - SECOND) for n in range(many))

    assert (await sweep(ports))["throttles"] == many
