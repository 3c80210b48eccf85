"""The requests of an account within an export: from the gateway, a few at a time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Final, TypeVar, get_args

import msgspec

from libs.common.contracts.accounts import KeyContext
from libs.common.contracts.gateway import MAX_PAGE, ContentAnswer, RequestRow, RequestsQuestion
from libs.common.errors import AppError, NotFound, Unavailable
from libs.common.pauses import growing
from services.accounts.domain.audit import Actor
from services.accounts.domain.errors import ProjectNotFound
from services.accounts.domain.export import Archive
from services.accounts.domain.export_records import ContentRecord, RequestRecord, embedded
from services.accounts.domain.keys import Mode
from services.accounts.models import Project
from services.accounts.ports import Ports
from services.accounts.use_cases import overseeing

_AT_ONCE: Final = 4  # each may be some megabytes
_TRIES: Final = 3
_FIRST_PAUSE: Final = timedelta(seconds=0.5)
_LONGEST_PAUSE: Final = timedelta(seconds=5)
_MOST_UNOPENED: Final = 100  # of so many, gateways are to blame, and each costs half a minute

_WHAT: Final = "- {}: not whole; its newest requests come first\n"
_WHOSE: Final = "- {}: its content could not be opened\n"

T = TypeVar("T")


class RequestFiles:
    """Writes a file for each project and mode.

    `missing`: files that are not whole. `unopened`: requests whose content could not be opened.
    """

    def __init__(self, ports: Ports, actor: Actor) -> None:
        """`actor`: on whose behalf content is opened."""
        self._ports, self._actor = ports, actor
        self.missing: list[str] = []
        self.unopened: list[str] = []

    async def write(self, archive: Archive, project: Project) -> AsyncGenerator[bytes, None]:
        """The archive's bytes, as they come."""
        for mode in get_args(Mode):
            name = f"requests/{project.id}-{mode}.json"
            with archive.array(name) as append:
                try:
                    async with aclosing(self._records(project, mode)) as records:
                        async for some in records:
                            await asyncio.to_thread(append, some)
                            yield archive.take()
                except* AppError:
                    self.missing.append(name)
            yield archive.take()

    def what_is_missing(self) -> bytes:
        """For a file in the archive."""
        told = [_WHAT.format(name) for name in self.missing]
        told += [_WHOSE.format(request_id) for request_id in self.unopened]
        return "".join(told).encode()

    async def _records(self, project: Project, mode: Mode) -> AsyncGenerator[list[bytes], None]:
        before: str | None = None
        while True:
            question = RequestsQuestion(mode=mode, before=before, limit=MAX_PAGE)
            page = await patiently(
                partial(self._ports.requests.list_requests, project.id, question)
            )
            # Anew for each page: whoever erases the project meanwhile means what is left.
            context = await self._context(project, mode)
            for start in range(0, len(page.requests), _AT_ONCE):
                yield await self._few(page.requests[start : start + _AT_ONCE], project, context)
            if page.before is None:
                return
            before = page.before

    async def _few(
        self, rows: Sequence[RequestRow], project: Project, context: KeyContext | None
    ) -> list[bytes]:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._one(row, project, context)) for row in rows]
        return [record for task in asked if (record := task.result()) is not None]

    async def _one(
        self, row: RequestRow, project: Project, context: KeyContext | None
    ) -> bytes | None:
        requests = self._ports.requests
        try:
            shown = await patiently(partial(requests.show, project.id, row.id))
            content = None if context is None else await self._content_of(row, project, context)
        except NotFound:
            return None  # its window ended since the page was read
        return msgspec.json.encode(
            RequestRecord(
                request=shown.request,
                attempts=shown.attempts,
                tokens=shown.tokens,
                content=content,
            )
        )

    async def _content_of(
        self, row: RequestRow, project: Project, context: KeyContext
    ) -> ContentRecord | None:
        """None where it cannot be opened: that costs nobody the rest. Raises NotFound."""
        try:
            opened = await patiently(
                partial(self._ports.requests.open_content, project.id, row.id, context)
            )
        except NotFound:
            raise
        except AppError:
            self.unopened.append(row.id)
            if len(self.unopened) >= _MOST_UNOPENED:
                raise
            return None
        return _content(opened)

    async def _context(self, project: Project, mode: Mode) -> KeyContext | None:
        try:
            return await overseeing.context_of(self._ports, project, mode, self._actor)
        except ProjectNotFound:
            return None  # erased: what is left of its requests says nothing


def _content(answer: ContentAnswer) -> ContentRecord:
    return ContentRecord(
        request=embedded(answer.request),
        result=embedded(answer.result),
        errors={number: embedded(body) for number, body in answer.errors.items()},
        gone=answer.gone,
    )


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """A service that restarts shall not cost somebody half of their export. Raises Unavailable."""
    for pause in islice(growing(_FIRST_PAUSE, _LONGEST_PAUSE), _TRIES - 1):
        try:
            return await ask()
        except Unavailable:
            await asyncio.sleep(pause)
    return await ask()
