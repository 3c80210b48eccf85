"""The requests of an account within an export: from the gateway, a page at a time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Final, TypeVar, get_args

import msgspec

from libs.common.contracts.accounts import KeyContext
from libs.common.contracts.gateway import (
    MAX_PAGE,
    ContentAnswer,
    ExportAnswer,
    ExportedRequest,
    ExportQuestion,
)
from libs.common.errors import AppError, Unavailable
from libs.common.pauses import growing
from services.accounts.domain.audit import Actor
from services.accounts.domain.errors import ProjectNotFound
from services.accounts.domain.export import Archive
from services.accounts.domain.export_records import ContentRecord, RequestRecord, embedded
from services.accounts.domain.keys import Mode
from services.accounts.models import Project
from services.accounts.ports import Ports
from services.accounts.use_cases import overseeing

_TRIES: Final = 3
_FIRST_PAUSE: Final = timedelta(seconds=0.5)
_LONGEST_PAUSE: Final = timedelta(seconds=5)
_MOST_GIVEN_UP: Final = 20  # of more, gateways are to blame, and each costs half a minute

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
        self._careful = self._given_up = 0

    async def write(self, archive: Archive, project: Project) -> AsyncGenerator[bytes, None]:
        """The archive's bytes, as they come."""
        for mode in get_args(Mode):
            name = f"requests/{project.id}-{mode}.json"
            with archive.array(name) as append:
                try:
                    async with aclosing(self._pages(project, mode)) as pages:
                        async for page in pages:
                            await asyncio.to_thread(append, map(_record, page))
                            yield archive.take()
                except AppError:
                    self.missing.append(name)
            yield archive.take()

    def what_is_missing(self) -> bytes:
        """For a file in the archive."""
        told = [_WHAT.format(name) for name in self.missing]
        told += [_WHOSE.format(request_id) for request_id in self.unopened]
        return "".join(told).encode()

    async def _pages(
        self, project: Project, mode: Mode
    ) -> AsyncGenerator[Sequence[ExportedRequest], None]:
        before: str | None = None
        while True:
            # Anew for each page: whoever erases the project meanwhile means what is left.
            context = await self._context(project, mode)
            page = await self._page(project, ExportQuestion(mode=mode, before=before), context)
            if context is not None:
                unopened = (one.request.id for one in page.requests if one.content is None)
                self.unopened.extend(unopened)
            yield page.requests
            if page.before is None:
                return
            before = page.before

    async def _page(
        self, project: Project, question: ExportQuestion, context: KeyContext | None
    ) -> ExportAnswer:
        """Where a page is not to be had, its first request is, at last without content."""
        if self._careful:
            self._careful -= 1
            return await self._one(project, question, context)
        try:
            return await self._ask(project, question, MAX_PAGE, context)
        except Unavailable:
            answer = await self._one(project, question, context)
            self._careful = MAX_PAGE  # the one to blame is among these
            return answer

    async def _one(
        self, project: Project, question: ExportQuestion, context: KeyContext | None
    ) -> ExportAnswer:
        try:
            return await self._ask(project, question, 1, context)
        except Unavailable:
            if self._given_up == _MOST_GIVEN_UP:
                raise
            answer = await self._ask(project, question, 1, None)
            self._given_up += 1
            return answer

    async def _ask(
        self, project: Project, question: ExportQuestion, limit: int, context: KeyContext | None
    ) -> ExportAnswer:
        asked = msgspec.structs.replace(question, limit=limit, context=context)
        return await patiently(partial(self._ports.requests.export, project.id, asked))

    async def _context(self, project: Project, mode: Mode) -> KeyContext | None:
        try:
            return await overseeing.context_of(self._ports, project, mode, self._actor)
        except ProjectNotFound:
            return None  # erased: what is left of its requests says nothing


def _record(one: ExportedRequest) -> bytes:
    """Its line in the file. In a thread of its own: it reads every body."""
    return msgspec.json.encode(
        RequestRecord(
            request=one.request,
            attempts=one.attempts,
            tokens=one.tokens,
            content=None if one.content is None else _content(one.content),
        )
    )


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
