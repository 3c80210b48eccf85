"""API keys in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.domain.errors import ApiKeyNotFound
from services.accounts.models import Account, ApiKey, Project, ProviderConnection, SealedDataKey


class HeldKey(NamedTuple):
    """A key that is good now, with all that it leads to. `sealed_data_key`: None where none is."""

    key: ApiKey
    project: Project
    account: Account
    connection_id: str | None
    sealed_data_key: bytes | None


class Renewal(NamedTuple):
    """A key that was found by its digest under an older pepper: what is stored in its place."""

    key_id: str
    old: bytes
    new: bytes


class ApiKeyRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def add(self, key: ApiKey) -> None:
        """Insert it."""
        self._tx.add(key)
        await self._tx.flush()

    async def add_once(self, key: ApiKey) -> bool:
        """Insert it, unless there is one with its id. Whether it was added."""
        values = {column.name: getattr(key, column.name) for column in ApiKey.__table__.columns}
        added = insert(ApiKey).values(values).on_conflict_do_nothing(index_elements=[ApiKey.id])
        return (await self._tx.scalars(added.returning(ApiKey.id))).first() is not None

    async def get(self, key_id: str) -> ApiKey:
        """The key. Raises ApiKeyNotFound."""
        return _found(await self._tx.get(ApiKey, key_id))

    async def lock(self, key_id: str) -> ApiKey:
        """The key, nobody else's to change until the end. Raises ApiKeyNotFound."""
        return _found(
            await self._tx.get(ApiKey, key_id, with_for_update=True, populate_existing=True)
        )

    async def list_of(self, project_id: str) -> list[ApiKey]:
        """The project's keys, oldest first, revoked ones included."""
        query = select(ApiKey).where(ApiKey.project_id == project_id).order_by(ApiKey.id)
        return list(await self._tx.scalars(query))

    async def resolve(self, digests: Sequence[bytes], *, now: datetime) -> list[HeldKey]:
        """The keys behind `digests` that are neither revoked nor expired, in one statement.

        Gateways ask this for every key in use, every few seconds.
        """
        is_good = and_(
            ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)
        )
        query = (
            select(ApiKey, Project, Account, ProviderConnection.id, SealedDataKey.sealed_key)
            .join(Project, Project.id == ApiKey.project_id)
            .join(Account, Account.id == Project.account_id)
            .outerjoin(ProviderConnection, ProviderConnection.project_id == Project.id)
            .outerjoin(SealedDataKey, SealedDataKey.project_id == Project.id)
            .where(ApiKey.digest.in_(digests), is_good)
        )
        return [HeldKey(*row) for row in (await self._tx.execute(query)).all()]

    async def mark_used(self, key_ids: Sequence[str], *, now: datetime) -> None:
        """Note that they are in use. Keys that somebody changes just now are left out."""
        free = select(ApiKey.id).where(ApiKey.id.in_(key_ids)).with_for_update(skip_locked=True)
        await self._tx.execute(
            update(ApiKey)
            .where(ApiKey.id.in_(free))
            .values(last_used_at=now)
            .execution_options(synchronize_session=False)
        )

    async def renew_digests(self, renewals: Sequence[Renewal], *, pepper_id: int) -> None:
        """Store them under the newest pepper; what somebody else has changed stays as it is."""
        for renewal in sorted(renewals):
            await self._tx.execute(
                update(ApiKey)
                .where(ApiKey.id == renewal.key_id, ApiKey.digest == renewal.old)
                .values(digest=renewal.new, pepper_id=pepper_id)
                .execution_options(synchronize_session=False)
            )

    async def revoke_all(self, project_id: str, *, at: datetime) -> None:
        """End every key of the project that has not ended yet."""
        await self._tx.execute(
            update(ApiKey)
            .where(ApiKey.project_id == project_id, ApiKey.revoked_at.is_(None))
            .values(revoked_at=at)
            .execution_options(synchronize_session=False)
        )


def _found(key: ApiKey | None) -> ApiKey:
    if key is None:
        raise ApiKeyNotFound("There is no API key with this id.")
    return key
