"""Provider connections in the database."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.models import ProviderConnection


class ConnectionRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def put(self, connection: ProviderConnection) -> None:
        """Make it the project's one connection, in the place of any before it."""
        values = {
            "id": connection.id,
            "base_url": connection.base_url,
            "sealed_key": connection.sealed_key,
            "key_hint": connection.key_hint,
            "updated_at": connection.updated_at,
        }
        await self._tx.execute(
            insert(ProviderConnection)
            .values(project_id=connection.project_id, created_at=connection.created_at, **values)
            .on_conflict_do_update(index_elements=[ProviderConnection.project_id], set_=values)
        )

    async def find(self, project_id: str) -> ProviderConnection | None:
        """The project's connection."""
        query = select(ProviderConnection).where(ProviderConnection.project_id == project_id)
        return (await self._tx.scalars(query)).first()

    async def remove(self, project_id: str) -> None:
        """The project has no provider any more, and we have no key of it."""
        await self._tx.execute(
            delete(ProviderConnection).where(ProviderConnection.project_id == project_id)
        )
