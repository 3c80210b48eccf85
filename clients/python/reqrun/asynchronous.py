"""The client for asyncio: blocking.py with `await`, method for method (a test compares them)."""

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Protocol, Self, TypeVar, Unpack, cast

import httpx2

from reqrun import transport
from reqrun.exchange import Call, Flow, Lost, Outcome
from reqrun.flows import Flows
from reqrun.retries import Retries
from reqrun.shapes import (
    Accepted,
    AttemptList,
    ChatParams,
    Completion,
    ListParams,
    ModelList,
    Request,
    RequestList,
)

T = TypeVar("T")


class Run(Protocol):
    """Does what a flow says."""

    def __call__(self, flow: Flow[T]) -> Awaitable[T]:
        """What the flow returns; raises what it raises."""


class Completions:
    """`reqrun.chat.completions`."""

    def __init__(self, flows: Flows, run: Run) -> None:
        self._flows, self._run = flows, run

    async def create(self, **params: Unpack[ChatParams]) -> Completion | Accepted:
        """Store a request and run it; tell the two answers apart by `object`.

        With `wait=True` the completion comes if it is ready in time. Raises ReqRunError.
        """
        return await self._run(self._flows.submit(params))


class Chat:
    """`reqrun.chat`, as in the openai package."""

    def __init__(self, flows: Flows, run: Run) -> None:
        self.completions = Completions(flows, run)


class Requests:
    """`reqrun.requests`: what becomes of a request. Every method raises ReqRunError."""

    def __init__(self, flows: Flows, run: Run) -> None:
        self._flows, self._run = flows, run

    async def get(self, request_id: str, *, wait: float = 0.0) -> Request:
        """Where it stands, once it is final or `wait` seconds (at most 600) have passed."""
        return await self._run(self._flows.show(request_id, wait))

    async def wait(
        self,
        request_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  its error tells how the request stood
    ) -> Request:
        """The request once it is final, failed and cancelled included.

        Outages on the way are waited out. Raises WaitTimedOut after `timeout` seconds.
        """
        return await self._run(self._flows.wait(request_id, timeout))

    async def list(self, **params: Unpack[ListParams]) -> RequestList:
        """One page, newest first."""
        return await self._run(self._flows.list_page(params))

    async def attempts(self, request_id: str) -> AttemptList:
        """Its calls to the provider, each with its outcome."""
        return await self._run(self._flows.list_attempts(request_id))

    async def cancel(self, request_id: str) -> Request:
        """End it. A final one is a ReqRunError with the code `already_finished`."""
        return await self._run(self._flows.cancel(request_id))

    async def retry(self, request_id: str) -> Completion | Accepted:
        """A new request from a failed one; asking twice gives the same one, or its result."""
        return await self._run(self._flows.retry(request_id))

    async def erase(self, request_id: str) -> Request:
        """Forget what was asked and answered, at once; the metadata stays. Cancels an open one."""
        return await self._run(self._flows.erase(request_id))


class Models:
    """`reqrun.models`."""

    def __init__(self, flows: Flows, run: Run) -> None:
        self._flows, self._run = flows, run

    async def list(self) -> ModelList:
        """What the provider offers."""
        return await self._run(self._flows.list_models())


class AsyncReqRun:
    """The API for asyncio. Safe to share between tasks; close it, or use `async with`."""

    def __init__(
        self,
        api_key: str,
        signing_secret: str | None = None,
        base_url: str = transport.BASE_URL,
        *,
        retries: Retries | None = None,
        http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        """`http_client`: yours, for proxies and certificates; it is not closed with this one."""
        self._caller = transport.Caller(api_key, signing_secret, base_url)
        self._http = http_client or httpx2.AsyncClient()
        self._is_owner = http_client is None
        flows = Flows(retries or Retries())
        self.chat = Chat(flows, self._run)
        self.requests = Requests(flows, self._run)
        self.models = Models(flows, self._run)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._is_owner:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        """Without the keys."""
        return f"AsyncReqRun({self._caller!r})"

    async def _run(self, flow: Flow[T]) -> T:
        send = next(flow)
        try:
            while True:
                await asyncio.sleep(send.pause)
                send = flow.send(await self._send(send.call))
        except StopIteration as done:
            return cast("T", done.value)

    async def _send(self, call: Call) -> Outcome:
        try:
            return transport.answer(await self._http.request(**self._caller.arguments(call)))
        except transport.LOST as error:
            return Lost(error)
