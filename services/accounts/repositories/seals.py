"""Sealed values of every kind, for who moves them to another key."""

from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.crypto import KEY_ID_BYTES
from services.accounts.models import ApiKey, ProviderConnection, SealedDataKey


class SealKind(StrEnum):
    """What is sealed."""

    SIGNING_SECRETS = "signing_secrets"
    DATA_KEYS = "data_keys"
    PROVIDER_KEYS = "provider_keys"


class SealRow(NamedTuple):
    """One sealed value, and what its context is made of."""

    id: str
    project_id: str
    sealed: bytes


class _Place(NamedTuple):
    """Where values of a kind are: a model, and three columns of it."""

    model: Any
    id: Any
    project_id: Any
    sealed: Any


_PLACES: Final = {
    SealKind.SIGNING_SECRETS: _Place(
        ApiKey, ApiKey.id, ApiKey.project_id, ApiKey.sealed_signing_secret
    ),
    SealKind.DATA_KEYS: _Place(
        SealedDataKey,
        SealedDataKey.project_id,
        SealedDataKey.project_id,
        SealedDataKey.sealed_key,
    ),
    SealKind.PROVIDER_KEYS: _Place(
        ProviderConnection,
        ProviderConnection.id,
        ProviderConnection.project_id,
        ProviderConnection.sealed_key,
    ),
}


class SealRepository:
    """Within one transaction, for one kind."""

    def __init__(self, tx: AsyncSession, kind: SealKind) -> None:
        """Work in `tx`."""
        self._tx, self._place = tx, _PLACES[kind]

    async def lock_older(self, newest: bytes, *, after: str, limit: int) -> list[SealRow]:
        """Values under any key but `newest` (its id), in order of their row's id."""
        _, row_id, project_id, sealed = self._place
        query = (
            select(row_id.label("row_id"), project_id.label("project"), sealed.label("seal"))
            .where(row_id > after, func.substr(sealed, 1, KEY_ID_BYTES) != newest)
            .order_by(row_id)
            .limit(limit)
            .with_for_update()
        )
        return [SealRow(*row) for row in (await self._tx.execute(query)).all()]

    async def replace(self, row_id: str, sealed: bytes) -> None:
        """Of a row that is locked."""
        place = self._place
        await self._tx.execute(
            update(place.model)
            .where(place.id == row_id)
            .values({place.sealed: sealed})
            .execution_options(synchronize_session=False)
        )
