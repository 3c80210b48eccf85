"""A visit to one project: which, in which mode, among which others."""

from typing import Any

import msgspec
from litestar import Response

from libs.common.contracts.gateway import Mode
from services.accounts.domain.audit import Actor
from services.accounts.domain.errors import ProjectNotFound
from services.accounts.models import Project
from services.accounts.pages.visits import AnyRequest, Desk, Visit
from services.accounts.use_cases import projects


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """`projects`: all of the visitor's."""

    visit: Visit
    project: Project
    projects: list[Project]
    mode: Mode

    @property
    def path(self) -> str:
        """Where the project's pages are."""
        return f"/projects/{self.project.id}"

    @property
    def actor(self) -> Actor:
        """Who acts here."""
        return self.visit.actor

    def page(self, template: str, /, *, status: int = 200, **values: Any) -> Response[bytes]:
        """A page with the project's navigation."""
        given = {"project": self.project, "projects": self.projects, "mode": self.mode}
        return self.visit.page(template, status=status, **given, home=self.path, **values)

    def go(self, rest: str) -> Response[bytes]:
        """On to another page of the project."""
        return self.visit.go(self.path + rest)


async def enter(desk: Desk, request: AnyRequest, project_id: str) -> Place:
    """Into a project of one's own account. Raises LogInFirst, ProjectNotFound.

    The only way for a page to get at a project: what is somebody else's is not there.
    """
    visit = await desk.enter(request)
    owned = await projects.list_of(visit.ports, visit.person.account_id)
    for project in owned:
        if project.id == project_id:
            mode: Mode = "test" if request.query_params.get("mode") == "test" else "live"
            return Place(visit=visit, project=project, projects=owned, mode=mode)
    raise ProjectNotFound("There is no such project in your account.")
