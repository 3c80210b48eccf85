"""The client that blocks."""

import time
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

    def __call__(self, flow: Flow[T]) -> T:
        """What the flow returns; raises what it raises."""


class Completions:
    """`reqrun.chat.completions`."""

    def __init__(self, flows: Flows, run: Run) -> None:
        self._flows, self._run = flows, run

    def create(self, **params: Unpack[ChatParams]) -> Completion | Accepted:
        """Store a request and run it; tell the two answers apart by `object`.

        With `wait=True` the completion comes if it is ready in time. Raises ReqRunError.
        """
        return self._run(self._flows.submit(params))


class Chat:
    """`reqrun.chat`, as in the openai package."""

    def __init__(self, flows: Flows, run: Run) -> None:
        self.completions = Completions(flows, run)


class Requests:
    """`reqrun.requests`: what becomes of a request. Every method raises ReqRunError."""

    def __init__(self, flows: Flows, run: Run) -> None:
        self._flows, self._run = flows, run

    def get(self, request_id: str, *, wait: float = 0.0) -> Request:
        """Where it stands, once it is final or `wait` seconds (at most 600) have passed."""
        return self._run(self._flows.show(request_id, wait))

    def wait(self, request_id: str, *, timeout: float | None = None) -> Request:
        """The request once it is final, failed and cancelled included.

        Outages on the way are waited out. Raises WaitTimedOut after `timeout` seconds.
        """
        return self._run(self._flows.wait(request_id, timeout))

    def list(self, **params: Unpack[ListParams]) -> RequestList:
        """One page, newest first."""
        return self._run(self._flows.list_page(params))

    def attempts(self, request_id: str) -> AttemptList:
        """Its calls to the provider, each with its outcome."""
        return self._run(self._flows.list_attempts(request_id))

    def cancel(self, request_id: str) -> Request:
        """End it. A final one is a ReqRunError with the code `already_finished`."""
        return self._run(self._flows.cancel(request_id))

    def retry(self, request_id: str) -> Completion | Accepted:
        """A new request from a failed one; asking twice gives the same one, or its result."""
        return self._run(self._flows.retry(request_id))

    def erase(self, request_id: str) -> Request:
        """Forget what was asked and answered, at once; the metadata stays. Cancels an open one."""
        return self._run(self._flows.erase(request_id))


class Models:
    """`reqrun.models`."""

    def __init__(self, flows: Flows, run: Run) -> None:
        self._flows, self._run = flows, run

    def list(self) -> ModelList:
        """What the provider offers."""
        return self._run(self._flows.list_models())


class ReqRun:
    """The API, blocking. Safe to share between threads; close it, or use `with`."""

    def __init__(
        self,
        api_key: str,
        signing_secret: str | None = None,
        base_url: str = transport.BASE_URL,
        *,
        retries: Retries | None = None,
        http_client: httpx2.Client | None = None,
    ) -> None:
        """`http_client`: yours, for proxies and certificates; it is not closed with this one."""
        self._caller = transport.Caller(api_key, signing_secret, base_url)
        self._http = http_client or httpx2.Client()
        self._is_owner = http_client is None
        flows = Flows(retries or Retries())
        self.chat = Chat(flows, self._run)
        self.requests = Requests(flows, self._run)
        self.models = Models(flows, self._run)

    def close(self) -> None:
        """Close the connections."""
        if self._is_owner:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        """Without the keys."""
        return f"ReqRun({self._caller!r})"

    def _run(self, flow: Flow[T]) -> T:
        send = next(flow)
        try:
            while True:
                time.sleep(send.pause)
                send = flow.send(self._send(send.call))
        except StopIteration as done:
            return cast("T", done.value)

    def _send(self, call: Call) -> Outcome:
        try:
            return transport.answer(self._http.request(**self._caller.arguments(call)))
        except transport.LOST as error:
            return Lost(error)
