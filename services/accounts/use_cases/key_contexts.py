"""Tell gateways whose a key is: the question that every gateway asks every few seconds."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from libs.common.contracts.accounts import MAX_DIGESTS, KeyContext, KeyDigests
from services.accounts.domain.keys import parse_digests
from services.accounts.domain.plans import ProjectLimits, effective
from services.accounts.models import ApiKey
from services.accounts.ports import Ports
from services.accounts.repositories.keys import ApiKeyRepository, HeldKey, Renewal
from services.accounts.use_cases import data_keys
from services.accounts.use_cases.accounts import plan_of

USE_NOTED_EVERY: Final = timedelta(minutes=1)


async def resolve(ports: Ports, keys: Sequence[KeyDigests]) -> tuple[KeyContext, ...]:
    """Contexts of the keys that are good now; others are absent. Raises InvalidDigests."""
    asked, now = parse_digests(keys, MAX_DIGESTS), ports.clock.now()
    newest = {digest: key.newest for key in asked for digest in (key.newest, *key.older)}
    async with ports.db.transaction() as tx:
        repository = ApiKeyRepository(tx)
        held = await repository.resolve(list(newest), now=now)
        unnoted = [one.key.id for one in held if _is_unnoted(one.key, now)]
        if unnoted:
            await repository.mark_used(unnoted, now=now)
    await _renew_digests(ports, held, newest)
    contexts = [_context(one, newest[one.key.digest]) for one in await _with_data_keys(ports, held)]
    return tuple(contexts)


async def _renew_digests(
    ports: Ports, held: Sequence[HeldKey], newest: Mapping[bytes, bytes]
) -> None:
    """Move keys to our pepper when they are used.

    One that is under our pepper already stays, whoever asks: while a pepper is being replaced, some
    gateways still hold the old one for the newest, and would move it back.
    """
    renewals = [
        Renewal(one.key.id, one.key.digest, newest[one.key.digest])
        for one in held
        if one.key.digest != newest[one.key.digest] and one.key.pepper_id != ports.pepper_id
    ]
    if renewals:
        async with ports.db.transaction() as tx:
            await ApiKeyRepository(tx).renew_digests(renewals, pepper_id=ports.pepper_id)


async def _with_data_keys(ports: Ports, held: Sequence[HeldKey]) -> list[HeldKey]:
    """All have a data key, made now where there never was one; without its project's, no key is."""
    made: dict[str, bytes | None] = {}
    for one in held:
        is_new = one.sealed_data_key is None and one.project.data_key_made_at is None
        if is_new and one.project.id not in made:
            made[one.project.id] = await data_keys.find_or_make(ports, one.project.id)
    completed = (
        one._replace(sealed_data_key=one.sealed_data_key or made.get(one.project.id))
        for one in held
    )
    return [one for one in completed if one.sealed_data_key is not None]


def _is_unnoted(key: ApiKey, now: datetime) -> bool:
    return key.last_used_at is None or key.last_used_at <= now - USE_NOTED_EVERY


def _context(held: HeldKey, digest: bytes) -> KeyContext:
    key, project, account = held.key, held.project, held.account
    allowed = effective(
        plan_of(account),
        ProjectLimits(
            requests_per_minute=project.requests_per_minute,
            running=project.running,
            retention_seconds=project.retention_seconds,
            metadata_seconds=project.metadata_seconds,
        ),
    )
    return KeyContext(
        digest=digest.hex(),
        key_id=key.id,
        project_id=project.id,
        account_id=account.id,
        mode=key.mode,
        is_suspended=account.is_suspended or account.leaves_at is not None,
        is_drop_in=key.is_drop_in,
        needs_signature=key.needs_signature,
        sealed_signing_secret=key.sealed_signing_secret,
        sealed_data_key=held.sealed_data_key or b"",
        connection_id=held.connection_id,
        on_unknown_outcome=project.on_unknown_outcome,
        retention_seconds=int(allowed.retention.total_seconds()),
        limits=allowed.limits,
        allowed_addresses=tuple(project.allowed_addresses),
        metadata_retention_seconds=int(allowed.metadata.total_seconds()),
        anchor_day=account.anchor_day,
    )


def of_person(held: HeldKey) -> KeyContext:
    """What a gateway needs to act on a project for somebody who is logged in.

    `held.key` is no key of ours and is stored nowhere: its id is the person's.
    """
    return _context(held, b"")
