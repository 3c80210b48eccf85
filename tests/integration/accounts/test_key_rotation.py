"""API keys that sign, API keys that are handed over, and peppers that are replaced."""

import asyncio
import re
from datetime import timedelta

import msgspec
import pytest

from libs.common import crypto
from libs.common.contracts.accounts import KeyContext, KeyDigests, signing_secret_context
from libs.common.contracts.plans import PlanName
from libs.common.crypto import SealBroken, SealingKey, SealingKeyring
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import ApiKeyEnded, ApiKeyNotFound, InvalidOverlap
from services.accounts.domain.keys import NewKey, Purpose
from services.accounts.models import ApiKey, Project
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, key_contexts, keys, projects
from tests.support.frozen_clock import FrozenClock

DAY = timedelta(days=1)
OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture
async def project(ports: Ports) -> Project:
    account = await accounts.create(ports, "Acme", PlanName.OPERATOR, actor=OPERATOR)
    return await projects.create(ports, account.id, "Chat", actor=OPERATOR)


async def issue(
    ports: Ports,
    project: Project,
    purpose: Purpose = Purpose.OWN_CODE,
    life: timedelta | None = None,
) -> keys.IssuedKey:
    wish = NewKey(project_id=project.id, mode="test", name="a key", purpose=purpose, life=life)
    return await keys.issue(ports, wish, actor=OPERATOR)


async def rotate(ports: Ports, key: keys.IssuedKey, overlap: timedelta = DAY) -> keys.IssuedKey:
    return await keys.rotate(ports, key.id, overlap, actor=OPERATOR)


async def resolve(ports: Ports, *issued: keys.IssuedKey) -> list[KeyContext]:
    asked = [KeyDigests(ports.digest(key.text).hex()) for key in issued]
    return list(await key_contexts.resolve(ports, asked))


async def row(ports: Ports, key: keys.IssuedKey) -> ApiKey:
    async with ports.db.transaction() as tx:
        found = await tx.get(ApiKey, key.id)
    assert found is not None
    return found


async def test_a_key_for_signed_requests_has_a_secret_that_only_the_data_plane_opens(
    ports: Ports, project: Project, data_plane_key: SealingKey, executor_sealing_key: SealingKey
) -> None:
    key = await issue(ports, project, Purpose.SIGNED)

    assert key.signing_secret is not None
    assert re.fullmatch(r"reqrun_secret_[0-9A-Za-z]{43}", key.signing_secret)
    [context] = await resolve(ports, key)
    assert context.needs_signature
    sealed = context.sealed_signing_secret or b""
    name = signing_secret_context(key.id, project.id)
    assert SealingKeyring([data_plane_key]).open(sealed, name).decode() == key.signing_secret
    with pytest.raises(SealBroken):
        SealingKeyring([executor_sealing_key]).open(sealed, name)


async def test_other_keys_have_none(ports: Ports, project: Project) -> None:
    issued = [await issue(ports, project, p) for p in (Purpose.OWN_CODE, Purpose.STOCK_SDK)]

    assert [key.signing_secret for key in issued] == [None, None]
    contexts = await resolve(ports, *issued)
    assert {(c.needs_signature, c.sealed_signing_secret) for c in contexts} == {(False, None)}


async def test_a_rotated_key_and_its_successor_are_both_good_until_the_overlap_ends(
    ports: Ports, project: Project, clock: FrozenClock
) -> None:
    old = await issue(ports, project, Purpose.SIGNED)

    new = await rotate(ports, old)

    assert new.signing_secret not in (None, old.signing_secret)
    before, after = await row(ports, old), await row(ports, new)
    same = ("name", "mode", "purpose", "is_drop_in", "needs_signature", "project_id")
    assert [getattr(before, name) for name in same] == [getattr(after, name) for name in same]
    assert after.expires_at is None
    clock.advance(DAY - timedelta(microseconds=1))
    assert len(await resolve(ports, old, new)) == 2
    clock.advance(timedelta(microseconds=1))
    assert [found.key_id for found in await resolve(ports, old, new)] == [new.id]


async def test_the_successor_lives_as_long_as_the_old_key_was_made_for(
    ports: Ports, project: Project, clock: FrozenClock
) -> None:
    old = await issue(ports, project, life=30 * DAY)
    clock.advance(29 * DAY)

    new = await rotate(ports, old, timedelta(days=7))

    ends = [(await row(ports, key)).expires_at for key in (old, new)]
    assert ends == [clock.now() + DAY, clock.now() + 30 * DAY]


