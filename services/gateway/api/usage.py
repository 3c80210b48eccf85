"""Questions of billing: what its books are compared with (libs/common/contracts/usage.py)."""

from typing import Any, cast

import msgspec
from litestar import Router, get

from libs.common.contracts.executor import FinalState, FinishedRequest, TokenUsage
from libs.common.contracts.usage import (
    ENDED_PATH,
    USAGE_PATH,
    EndedAnswer,
    EndedQuestion,
    LedgerDay,
    LedgerUsageAnswer,
    UsageQuestion,
)
from libs.common.tokens import TokenVerifier
from libs.common.web.guards import service_token
from libs.ledger.usage import DayTally, EndedRequest
from services.gateway.api.queries import AnyRequest, read_query
from services.gateway.ports import Ports
from services.gateway.use_cases import usage


def routes(ports: Ports, verifier: TokenVerifier) -> Router:
    """Billing alone may ask."""

    @get(USAGE_PATH)
    async def show_usage(request: AnyRequest) -> LedgerUsageAnswer:
        page, erasing = await usage.tally(ports, read_query(request, UsageQuestion))
        days = tuple(_day(tally) for tally in page.tallies)
        return LedgerUsageAnswer(days=days, erasing=tuple(erasing), cursor=page.last)

    @get(ENDED_PATH)
    async def list_ended(request: AnyRequest) -> EndedAnswer:
        page = await usage.list_ended(ports, read_query(request, EndedQuestion))
        return EndedAnswer(requests=tuple(map(_ended, page.requests)), cursor=page.last)

    handlers: list[Any] = [show_usage, list_ended]
    return Router("/", guards=[service_token(verifier, "billing")], route_handlers=handlers)


def _day(tally: DayTally) -> LedgerDay:
    return LedgerDay(**msgspec.structs.asdict(tally))


def _ended(request: EndedRequest) -> FinishedRequest:
    return FinishedRequest(
        id=request.id,
        account_id=request.account_id,
        project_id=request.project_id,
        mode="live",
        endpoint=request.endpoint,
        model=request.model,
        state=cast("FinalState", request.state),
        attempts=request.attempts,
        created_at=request.created_at,
        finished_at=request.finished_at,
        tokens=TokenUsage(request.prompt_tokens, request.completion_tokens, request.total_tokens),
    )
