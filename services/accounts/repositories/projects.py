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
        """The project, erased or not. Raises ProjectNotFound."""
        return await self._find(project_id, lock=False)

    async def hold(self, project_id: str) -> Project:
        """A project that is not erased and will not be until the end. Raises ProjectNotFound.

        For what adds something to a project: nothing may be added behind the back of an erasure.
        """
        return _unless_deleted(await self._find(project_id, lock={"read": True}))

    async def lock(self, project_id: str, *, is_deleted_good: bool = False) -> Project:
        """The project, nobody else's to change until the end. Raises ProjectNotFound."""
        found = await self._find(project_id, lock=True)
        return found if is_deleted_good else _unless_deleted(found)

    async def _find(self, project_id: str, *, lock: bool | dict[str, bool]) -> Project:
        # What is no id at all may hold bytes that PostgreSQL takes for no text.
        is_one = is_id("prj", project_id)
        found = (
            await self._tx.get(
                Project, project_id, with_for_update=lock or None, populate_existing=bool(lock)
            )
            if is_one
            else None
        )
        if found is None:
            raise ProjectNotFound("There is no project with this id.")
        return found

    async def find_by_name(self, account_id: str, name: str) -> Project | None:
        """The account's oldest project of that name that is not erased."""
        query = (
            select(Project)
            .where(
                Project.account_id == account_id,
                Project.name == name,
                Project.deleted_at.is_(None),
            )
            .order_by(Project.id)
            .limit(1)
        )
        return (await self._tx.scalars(query)).first()

    async def is_known(self, project_id: str) -> bool:
        """Whether there is, or was, a project with this id."""
        return await self._tx.get(Project, project_id) is not None

    async def list_of(self, account_id: str) -> list[Project]:
        """The account's projects, oldest first."""
        query = select(Project).where(Project.account_id == account_id).order_by(Project.id)
        return list(await self._tx.scalars(query))

    async def list_living(self, account_id: str) -> list[Project]:
        """Those that are not erased, oldest first."""
        return [one for one in await self.list_of(account_id) if one.deleted_at is None]


def _unless_deleted(project: Project) -> Project:
    if project.deleted_at is not None:
        raise ProjectNotFound("This project was erased.")
    return project
