"""Projects in the database."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.ids import is_id
from services.accounts.domain.errors import ProjectNotFound
from services.accounts.models import Project


class ProjectRepository:
    """Within one transaction."""

    def __init__(self, tx: AsyncSession) -> None:
        """Work in `tx`."""
        self._tx = tx

    async def add(self, project: Project) -> None:
        """Insert it now, so that what refers to it may follow."""
        self._tx.add(project)
        await self._tx.flush()

    async def get(self, project_id: str) -> Project:
        """The project. Raises ProjectNotFound."""
        # What is no id at all may hold bytes that PostgreSQL takes for no text.
        found = await self._tx.get(Project, project_id) if is_id("prj", project_id) else None
        if found is None:
            raise ProjectNotFound("There is no project with this id.")
        return found

    async def find_by_name(self, account_id: str, name: str) -> Project | None:
        """The account's oldest project of that name."""
        query = (
            select(Project)
            .where(Project.account_id == account_id, Project.name == name)
            .order_by(Project.id)
            .limit(1)
        )
        return (await self._tx.scalars(query)).first()

    async def list_of(self, account_id: str) -> list[Project]:
        """The account's projects, oldest first."""
        query = select(Project).where(Project.account_id == account_id).order_by(Project.id)
        return list(await self._tx.scalars(query))