async def test_without_overlap_the_old_key_ends_at_once(ports: Ports, project: Project) -> None:
    old = await issue(ports, project)

    new = await rotate(ports, old, timedelta())

    assert [found.key_id for found in await resolve(ports, old, new)] == [new.id]


async def test_a_key_that_has_ended_or_was_rotated_is_not_rotated(
    ports: Ports, project: Project, clock: FrozenClock
) -> None:
    revoked, expired, rotated = [await issue(ports, project, life=DAY) for _ in range(3)]
    await keys.revoke(ports, revoked.id, actor=OPERATOR)
    await rotate(ports, rotated)
    with pytest.raises(ApiKeyEnded):
        await rotate(ports, rotated)
    clock.advance(DAY)

    for key in (revoked, expired):
        with pytest.raises(ApiKeyEnded):
            await rotate(ports, key)
    with pytest.raises(ApiKeyNotFound):
        await keys.rotate(ports, "key_none", DAY, actor=OPERATOR)
    with pytest.raises(InvalidOverlap):
        await rotate(ports, expired, timedelta(hours=721))


async def test_of_two_who_rotate_at_once_one_gets_a_key(ports: Ports, project: Project) -> None:
    old = await issue(ports, project)

    answers = await asyncio.gather(*(rotate(ports, old) for _ in range(4)), return_exceptions=True)

    assert len([one for one in answers if isinstance(one, keys.IssuedKey)]) == 1
    assert len([one for one in answers if isinstance(one, ApiKeyEnded)]) == 3


async def test_a_rotation_is_audited(ports: Ports, project: Project) -> None:
    old = await issue(ports, project)
    new = await rotate(ports, old)

    seen = await accounts.show(ports, project.account_id)

    told = {(event.what, event.subject_id) for event in seen.events}
    assert {("api_key.rotated", old.id), ("api_key.issued", new.id)} <= told


def under(ports: Ports, pepper: bytes, pepper_id: int) -> Ports:
    return msgspec.structs.replace(
        ports, digest=lambda key: crypto.digest(key, pepper), pepper_id=pepper_id
    )


def digests(key: keys.IssuedKey, newest: bytes, *older: bytes) -> KeyDigests:
    return KeyDigests(
        crypto.digest(key.text, newest).hex(),
        tuple(crypto.digest(key.text, pepper).hex() for pepper in older),
    )


@pytest.mark.fault(86)
async def test_a_key_moves_to_the_newest_pepper_when_it_is_used(
    ports: Ports, project: Project
) -> None:
    key = await issue(under(ports, OLD, 1), project)
    renewed = under(ports, NEW, 2)

    asked = digests(key, NEW, OLD)
    answers = await asyncio.gather(*(key_contexts.resolve(renewed, [asked]) for _ in range(5)))

    assert {(context.digest, context.key_id) for [context] in answers} == {(asked.digest, key.id)}
    stored = await row(ports, key)
    assert (stored.digest.hex(), stored.pepper_id) == (asked.digest, 2)
    assert len(await key_contexts.resolve(renewed, [digests(key, NEW)])) == 1
    assert await key_contexts.resolve(renewed, [digests(key, OLD)]) == ()


@pytest.mark.fault(86)
async def test_while_peppers_change_every_gateway_finds_every_key_and_none_moves_back(
    ports: Ports, project: Project
) -> None:
    before, after = under(ports, OLD, 1), under(ports, NEW, 2)
    first = await issue(before, project)
    # Gateways get the new pepper as one of the older ones, and accounts uses it for new keys.
    second = await issue(after, project)

    for _ in range(2):
        asked = [digests(key, OLD, NEW) for key in (first, second)]
        found = await key_contexts.resolve(after, asked)
        assert {context.digest for context in found} == {key.digest for key in asked}
    assert [(await row(ports, key)).pepper_id for key in (first, second)] == [1, 2]

    # Then, one after the other, they take it for the newest.
    for newest, older in ((NEW, OLD), (OLD, NEW), (NEW, OLD)):
        asked = [digests(key, newest, older) for key in (first, second)]
        assert len(await key_contexts.resolve(after, asked)) == 2
    assert [(await row(ports, key)).pepper_id for key in (first, second)] == [2, 2]
