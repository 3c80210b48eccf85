"""What the client does, without the doing: each flow says what to send next, given what came.

The two clients run the same flows, one blocking and one awaiting.
"""

import json
import math
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, TypeVar

from reqrun import calls
from reqrun.errors import NoAnswer, ReqRunError, WaitTimedOut, refusal
from reqrun.exchange import Answer, Call, Flow, Lost, Send
from reqrun.retries import Retries
from reqrun.shapes import (
    FINAL,
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

POLL_SECONDS: Final = 25.0
"""How long one look of `wait` stays open: under what proxies commonly allow."""
_LEAST_SECONDS: Final = 1.0
"""Between two looks, where a server answers at once instead of waiting."""


def new_key() -> str:
    """An idempotency key that nobody else uses."""
    return str(uuid.uuid4())


class Flows:
    """All flows of one client."""

    def __init__(
        self,
        retries: Retries,
        clock: Callable[[], float] = time.monotonic,
        new_key: Callable[[], str] = new_key,
    ) -> None:
        """`clock`: seconds from anywhere."""
        self._retries, self._clock, self._new_key = retries, clock, new_key

    def submit(self, params: ChatParams) -> Flow[Completion | Accepted]:
        """The provider's completion, or the accepted shape."""
        return self._object(calls.submit(params, self._new_key))

    def show(self, request_id: str, wait: float) -> Flow[Request]:
        """Where a request stands."""
        return self._object(calls.show(request_id, wait))

    def list_page(self, params: ListParams) -> Flow[RequestList]:
        """One page of requests."""
        return self._object(calls.page(params))

    def list_attempts(self, request_id: str) -> Flow[AttemptList]:
        """A request's timeline."""
        return self._object(calls.attempts(request_id))

    def list_models(self) -> Flow[ModelList]:
        """What the provider offers."""
        return self._object(calls.models())

    def retry(self, request_id: str) -> Flow[Completion | Accepted]:
        """A new request from a failed one, or what an earlier retry has come to."""
        return self._object(calls.retry(request_id))

    def erase(self, request_id: str) -> Flow[Request]:
        """Forget what was asked and answered."""
        return self._object(calls.erase(request_id))

    def cancel(self, request_id: str) -> Flow[Request]:
        """The request, cancelled. Raises ReqRunError `already_finished`.

        A try whose answer was lost may have cancelled it; then the next is told that it is final
        already, and a look decides.
        """
        tries: list[Call] = []
        try:
            cancelled: Request = yield from self._object(calls.cancel(request_id), tries)
        except ReqRunError as error:
            if error.code != "already_finished" or len(tries) == 1:
                raise
            found = yield from self.show(request_id, 0.0)
            if found["status"] != "cancelled":
                raise
            return found
        return cancelled

    def wait(self, request_id: str, timeout: float | None) -> Flow[Request]:
        """The request once it is final, whatever its end. Raises WaitTimedOut, ReqRunError.

        An outage on the way is waited out: only an answer that time does not change ends it.
        """
        end = math.inf if timeout is None else self._clock() + timeout
        last: Request | None = None
        failures, pause = 0, 0.0
        while True:
            asked_at = self._clock()
            left = max(0.0, end - asked_at - pause)
            outcome = yield Send(calls.show(request_id, min(POLL_SECONDS, left)), pause)
            again = self._retries.pause(outcome, failures)
            if again is not None:
                failures, pause = failures + 1, again
            else:
                last = _decoded(_succeeded(outcome))
                if last["status"] in FINAL:
                    return last
                failures, pause = 0, max(0.0, asked_at + pause + _LEAST_SECONDS - self._clock())
            if self._clock() + pause >= end:
                raise WaitTimedOut(request_id, last)

    def _object(self, call: Call, tries: list[Call] | None = None) -> Flow[T]:
        found: T = _decoded((yield from self._answer(call, tries)))
        return found

    def _answer(self, call: Call, tries: list[Call] | None = None) -> Flow[Answer]:
        """A 2xx; what is worth it is sent again. `tries`: every call that was sent goes there."""
        tries = [] if tries is None else tries
        pause: float | None = 0.0
        while True:
            outcome = yield Send(call, pause or 0.0)
            pause = self._retries.pause(outcome, len(tries))
            tries.append(call)
            if pause is None or pause > self._retries.longest or len(tries) > self._retries.count:
                return _succeeded(outcome)


def _succeeded(outcome: Answer | Lost) -> Answer:
    if isinstance(outcome, Lost):
        name = type(outcome.error).__name__
        raise NoAnswer(f"There was no answer ({name}).", "no_answer") from outcome.error
    if not outcome.is_success:
        raise refusal(outcome)
    return outcome


def _decoded(answer: Answer) -> Any:
    """The JSON object in a 2xx; its shape is the server's promise."""
    try:
        decoded = json.loads(answer.body)
    except ValueError:
        decoded = None
    if not isinstance(decoded, dict):
        raise ReqRunError("The answer is not one of ReqRun's.", "unreadable_answer", answer)
    return decoded
