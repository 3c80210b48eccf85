"""API keys: issue, revoke, list, and tell gateways whose a key is."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from libs.common.contracts.accounts import MAX_DIGESTS, KeyContext, Limits
from libs.common.crypto import issue_api_key
from libs.common.ids import new_id
from services.accounts.domain.audit import Change, Entry
from services.accounts.domain.keys import (
    SHOWN_END,
    SHOWN_PREFIX,
    NewKey,
    Purpose,
    check_life,
    parse_digests,
)
from services.accounts.domain.names import check_name
from services.accounts.domain.plans import Plan, ProjectLimits, effective
from services.accounts.models import Account, ApiKey
from services.accounts.ports import Ports
from services.accounts.repositories.audit import AuditRepository
from services.accounts.repositories.keys import ApiKeyRepository, HeldKey
from services.accounts.repositories.projects import ProjectRepository

USE_NOTED_EVERY: Final = timedelta(minutes=1)


class IssuedKey(msgspec.Struct, frozen=True):
    """A new key. `text` is the key itself: this is the only time it can be seen."""

    id: str
    text: str


async def issue(ports: Ports, wish: NewKey, *, actor: str) -> IssuedKey:
    """Make a key. Raises ProjectNotFound, InvalidName, InvalidExpiry."""
    now, text = ports.clock.now(), issue_api_key(wish.mode)
    key = _new_key(ports, wish, text, now)
    async with ports.db.transaction() as tx:
        project = await ProjectRepository(tx).get(wish.project_id)
        await ApiKeyRepository(tx).add(key)
        entry = _entry(Change.API_KEY_ISSUED, key, project.account_id, actor)
        AuditRepository(tx).add(entry, at=now)
    return IssuedKey(key.id, text)


async def revoke(ports: Ports, key_id: str, *, actor: str) -> ApiKey:
    """End a key; one that is revoked already stays as it is. Raises ApiKeyNotFound.

    Gateways hear of it at their next question, a few seconds from now.
    """
    now = ports.clock.now()
    async with ports.db.transaction() as tx:
        key = await ApiKeyRepository(tx).lock(key_id)
        if key.revoked_at is None:
            key.revoked_at = now
            project = await ProjectRepository(tx).get(key.project_id)
            entry = _entry(Change.API_KEY_REVOKED, key, project.account_id, actor)
            AuditRepository(tx).add(entry, at=now)
    return key


async def list_of(ports: Ports, project_id: str) -> list[ApiKey]:
    """The project's keys, oldest first, revoked ones included. Raises ProjectNotFound."""
    async with ports.db.transaction() as tx:
        await ProjectRepository(tx).get(project_id)
        return await ApiKeyRepository(tx).list_of(project_id)


async def resolve(ports: Ports, digests: tuple[str, ...]) -> tuple[KeyContext, ...]:
    """Contexts of the keys that are good now; others are absent. Raises InvalidDigests."""
    wanted, now = parse_digests(digests, MAX_DIGESTS), ports.clock.now()
    async with ports.db.transaction() as tx:
        keys = ApiKeyRepository(tx)
        held = await keys.resolve(wanted, now=now)
        unnoted = [one.key.id for one in held if _is_unnoted(one.key, now)]
        if unnoted:
            await keys.mark_used(unnoted, now=now)
    return tuple(_context(one) for one in held)


def _new_key(ports: Ports, wish: NewKey, text: str, now: datetime) -> ApiKey:
    life = check_life(wish.life)
    return ApiKey(
        id=new_id("key"),
        project_id=wish.project_id,
        name=check_name(wish.name),
        mode=wish.mode,
        purpose=wish.purpose,
        digest=ports.digest(text),
        pepper_id=ports.pepper_id,
        prefix=text[:SHOWN_PREFIX],
        last_four=text[-SHOWN_END:],
        is_drop_in=wish.purpose is Purpose.STOCK_SDK,
        needs_signature=False,
        created_at=now,
        expires_at=None if life is None else now + life,
    )


def _entry(what: Change, key: ApiKey, account_id: str, actor: str) -> Entry:
    return Entry(
        what=what,
        account_id=account_id,
        project_id=key.project_id,
        subject_id=key.id,
        actor=actor,
    )


def _is_unnoted(key: ApiKey, now: datetime) -> bool:
    return key.last_used_at is None or key.last_used_at <= now - USE_NOTED_EVERY


def _context(held: HeldKey) -> KeyContext:
    key, project, account = held.key, held.project, held.account
    allowed = effective(
        _plan_of(account),
        ProjectLimits(
            requests_per_minute=project.requests_per_minute,
            running=project.running,
            retention_seconds=project.retention_seconds,
        ),
    )
    return KeyContext(
        digest=key.digest.hex(),
        key_id=key.id,
        project_id=project.id,
        account_id=account.id,
        mode=key.mode,
        is_suspended=account.is_suspended,
        is_drop_in=key.is_drop_in,
        needs_signature=key.needs_signature,
        sealed_signing_secret=key.sealed_signing_secret,
        sealed_data_key=None,
        connection_id=held.connection_id,
        on_unknown_outcome=project.on_unknown_outcome,
        retention_seconds=int(allowed.retention.total_seconds()),
        limits=allowed.limits,
    )


def _plan_of(account: Account) -> Plan:
    limits = Limits(
        requests_per_minute=account.requests_per_minute,
        pending=account.pending,
        requests_per_month=account.requests_per_month,
        running=account.running,
        body_bytes=account.body_bytes,
    )
    return Plan(limits, timedelta(seconds=account.retention_seconds))
