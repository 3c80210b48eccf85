"""Data keys in the database: made once for a project, and destroyed with it."""

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.accounts.models import Project, SealedDataKey


class DataKeyRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def claim(self, project_id: str, *, at: datetime) -> bool:
        """Whether the project's first data key is ours to add now; else it has or had one.

        Who marks the project first adds the key; everybody else waits for that transaction.
        """
        query = (
            update(Project)
            .where(
                Project.id == project_id,
                Project.data_key_made_at.is_(None),
                Project.deleted_at.is_(None),
            )
            .values(data_key_made_at=at)
            .returning(Project.id)
            .execution_options(synchronize_session=False)
        )
        return (await self._tx.scalars(query)).first() is not None

    async def add(self, key: SealedDataKey) -> None:
        """Insert it; the project was claimed before."""
        self._tx.add(key)
        await self._tx.flush()

    async def find(self, project_id: str) -> bytes | None:
        """The project's key, sealed."""
        query = select(SealedDataKey.sealed_key).where(SealedDataKey.project_id == project_id)
        return (await self._tx.scalars(query)).first()

    async def destroy(self, project_id: str) -> None:
        """From here on nothing of the project opens any more."""
        await self._tx.execute(delete(SealedDataKey).where(SealedDataKey.project_id == project_id))
