"""Re-sealing: move what is sealed under an older key to the newest one, row by row.

It runs where the private keys are, on an operator's machine; the service itself can seal and never
open. Each batch is a transaction of its own, and each row opens at every moment, under the old key
or the new one: so it may be stopped anywhere, and run again.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from libs.common.contracts.accounts import (
    data_key_context,
    provider_key_context,
    signing_secret_context,
)
from libs.common.crash_points import crash_point
from libs.common.crypto import PublicSealingKey, SealBroken, SealingKey, SealingKeyring
from libs.common.settings import Secret
from services.accounts.domain.errors import InvalidSealingKeys
from services.accounts.ports import Ports
from services.accounts.repositories.seals import SealKind, SealRepository, SealRow

BATCH: Final = 100

CONTEXTS: Final[dict[SealKind, Callable[[str, str], str]]] = {
    SealKind.SIGNING_SECRETS: signing_secret_context,
    SealKind.DATA_KEYS: lambda _, project_id: data_key_context(project_id),
    SealKind.PROVIDER_KEYS: provider_key_context,
}


class PrivateKeys(msgspec.Struct, frozen=True):
    """Comma separated, newest first, as gateways and executors have them."""

    data_plane: Secret
    executor: Secret


class Resealed(msgspec.Struct, frozen=True):
    """What was done to one kind. `broken`: rows that none of the keys opens, left as they are."""

    kind: str
    resealed: int
    broken: int


class _Work(msgspec.Struct, frozen=True):
    kind: SealKind
    keyring: SealingKeyring
    newest: PublicSealingKey


async def reseal(
    ports: Ports, private: PrivateKeys, progress: Callable[[Resealed], None]
) -> list[Resealed]:
    """All kinds, one after the other; `progress` hears of each batch. Raises InvalidSealingKeys."""
    data_plane = _keyring(private.data_plane, ports.data_plane_key)
    executor = _keyring(private.executor, ports.executor_key)
    works = (
        _Work(SealKind.SIGNING_SECRETS, data_plane, ports.data_plane_key),
        _Work(SealKind.DATA_KEYS, data_plane, ports.data_plane_key),
        _Work(SealKind.PROVIDER_KEYS, executor, ports.executor_key),
    )
    return [await _reseal_kind(ports, work, progress) for work in works]


async def _reseal_kind(ports: Ports, work: _Work, progress: Callable[[Resealed], None]) -> Resealed:
    done, after = Resealed(work.kind, 0, 0), ""
    while True:
        async with ports.db.transaction() as tx:
            seals = SealRepository(tx, work.kind)
            rows = await seals.lock_older(work.newest.key_id, after=after, limit=BATCH)
            fresh = _resealed(work, rows)
            for row_id, sealed in fresh.items():
                await seals.replace(row_id, sealed)
            crash_point("reseal.before_commit")
        if not rows:
            return done
        broken = len(rows) - len(fresh)
        done = Resealed(done.kind, done.resealed + len(fresh), done.broken + broken)
        after = rows[-1].id
        crash_point("reseal.after_commit")
        progress(done)


def _resealed(work: _Work, rows: Sequence[SealRow]) -> dict[str, bytes]:
    """New seals by row; rows that do not open are left out."""
    fresh: dict[str, bytes] = {}
    for row in rows:
        context = CONTEXTS[work.kind](row.id, row.project_id)
        try:
            fresh[row.id] = work.newest.seal(work.keyring.open(row.sealed, context), context)
        except SealBroken:
            continue
    return fresh


def _keyring(private: Secret, public: PublicSealingKey) -> SealingKeyring:
    """Raises InvalidSealingKeys unless the newest is the other half of what accounts seals with."""
    try:
        keys = [SealingKey.from_text(text.strip()) for text in private.reveal().split(",")]
    except ValueError:
        raise InvalidSealingKeys(
            "Private keys are read from REQRUN_DATA_PLANE_KEYS and REQRUN_SEALING_KEYS."
        ) from None
    if keys[0].public.key_id != public.key_id:
        raise InvalidSealingKeys(
            "The newest private key is not the other half of the public one that accounts seals"
            " with. Give accounts the new public key first."
        )
    return SealingKeyring(keys)
