"""Deleting an account: seven days to think again, then nothing of the person is left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import ProgrammingError

from libs.common import retention
from libs.common.contracts import accounts as contracts
from libs.common.contracts.accounts import KeyDigests
from libs.common.contracts.billing import UsageThresholdReached
from libs.common.contracts.event import Event, decoder
from libs.common.database import Database
from libs.common.outbox import OUTBOX
from libs.common.retention import Erasure
from libs.common.settings import Secret
from services.accounts.domain.audit import SYSTEM, Actor, Change
from services.accounts.domain.errors import AccountLeaving, DeletionBegun
from services.accounts.domain.keys import NewKey, Purpose
from services.accounts.domain.support import Draft, Kind
from services.accounts.models import Account, AuditEvent, Mail, Person, Project
from services.accounts.ports import Ports
from services.accounts.repositories.people import Held
from services.accounts.settings import Settings
from services.accounts.use_cases import (
    connections,
    deletion,
    key_contexts,
    keys,
    notices,
    projects,
    recovery,
    sessions,
    support,
)
from services.accounts.use_cases.connections import NewConnection
from tests.support import catalogue
from tests.support.customers import BROWSER, NETWORK, PASSWORD, customer, mails_to
from tests.support.frozen_clock import FrozenClock

EMAIL, NAME, COMPANY = "canary.person@example.org", "Canary Person", "Canary Works"
PROVIDER_KEY = "sk-canary-provider-key"
SECRETS = ("canary", "203.0.113", "Firefox", PASSWORD)
DUE = deletion.GRACE


class Life:
    """A person with a bit of everything, and the account that is theirs."""

    def __init__(self, ports: Ports, held: Held, project: Project, key: str) -> None:
        self.ports, self.held, self.project, self.key = ports, held, project, key
        self.person, self.account_id = held.person, held.person.account_id
        self.actor = Actor(held.person.id, NETWORK)

    async def account(self) -> Account:
        async with self.ports.db.transaction() as tx:
            return await tx.get_one(Account, self.account_id)

    async def start(self) -> None:
        await deletion.start(self.ports, self.person.id, actor=self.actor)

    async def context(self) -> Any:
        asked = KeyDigests(self.ports.digest(self.key).hex())
        found = await key_contexts.resolve(self.ports, [asked])
        return found[0] if found else None

    async def is_paused(self) -> bool:
        return (await projects.show_standing(self.ports, self.project.id)).is_paused


@pytest.fixture
async def life(ports: Ports) -> Life:
    held = await customer(ports, EMAIL, NAME)
    person = held.person
    actor = Actor(person.id, NETWORK)
    async with ports.db.transaction() as tx:
        await tx.execute(update(Person).where(Person.id == person.id).values(company=COMPANY))
    project = await projects.create(ports, person.account_id, "canary project", actor=actor)
    await projects.create(ports, person.account_id, "canary project 2", actor=actor)
    wish = NewConnection(
        project_id=project.id,
        base_url="https://canary.example.org/v1",
        key=Secret(PROVIDER_KEY),
    )
    await connections.put(ports, wish, actor=actor)
    key = await keys.issue(ports, new_key(project.id), actor=actor)
    await support.send(
        ports, person, Draft(kind=Kind.BUG, subject="canary", text="canary text"), NETWORK
    )
    await notices.tell_usage(ports, reached(person.account_id))
    await recovery.ask_for_reset(ports, EMAIL, NETWORK)
    await sessions.log_in(ports, EMAIL, PASSWORD, BROWSER)
    return Life(ports, held, project, key.text)


def reached(account_id: str) -> UsageThresholdReached:
    """Which is noted down, also of who wants no mail about it."""
    return UsageThresholdReached(
        account_id=account_id,
        percent=80,
        period=date(2026, 3, 1),
        resets_on=date(2026, 4, 1),
        used=8,
        allowed=10,
    )


def new_key(project_id: str) -> NewKey:
    return NewKey(project_id=project_id, name="canary key", mode="live", purpose=Purpose.SIGNED)


async def told(ports: Ports) -> list[Event]:
    read = decoder(kind for kind in Event.__subclasses__() if kind.__module__ == contracts.__name__)
    async with ports.db.transaction() as tx:
        rows = await tx.scalars(select(OUTBOX.c.body).order_by(OUTBOX.c.id))
        return [read(body) for body in rows]


async def names_told(ports: Ports) -> list[str]:
    return [type(event).__name__ for event in await told(ports)]


async def test_from_the_start_nothing_runs_and_no_key_is_taken(
    life: Life, ports: Ports, clock: FrozenClock
) -> None:
    assert not (await life.context()).is_suspended
    await life.start()

    assert (await life.context()).is_suspended
    assert await life.is_paused()
    account = await life.account()
    assert account.leaves_at == clock.now() + timedelta(days=7)
    event = (await told(ports))[-1]
    living = {project.id for project in await projects.list_of(ports, life.account_id)}
    assert type(event).__name__ == "AccountDeletionStarted"
    assert set(event.project_ids) == living  # type: ignore[attr-defined]
    [*_, mail] = await mails_to(ports, EMAIL)
    assert mail.kind == "deletion_started"
    assert "2026-03-21" in mail.text
    with pytest.raises(AccountLeaving):
        await projects.create(ports, life.account_id, "another", actor=SYSTEM)


async def test_started_twice_it_is_due_when_it_was_first(
    life: Life, ports: Ports, clock: FrozenClock
) -> None:
    due_at = await deletion.start(ports, life.person.id, actor=life.actor)
    clock.advance(timedelta(days=3))

    assert await deletion.start(ports, life.person.id, actor=life.actor) == due_at
    assert (await names_told(ports)).count("AccountDeletionStarted") == 1


async def test_undone_everything_is_exactly_as_it_was(
    life: Life, ports: Ports, clock: FrozenClock
) -> None:
    """A project that was paused by itself stays so, and so does a suspension by the operator."""
    other = (await projects.list_of(ports, life.account_id))[1]
    await projects.pause(ports, other.id, actor=SYSTEM)
    before = await life.context()
    await life.start()
    clock.advance(timedelta(days=6, hours=23))
    await deletion.carry_out_due(ports)

    await deletion.undo(ports, life.person.id, actor=life.actor)

    assert await life.context() == before
    assert not await life.is_paused()
    assert (await projects.show_standing(ports, other.id)).is_paused
    assert (await names_told(ports))[-2:] == ["ProjectResumed"] * 2
    assert [mail.kind for mail in await mails_to(ports, EMAIL)][-1] == "deletion_undone"
    clock.advance(timedelta(days=30))
    assert await deletion.carry_out_due(ports) == 0
    await deletion.undo(ports, life.person.id, actor=life.actor)


async def test_a_suspended_account_stays_so_when_its_deletion_is_undone(
    life: Life, ports: Ports
) -> None:
    async with ports.db.transaction() as tx:
        (await tx.get_one(Account, life.account_id)).is_suspended = True
    await life.start()
    await deletion.undo(ports, life.person.id, actor=life.actor)

    assert (await life.context()).is_suspended


async def test_nothing_of_the_person_is_left_but_the_receipt(
    life: Life, ports: Ports, clock: FrozenClock, accounts_address: str
) -> None:
    stranger = await customer(ports, "stranger@example.org", "Stranger")
    before = await catalogue.text_of(accounts_address)
    assert all(secret in before for secret in SECRETS[:3])
    await life.start()
    clock.advance(DUE)
    assert await deletion.carry_out_due(ports) == 1

    [receipt] = await mails_to(ports, EMAIL)
    assert (receipt.kind, receipt.account_id) == ("deleted", None)
    assert "2026-03-21" in receipt.text
    assert "2026-03-28" in receipt.text
    async with ports.db.transaction() as tx:
        await tx.delete(await tx.get_one(Mail, receipt.id))
    left = await catalogue.text_of(accounts_address)
    others = [line for line in left.splitlines() if not belongs_to(line, stranger)]
    found = {secret for secret in SECRETS for line in others if secret in line}
    assert found == set()
    assert life.person.id not in left
    assert await sessions.log_in(ports, "stranger@example.org", PASSWORD, BROWSER)


def belongs_to(line: str, held: Held) -> bool:
    """Signals of abuse are of networks and hours, and of nobody (libs/common/retention.py)."""
    return line.startswith("abuse_signals") or any(
        one in line for one in (held.person.id, held.person.account_id, "stranger")
    )


async def test_what_happened_stays_in_the_audit_without_the_person(
    life: Life, ports: Ports, clock: FrozenClock
) -> None:
    await life.start()
    clock.advance(DUE)
    await deletion.carry_out_due(ports)

    async with ports.db.transaction() as tx:
        events = list(await tx.scalars(select(AuditEvent).order_by(AuditEvent.id)))
    whats = [event.what for event in events]
    assert {Change.LOGGED_IN, Change.API_KEY_ISSUED, Change.DELETION_STARTED} <= set(whats)
    assert whats[-1] == Change.DELETION_DONE
    assert whats.count(Change.PROJECT_DELETED) == 2
    assert {event.actor for event in events} == {"person", "system"}
    assert {(event.network, event.detail) for event in events} == {(None, None)}


async def test_keys_are_gone_and_everybody_is_told(
    life: Life, ports: Ports, clock: FrozenClock
) -> None:
    ids = {project.id for project in await projects.list_of(ports, life.account_id)}
    await life.start()
    clock.advance(DUE)
    await deletion.carry_out_due(ports)

    assert await life.context() is None
    names = await names_told(ports)
    assert names.count("ProjectDeleted") == 2
    assert names[-1] == "AccountDeleted"
    last = (await told(ports))[-1]
    assert (last.account_id, set(last.project_ids)) == (life.account_id, ids)  # type: ignore[attr-defined]
    standing = await projects.show_standing(ports, life.project.id)
    assert (standing.is_deleted, standing.is_account_deleted) == (True, True)


class Crash(Exception):
    """The worker dies here."""


class Dying:
    """A database whose client dies at its n-th step: begin, before commit and after it are one."""

    def __init__(self, db: Database, steps: int) -> None:
        self._db, self._left = db, steps

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self._step()
        async with self._db.transaction() as tx:
            yield tx
            self._step()
        self._step()

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Crash


async def carry_out(ports: Ports, account_id: str) -> bool:
    return await deletion._carry_out(ports, account_id)  # noqa: SLF001  # as a worker that dies would


async def test_a_crash_between_any_two_steps_loses_nothing_and_leaves_nothing(
    life: Life, ports: Ports, clock: FrozenClock, accounts_address: str
) -> None:
    """After each crash there is either the person, or the receipt; never neither, never both."""
    await life.start()
    clock.advance(DUE)
    for steps in range(1, 100):
        dying: Any = Dying(ports.db, steps)
        try:
            await carry_out(msgspec.structs.replace(ports, db=dying), life.account_id)
        except Crash:
            pass
        else:
            break
        async with ports.db.transaction() as tx:
            people = await tx.scalar(select(func.count()).where(Person.email == EMAIL))
            receipts = await tx.scalar(select(func.count()).where(Mail.kind == "deleted"))
        assert (people, receipts) in {(1, 0), (0, 1)}
    assert steps > 9
    await deletion.carry_out_due(ports)

    [receipt] = await mails_to(ports, EMAIL)
    assert receipt.kind == "deleted"
    names = await names_told(ports)
    assert names.count("AccountDeleted") == 1
    async with ports.db.transaction() as tx:
        await tx.delete(await tx.get_one(Mail, receipt.id))
    left = [
        line
        for line in (await catalogue.text_of(accounts_address)).splitlines()
        if not line.startswith("abuse_signals")
    ]
    assert [line for line in left if any(secret in line for secret in SECRETS)] == []


async def test_once_begun_it_cannot_be_undone(life: Life, ports: Ports, clock: FrozenClock) -> None:
    await life.start()
    clock.advance(DUE)
    dying: Any = Dying(ports.db, 7)
    with pytest.raises(Crash):
        await carry_out(msgspec.structs.replace(ports, db=dying), life.account_id)

    with pytest.raises(DeletionBegun):
        await deletion.undo(ports, life.person.id, actor=life.actor)


async def test_two_workers_erase_one_account_once(
    life: Life, ports: Ports, clock: FrozenClock
) -> None:
    await life.start()
    clock.advance(DUE)

    erased = await asyncio.gather(*(deletion.carry_out_due(ports) for _ in range(3)))

    assert sum(erased) == 1
    assert (await names_told(ports)).count("AccountDeleted") == 1
    assert len(await mails_to(ports, EMAIL)) == 1


async def test_one_account_that_fails_keeps_no_other_waiting(
    life: Life, ports: Ports, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await life.start()
    other = await customer(ports, "other@example.org", "Other")
    await deletion.start(ports, other.person.id, actor=SYSTEM)
    clock.advance(DUE)
    erase = projects.erase

    async def fail(ports: Ports, project_id: str, **how: Any) -> Project:
        if project_id == life.project.id:
            raise RuntimeError
        return await erase(ports, project_id, **how)

    monkeypatch.setattr(projects, "erase", fail)
    assert await deletion.carry_out_due(ports) == 1
    assert (await life.account()).erased_at is None
    monkeypatch.undo()
    assert await deletion.carry_out_due(ports) == 1


async def test_whole_pages_of_accounts_that_fail_keep_no_other_waiting(
    life: Life, ports: Ports, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All due at the same moment, but for one that is due last."""
    monkeypatch.setattr(deletion, "_ACCOUNTS", 2)
    stuck = []
    for number in range(5):
        held = await customer(ports, f"stuck{number}@example.org", "Stuck")
        made = await projects.create(ports, held.person.account_id, "Stuck", actor=SYSTEM)
        stuck.append(made.id)
        await deletion.start(ports, held.person.id, actor=SYSTEM)
    clock.advance(timedelta(seconds=1))
    await life.start()
    clock.advance(DUE)
    erase, tried = projects.erase, []

    async def fail(ports: Ports, project_id: str, **how: Any) -> Project:
        if project_id in stuck:
            tried.append(project_id)
            raise RuntimeError
        return await erase(ports, project_id, **how)

    monkeypatch.setattr(projects, "erase", fail)
    assert await deletion.carry_out_due(ports) == 1
    assert (await life.account()).erased_at is not None
    assert sorted(tried) == sorted(stuck)


