"""Pages for everybody: what we promise, and who to write to."""

from datetime import date, timedelta
from typing import Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from services.accounts.pages import rendering
from services.accounts.pages.visits import AnyRequest, Desk

_SECURITY_TXT_LIFE: Final = timedelta(days=180)
"""RFC 9116, 2.5.5: less than a year."""
_PAGES: Final = {
    "/privacy": "privacy.html",
    "/terms": "terms.html",
    "/sub-processors": "helpers.html",
}


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """Nothing here needs a log-in."""
    return [*(_page(desk, path, template) for path, template in _PAGES.items()), _contact(desk)]


def _page(desk: Desk, path: str, template: str) -> HTTPRouteHandler:
    @get(path, name=template)
    async def show(request: AnyRequest) -> Response[bytes]:
        version = desk.ports.terms_version
        visit = await desk.visit(request)
        return visit.page(template, terms_version=version, in_force_on=in_force_on(version))

    return show


def in_force_on(version: str) -> str | None:
    """The day in words; a version that is named by no day says none."""
    try:
        return f"{date.fromisoformat(version):%d %B %Y}"
    except ValueError:
        return None


def _contact(desk: Desk) -> HTTPRouteHandler:
    """RFC 9116, whose lines are these four."""

    @get("/.well-known/security.txt", sync_to_thread=False)
    def show() -> Response[str]:
        ends_at = desk.ports.clock.now() + _SECURITY_TXT_LIFE
        lines = [
            f"Contact: mailto:{desk.contacts.security}",
            f"Expires: {ends_at:%Y-%m-%dT%H:%M:%SZ}",
            "Preferred-Languages: en",
            f"Canonical: {desk.ports.base_url}/.well-known/security.txt",
        ]
        return Response(
            "\n".join([*lines, ""]),
            media_type="text/plain",
            headers=rendering.headers(is_secure=desk.is_secure),
        )

    return show
