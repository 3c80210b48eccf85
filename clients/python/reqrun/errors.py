"""What can go wrong, with all that the server told about it.

The texts are the server's own and never quote what was sent.
"""

import json
from typing import Any

from reqrun.exchange import Answer
from reqrun.shapes import Request


class ReqRunError(Exception):
    """A call was refused or failed; match on `code`, the text is for people.

    `status` is None where there was no answer. `call_id` (X-Request-Id) names the HTTP call to
    support; `request_id` is the `rr_` id where the call was about a request. `retry_after` is in
    seconds.
    """

    def __init__(self, message: str, code: str, answer: Answer | None = None) -> None:
        """`answer`: what the other facts are read from."""
        super().__init__(message)
        self.message, self.code, self._answer = message, code, answer
        headers = {} if answer is None else answer.headers
        self.status = None if answer is None else answer.status
        self.type = "" if answer is None else _told(answer).get("type", "")
        self.call_id = headers.get("x-request-id")
        self.request_id = headers.get("x-reqrun-request-id")
        self.retry_after = seconds(headers.get("retry-after"))

    def __str__(self) -> str:
        """Status and code, then the text for people."""
        facts = [str(self.status)] if self.status is not None else []
        return f"{' '.join([*facts, self.code])}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel between processes (task queues pickle them)."""
        return type(self), (self.message, self.code, self._answer)


class NoAnswer(ReqRunError):
    """Every try ended without an answer. What was asked for may have happened all the same.

    Sending it again with the same idempotency key joins the request that may exist.
    """


class WaitTimedOut(ReqRunError):
    """The request was not final in time; it goes on. `last`: how it stood when last seen."""

    def __init__(self, request_id: str, last: Request | None = None) -> None:
        """`request_id`: whose end did not come."""
        super().__init__("The request is not final yet.", "wait_timed_out")
        self.request_id, self.last = request_id, last

    def __reduce__(self) -> tuple[Any, ...]:
        """As above."""
        return type(self), (self.request_id, self.last)


def refusal(answer: Answer) -> ReqRunError:
    """The error that `answer` is, whoever on the way sent it."""
    told = _told(answer)
    message = told.get("message") or "The answer is not one of ReqRun's."
    return ReqRunError(message, told.get("code") or "unreadable_answer", answer)


def seconds(text: str | None) -> float | None:
    """A Retry-After in seconds. ReqRun sends no dates, and another's are not worth a parser."""
    return float(text) if text is not None and text.isascii() and text.isdigit() else None


def _told(answer: Answer) -> dict[str, str]:
    """The members of the error envelope; empty where a proxy answered something of its own."""
    try:
        told = json.loads(answer.body)["error"]
        return {name: text for name, text in told.items() if isinstance(text, str)}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}
