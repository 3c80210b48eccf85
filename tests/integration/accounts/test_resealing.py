"""Sealing keys are replaced: everything opens at each moment, however often it is broken off."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
import pytest

from libs.common.contracts.accounts import (
    data_key_context,
    provider_key_context,
    signing_secret_context,
)
from libs.common.contracts.plans import PlanName
from libs.common.crypto import KEY_ID_BYTES, SealingKey, SealingKeyring
from libs.common.settings import Secret
from services.accounts.domain.audit import OPERATOR
from services.accounts.domain.errors import InvalidSealingKeys
from services.accounts.domain.keys import NewKey, Purpose
from services.accounts.ports import Ports
from services.accounts.repositories.seals import SealKind, SealRepository
from services.accounts.use_cases import accounts, connections, keys, projects, resealing
from services.accounts.use_cases.connections import NewConnection
from services.accounts.use_cases.resealing import PrivateKeys, Resealed

PROJECTS = 7
CONTEXTS: dict[SealKind, Callable[[str, str], str]] = {
    SealKind.SIGNING_SECRETS: signing_secret_context,
    SealKind.DATA_KEYS: lambda _, project_id: data_key_context(project_id),
    SealKind.PROVIDER_KEYS: provider_key_context,
}


class Keys(NamedTuple):
    """Old and new, of both kinds."""

    data_plane: tuple[SealingKey, SealingKey]
    executor: tuple[SealingKey, SealingKey]

    def ring(self, kind: SealKind) -> SealingKeyring:
        is_executor = kind is SealKind.PROVIDER_KEYS
        return SealingKeyring(self.executor if is_executor else self.data_plane)

    @property
    def private(self) -> PrivateKeys:
        texts = [
            ",".join(key.to_text() for key in reversed(pair))
            for pair in (self.data_plane, self.executor)
        ]
        return PrivateKeys(*map(Secret, texts))


@pytest.fixture
def both(data_plane_key: SealingKey, executor_sealing_key: SealingKey) -> Keys:
    return Keys(
        (data_plane_key, SealingKey.generate()), (executor_sealing_key, SealingKey.generate())
    )


@pytest.fixture
async def plain(ports: Ports, both: Keys) -> dict[tuple[SealKind, str], bytes]:
    """Projects with one of everything, sealed under the old keys; what each value opens to."""
    account = await accounts.create(ports, "Acme", PlanName.OPERATOR, actor=OPERATOR)
    for number in range(PROJECTS):
        project = await projects.create(ports, account.id, "Chat", actor=OPERATOR)
        wish = NewKey(project_id=project.id, mode="test", name="k", purpose=Purpose.SIGNED)
        await keys.issue(ports, wish, actor=OPERATOR)
        provider = NewConnection(
            project_id=project.id, base_url="https://example.com", key=Secret(f"sk-{number}")
        )
        await connections.put(ports, provider, actor=OPERATOR)
    return await opened(ports, both)


@pytest.fixture
def renewed(ports: Ports, both: Keys) -> Ports:
    """Accounts with the new public keys."""
    return msgspec.structs.replace(
        ports, data_plane_key=both.data_plane[1].public, executor_key=both.executor[1].public
    )


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(resealing, "BATCH", 2)
    return iter(())


async def opened(ports: Ports, both: Keys) -> dict[tuple[SealKind, str], bytes]:
    """Everything that is sealed, opened by whichever key it needs."""
    found = {}
    async with ports.db.transaction() as tx:
        for kind in SealKind:
            rows = await SealRepository(tx, kind).lock_older(b"", after="", limit=1_000)
            for row in rows:
                context = CONTEXTS[kind](row.id, row.project_id)
                found[kind, row.id] = both.ring(kind).open(row.sealed, context)
    return found


async def key_ids(ports: Ports, kind: SealKind) -> set[bytes]:
    async with ports.db.transaction() as tx:
        rows = await SealRepository(tx, kind).lock_older(b"", after="", limit=1_000)
    return {row.sealed[:KEY_ID_BYTES] for row in rows}


def ignore(_: Resealed) -> None:
    """Nobody watches."""


async def test_everything_moves_to_the_newest_keys_and_opens_to_the_same(
    renewed: Ports, both: Keys, plain: dict[tuple[SealKind, str], bytes]
) -> None:
    seen: list[Resealed] = []

    done = await resealing.reseal(renewed, both.private, seen.append)

    assert len(plain) == 3 * PROJECTS
    assert [(one.resealed, one.broken) for one in done] == [(PROJECTS, 0)] * 3
    assert len(seen) == 3 * 4
    assert await opened(renewed, both) == plain
    assert await key_ids(renewed, SealKind.DATA_KEYS) == {both.data_plane[1].public.key_id}
    assert await key_ids(renewed, SealKind.SIGNING_SECRETS) == {both.data_plane[1].public.key_id}
    assert await key_ids(renewed, SealKind.PROVIDER_KEYS) == {both.executor[1].public.key_id}
    again = await resealing.reseal(renewed, both.private, ignore)
    assert [one.resealed for one in again] == [0, 0, 0]


@pytest.mark.fault(83)
@pytest.mark.parametrize("batches", range(1, 12))
async def test_broken_off_anywhere_every_value_opens_and_a_second_run_finishes(
    renewed: Ports, both: Keys, plain: dict[tuple[SealKind, str], bytes], batches: int
) -> None:
    left = batches

    def fail(_: Resealed) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await resealing.reseal(renewed, both.private, fail)

    assert await opened(renewed, both) == plain
    done = await resealing.reseal(renewed, both.private, ignore)
    assert 0 < sum(one.resealed for one in done) < 3 * PROJECTS
    assert await opened(renewed, both) == plain
    again = await resealing.reseal(renewed, both.private, ignore)
    assert sum(one.resealed for one in again) == 0


async def test_a_batch_that_fails_half_way_changes_nothing(
    renewed: Ports,
    both: Keys,
    plain: dict[tuple[SealKind, str], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace, calls = SealRepository.replace, 0

    async def fails(self: SealRepository, row_id: str, sealed: bytes) -> None:
        nonlocal calls
        calls += 1
        await replace(self, row_id, sealed)
        if calls == 4:
            raise ConnectionResetError

    monkeypatch.setattr(SealRepository, "replace", fails)
    with pytest.raises(Exception, match="database does not answer"):
        await resealing.reseal(renewed, both.private, ignore)
    monkeypatch.undo()
    monkeypatch.setattr(resealing, "BATCH", 2)

    assert await opened(renewed, both) == plain
    done = await resealing.reseal(renewed, both.private, ignore)
    assert [one.resealed for one in done] == [PROJECTS - 2, PROJECTS, PROJECTS]


async def test_a_value_that_no_key_opens_is_counted_and_left(
    renewed: Ports, both: Keys, plain: dict[tuple[SealKind, str], bytes]
) -> None:
    async with renewed.db.transaction() as tx:
        seals = SealRepository(tx, SealKind.PROVIDER_KEYS)
        [row] = await seals.lock_older(b"", after="", limit=1)
        await seals.replace(row.id, b"lost" + row.sealed[KEY_ID_BYTES:])

    done = await resealing.reseal(renewed, both.private, ignore)

    assert [(one.resealed, one.broken) for one in done] == [
        (PROJECTS, 0),
        (PROJECTS, 0),
        (PROJECTS - 1, 1),
    ]
    assert plain


async def test_private_keys_that_do_not_fit_are_refused_and_not_quoted(
    ports: Ports, both: Keys
) -> None:
    for private in (both.private, PrivateKeys(Secret(""), Secret("hunter2"))):
        with pytest.raises(InvalidSealingKeys) as refused:
            await resealing.reseal(ports, private, ignore)
        assert "hunter2" not in str(refused.value)
