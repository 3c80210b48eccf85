"""Answers that a browser saves as a file, made while they are read."""

from collections.abc import AsyncIterator
from typing import Any

from litestar import Response
from litestar.response import Stream

from services.accounts.pages import rendering
from services.accounts.pages.visits import Visit


def attachment(
    visit: Visit, name: str, media_type: str, chunks: AsyncIterator[bytes]
) -> Response[Any]:
    """`name`: of the file, made up by us. Nobody keeps a copy on the way (no-store)."""
    more = {
        **rendering.headers(is_secure=visit.desk.is_secure),
        "content-disposition": f'attachment; filename="{name}"',
    }
    return Stream(chunks, status_code=200, media_type=media_type, headers=more)
