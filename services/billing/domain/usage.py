"""What counts as usage, and for which period."""

from datetime import UTC, date, datetime
from typing import Self

import msgspec

from libs.common.contracts.executor import FinishedRequest


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """One final live request, in the fields and order of its row. `period`: see `period_of`."""

    request_id: str
    account_id: str
    project_id: str
    endpoint: str
    model: str
    state: str
    attempts: int
    created_at: datetime
    finished_at: datetime
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    period: date

    @classmethod
    def of(cls, request: FinishedRequest) -> Self:
        """As the executor told it."""
        return cls(
            request_id=request.id,
            account_id=request.account_id,
            project_id=request.project_id,
            endpoint=request.endpoint,
            model=request.model,
            state=request.state,
            attempts=request.attempts,
            created_at=request.created_at,
            finished_at=request.finished_at,
            prompt_tokens=request.tokens.prompt,
            completion_tokens=request.tokens.completion,
            total_tokens=request.tokens.total,
            period=period_of(request.created_at),
        )


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What an account used in a period, of requests that ended in one state."""

    period: date
    state: str
    requests: int
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


def period_of(created_at: datetime) -> date:
    """The first day of the month, in UTC, in which the request was accepted."""
    return created_at.astimezone(UTC).date().replace(day=1)


def countable(requests: tuple[FinishedRequest, ...]) -> list[Usage]:
    """The live requests of a batch in order of their ids; test ones cost nobody anything.

    The order lets two readers of overlapping batches wait for each other and never deadlock.
    """
    live = (request for request in requests if request.mode == "live")
    return sorted((Usage.of(request) for request in live), key=lambda usage: usage.request_id)
