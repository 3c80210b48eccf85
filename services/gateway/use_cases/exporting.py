"""Export: a project's requests whole, a page at a time, for whoever takes their data along."""

import msgspec

from libs.ledger.export import Exported
from libs.ledger.list_requests import ListQuestion
from services.gateway.domain.errors import ContentUnreadable
from services.gateway.ports import Ports
from services.gateway.use_cases.callers import Caller
from services.gateway.use_cases.overseeing import Content, open_bodies


class Taken(msgspec.Struct, frozen=True):
    """A request, and its content in plain; None where it does not open, or was not to."""

    exported: Exported
    content: Content | None


async def export_page(
    ports: Ports, asked: ListQuestion, caller: Caller | None
) -> tuple[list[Taken], bool]:
    """A page, newest first, and whether there is another after it. Raises Unavailable.

    Without a caller nothing is opened. What does not open costs nobody the rest.
    """
    page = await ports.ledger.export_page(asked, has_content=caller is not None)
    return [Taken(one, _content(caller, one)) for one in page.requests], page.has_more


def _content(caller: Caller | None, one: Exported) -> Content | None:
    if caller is None:
        return None
    is_erased = one.listed.erased_at is not None
    try:
        return open_bodies(caller, one.listed.id, one.bodies, is_erased=is_erased)
    except ContentUnreadable:
        return None
