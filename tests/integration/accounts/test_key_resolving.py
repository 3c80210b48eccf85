"""Whose key is this? The question every gateway asks every few seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import Engine, event, update

from libs.common.contracts.accounts import KeyContext, KeyDigests, Limits
from libs.common.contracts.plans import PlanName
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import ApiKeyNotFound, InvalidDigests, ProjectNotFound
from services.accounts.domain.keys import Mode, NewKey, Purpose
from services.accounts.models import Account, ApiKey, Project
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, key_contexts, keys, projects
from tests.support.frozen_clock import FrozenClock

UNKNOWN = "00" * 32


async def make_project(ports: Ports, plan: PlanName = PlanName.OPERATOR) -> Project:
    account = await accounts.create(ports, "Acme", plan, actor=OPERATOR)
    return await projects.create(ports, account.id, "Chat", actor=OPERATOR)


async def issue(
    ports: Ports, project: Project, mode: Mode = "live", life: timedelta | None = None
) -> keys.IssuedKey:
    wish = NewKey(project_id=project.id, mode=mode, name="a key", life=life)
    return await keys.issue(ports, wish, actor=OPERATOR)


async def resolve(ports: Ports, *issued: keys.IssuedKey) -> list[KeyContext]:
    asked = [KeyDigests(ports.digest(key.text).hex()) for key in issued]
    return list(await key_contexts.resolve(ports, [*asked, KeyDigests(UNKNOWN)]))


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is sent to any database inside the block."""
    seen: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_a_good_key_comes_with_all_the_gateway_needs(ports: Ports) -> None:
    project = await make_project(ports, PlanName.FREE)
    key = await issue(ports, project)

    [context] = await resolve(ports, key)
    assert msgspec.structs.replace(context, sealed_data_key=b"") == (
        KeyContext(
            digest=ports.digest(key.text).hex(),
            key_id=key.id,
            project_id=project.id,
            account_id=project.account_id,
            mode="live",
            is_suspended=False,
            is_drop_in=False,
            needs_signature=False,
            sealed_signing_secret=None,
            sealed_data_key=b"",
            connection_id=None,
            on_unknown_outcome="retry",
            retention_seconds=86_400,
            metadata_retention_seconds=7 * 86_400,
            limits=Limits(
                requests_per_minute=60,
                pending=100,
                requests_per_month=1_000,
                running=4,
                body_bytes=2 * 1024 * 1024,
            ),
        )
    )


async def test_a_revoked_key_is_absent_and_others_stay(ports: Ports) -> None:
    project = await make_project(ports)
    ended, kept = await issue(ports, project), await issue(ports, project)

    await keys.revoke(ports, ended.id, actor=OPERATOR)

    assert [found.key_id for found in await resolve(ports, ended, kept)] == [kept.id]


async def test_revoking_twice_keeps_the_first_moment_and_is_audited_once(
    ports: Ports, clock: FrozenClock
) -> None:
    project = await make_project(ports)
    key = await issue(ports, project)
    first = await keys.revoke(ports, key.id, actor=OPERATOR)

    clock.advance(timedelta(hours=1))
    second = await keys.revoke(ports, key.id, actor=OPERATOR)

    assert second.revoked_at == first.revoked_at
    seen = await accounts.show(ports, project.account_id)
    assert [e.what for e in seen.events].count("api_key.revoked") == 1


async def test_an_expired_key_is_absent_from_its_last_moment_on(
    ports: Ports, clock: FrozenClock
) -> None:
    key = await issue(ports, await make_project(ports), life=timedelta(days=1))

    clock.advance(timedelta(days=1) - timedelta(microseconds=1))
    assert len(await resolve(ports, key)) == 1
    clock.advance(timedelta(microseconds=1))
    assert await resolve(ports, key) == []


async def test_each_key_leads_to_its_own_project(ports: Ports) -> None:
    one, other = await make_project(ports), await make_project(ports)
    issued = [await issue(ports, one), await issue(ports, other, "test")]

    found = {context.key_id: context for context in await resolve(ports, *issued)}

    assert found[issued[0].id].project_id == one.id
    assert found[issued[1].id].project_id == other.id
    assert [found[key.id].mode for key in issued] == ["live", "test"]


async def test_a_project_cannot_have_more_than_its_account(ports: Ports) -> None:
    project = await make_project(ports, PlanName.FREE)
    key = await issue(ports, project)
    async with ports.db.transaction() as tx:
        await tx.execute(
            update(Project).values(requests_per_minute=10, running=500, retention_seconds=10**6)
        )

    [context] = await resolve(ports, key)

    assert context.limits.requests_per_minute == 10
    assert context.limits.running == 4
    assert context.retention_seconds == 86_400


async def test_a_suspended_account_is_told_as_such(ports: Ports) -> None:
    key = await issue(ports, await make_project(ports))
    async with ports.db.transaction() as tx:
        await tx.execute(update(Account).values(is_suspended=True))

    [context] = await resolve(ports, key)

    assert context.is_suspended


async def test_the_answer_takes_one_statement_and_use_is_noted_once_a_minute(
    ports: Ports, clock: FrozenClock
) -> None:
    project = await make_project(ports)
    issued = [await issue(ports, project) for _ in range(20)]
    first_use = clock.now()
    await resolve(ports, *issued)

    clock.advance(timedelta(seconds=59))
    with statements() as sent:
        assert len(await resolve(ports, *issued)) == 20
    assert len(sent) == 1
    assert await last_uses(ports, project) == {first_use}

    clock.advance(timedelta(seconds=1))
    await resolve(ports, *issued)
    assert await last_uses(ports, project) == {clock.now()}


async def last_uses(ports: Ports, project: Project) -> set[object]:
    return {key.last_used_at for key in await keys.list_of(ports, project.id)}


async def test_a_key_that_somebody_holds_locked_is_resolved_all_the_same(ports: Ports) -> None:
    key = await issue(ports, await make_project(ports))

    async with ports.db.transaction() as tx:
        await tx.get(ApiKey, key.id, with_for_update=True)
        assert len(await resolve(ports, key)) == 1


@pytest.mark.parametrize(
    "digests", [(UNKNOWN,) * 257, ("xyz",), ("00" * 31,), ("00" * 33,), ("é" * 64,)]
)
async def test_a_malformed_question_is_refused(ports: Ports, digests: tuple[str, ...]) -> None:
    with pytest.raises(InvalidDigests):
        await key_contexts.resolve(ports, [KeyDigests(digest) for digest in digests])
    with pytest.raises(InvalidDigests):
        await key_contexts.resolve(ports, [KeyDigests(UNKNOWN, digests)])


async def test_a_drop_in_key_says_so(ports: Ports) -> None:
    project = await make_project(ports)
    wish = NewKey(project_id=project.id, mode="live", name="stock", purpose=Purpose.STOCK_SDK)
    key = await keys.issue(ports, wish, actor=OPERATOR)

    [context] = await resolve(ports, key)

    assert context.is_drop_in


async def test_there_is_no_key_without_a_project(ports: Ports) -> None:
    wish = NewKey(project_id="prj_none", mode="live", name="a key")

    with pytest.raises(ProjectNotFound):
        await keys.issue(ports, wish, actor=OPERATOR)
    with pytest.raises(ApiKeyNotFound):
        await keys.revoke(ports, "key_none", actor=OPERATOR)