async def test_every_table_with_something_of_a_person_is_emptied_of_it(
    life: Life, ports: Ports, clock: FrozenClock, accounts_address: str
) -> None:
    """By the catalogue: a table that is added must be dealt with, or say why not."""

    async def rows() -> dict[str, int]:
        counted = {}
        async with ports.db.transaction() as tx:
            for table in sorted(await catalogue.tables(accounts_address) - {"alembic_version"}):
                counted[table] = await tx.scalar(text(f"SELECT count(*) FROM {table}")) or 0  # noqa: S608  # the catalogue's
        return counted

    deleted = {
        table for table, kept in retention.ACCOUNTS.items() if kept.erasure is Erasure.DELETED
    }
    before = await rows()
    assert {table for table in deleted if not before[table]} == set(), "the life fills them all"
    await life.start()
    clock.advance(DUE)
    await deletion.carry_out_due(ports)

    after = await rows()
    assert {table: after[table] for table in deleted if after[table]} == {"mails": 1}


async def test_the_service_may_strip_no_audit_of_an_account_that_stays(
    life: Life, ports: Ports, settings: Settings
) -> None:
    assert settings.database_url
    with pytest.raises(ProgrammingError, match="not being deleted"):
        async with ports.db.transaction() as tx:
            await tx.scalar(select(func.strip_audit_events_v1(life.account_id, 10)))
