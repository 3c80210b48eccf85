"""API keys: issue, rotate, revoke, list. `key_contexts` tells gateways whose a key is."""

from datetime import datetime, timedelta

import msgspec

from libs.common.contracts.accounts import signing_secret_context
from libs.common.crypto import issue_api_key, issue_signing_secret
from libs.common.database import Transaction
from services.accounts.domain.audit import Actor, Change, Entry
from services.accounts.domain.errors import AlreadySent, ApiKeyEnded, NotVerified
from services.accounts.domain.forms import id_for
from services.accounts.domain.keys import (
    SHOWN_END,
    SHOWN_PREFIX,
    NewKey,
    Purpose,
    check_life,
    check_overlap,
)
from services.accounts.domain.letters import LetterKind
from services.accounts.domain.names import check_name
from services.accounts.models import ApiKey, Person, Project
from services.accounts.ports import Ports
from services.accounts.repositories.audit import AuditRepository
from services.accounts.repositories.keys import ApiKeyRepository
from services.accounts.repositories.mails import MailRepository
from services.accounts.repositories.people import PeopleRepository
from services.accounts.repositories.projects import ProjectRepository


class IssuedKey(msgspec.Struct, frozen=True):
    """A new key. `text` is the key itself: this is the only time it can be seen.

    So is `signing_secret`, which only a key for signed requests has.
    """

    id: str
    text: str
    signing_secret: str | None = None


async def issue(ports: Ports, wish: NewKey, *, actor: Actor) -> IssuedKey:
    """Make a key, and tell its owner by mail.

    Raises ProjectNotFound, InvalidName, InvalidExpiry, AlreadySent, and NotVerified for a live key
    of somebody whose address is not proven; accounts that the operator opened have nobody.
    """
    now = ports.clock.now()
    key, issued = _new_key(ports, wish, now)
    async with ports.db.transaction() as tx:
        project = await ProjectRepository(tx).hold(wish.project_id)
        owner = await PeopleRepository(tx).find_of(project.account_id)
        if key.mode == "live" and owner is not None and owner.verified_at is None:
            raise NotVerified("Verify your e-mail address first. Until then there are test keys.")
        if not await ApiKeyRepository(tx).add_once(key):
            raise AlreadySent(
                "This form was sent twice. The key was made and shown the first time: it is in the"
                " list. If you do not have it, revoke it and make another one."
            )
        _tell_owner(ports, tx, owner, key, project)
        entry = _entry(Change.API_KEY_ISSUED, key, project.account_id, actor)
        AuditRepository(tx).add(entry, at=now)
    return issued


async def rotate(ports: Ports, key_id: str, overlap: timedelta, *, actor: Actor) -> IssuedKey:
    """A new key like this one, which ends after `overlap`, or earlier if it was to end earlier.

    The new one lives as long as the old one was made for, and has a signing secret of its own.
    A key is rotated once.
    Raises ApiKeyNotFound, ApiKeyEnded, InvalidOverlap.
    """
    now, overlap = ports.clock.now(), check_overlap(overlap)
    async with ports.db.transaction() as tx:
        keys, audit = ApiKeyRepository(tx), AuditRepository(tx)
        found = await keys.get(key_id)
        # The project before its key, as in an erasure: so the two never wait for each other.
        project = await ProjectRepository(tx).hold(found.project_id)
        old = await keys.lock(key_id)
        _check_good(old, now)
        new, issued = _new_key(ports, _same_as(old), now)
        await keys.add(new)
        owner = await PeopleRepository(tx).find_of(project.account_id)
        _tell_owner(ports, tx, owner, new, project)
        old.rotated_at = now
        old.expires_at = min(old.expires_at or now + overlap, now + overlap)
        for what, key in ((Change.API_KEY_ROTATED, old), (Change.API_KEY_ISSUED, new)):
            audit.add(_entry(what, key, project.account_id, actor), at=now)
    return issued


async def revoke(ports: Ports, key_id: str, *, actor: Actor) -> ApiKey:
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


def _new_key(ports: Ports, wish: NewKey, now: datetime) -> tuple[ApiKey, IssuedKey]:
    """The row, and what is shown once."""
    life, text = check_life(wish.life), issue_api_key(wish.mode)
    is_signed = wish.purpose is Purpose.SIGNED
    issued = IssuedKey(id_for("key", wish.id), text, issue_signing_secret() if is_signed else None)
    key = ApiKey(
        id=issued.id,
        project_id=wish.project_id,
        name=check_name(wish.name),
        mode=wish.mode,
        purpose=wish.purpose,
        digest=ports.digest(text),
        pepper_id=ports.pepper_id,
        prefix=text[:SHOWN_PREFIX],
        last_four=text[-SHOWN_END:],
        is_drop_in=wish.purpose is Purpose.STOCK_SDK,
        needs_signature=is_signed,
        sealed_signing_secret=_sealed_secret(ports, wish.project_id, issued),
        created_at=now,
        expires_at=None if life is None else now + life,
    )
    return key, issued


def _tell_owner(
    ports: Ports, tx: Transaction, owner: Person | None, key: ApiKey, project: Project
) -> None:
    """Whoever made it: a key is what a thief would want to have."""
    if owner is None:
        return
    letter = ports.write(
        LetterKind.KEY_CREATED,
        name=owner.name,
        key_name=key.name,
        mode=key.mode,
        shown=f"{key.prefix}…{key.last_four}",
        project=project.name,
        base_url=ports.base_url,
    )
    MailRepository(tx).add(LetterKind.KEY_CREATED, letter, owner, at=key.created_at)


def _sealed_secret(ports: Ports, project_id: str, issued: IssuedKey) -> bytes | None:
    if issued.signing_secret is None:
        return None
    context = signing_secret_context(issued.id, project_id)
    return ports.data_plane_key.seal(issued.signing_secret.encode(), context)


def _check_good(key: ApiKey, now: datetime) -> None:
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        raise ApiKeyEnded("This API key has ended. Issue a new one.")
    if key.rotated_at is not None:
        raise ApiKeyEnded("This API key was rotated already. Rotate the one that took its place.")


def _same_as(key: ApiKey) -> NewKey:
    life = None if key.expires_at is None else key.expires_at - key.created_at
    return NewKey(
        project_id=key.project_id,
        mode=key.mode,
        name=key.name,
        purpose=Purpose(key.purpose),
        life=life,
    )


def _entry(what: Change, key: ApiKey, account_id: str, actor: Actor) -> Entry:
    return Entry(
        what=what,
        account_id=account_id,
        project_id=key.project_id,
        subject_id=key.id,
        actor=actor,
    )
