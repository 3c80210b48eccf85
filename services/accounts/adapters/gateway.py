"""Asks a gateway about requests: they belong to the execution plane, and it alone knows them."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar

import httpx2
import msgspec

from libs.common import errors, logs
from libs.common.contracts.accounts import KeyContext
from libs.common.contracts.gateway import (
    AUDIENCE,
    AccountStandingAnswer,
    ChangeAnswer,
    ContentAnswer,
    ExportAnswer,
    ExportQuestion,
    OwnerQuestion,
    RequestAnswer,
    RequestsAnswer,
    RequestsQuestion,
    StandingQuestion,
    account_standing_path,
    cancel_path,
    content_path,
    export_path,
    request_path,
    requests_path,
    retry_path,
)
from libs.common.contracts.stats import StatsAnswer, StatsQuestion, stats_path
from libs.common.ids import is_id
from libs.common.tokens import ServiceTokens
from services.accounts.domain.errors import ExecutionPlaneAway

log = logs.get(__name__)

GATEWAY_NOT_ANSWERING: Final = "gateway_not_answering"

TIMEOUT_SECONDS: Final = 2.0

Answer = TypeVar("Answer")

# What a gateway may refuse, by code; any other error is a fault between us.
_KINDS: Final[Mapping[str, type[errors.AppError]]] = {
    "unsupported_parameter": errors.InvalidInput,
    "no_provider_connection": errors.InvalidInput,
    "project_suspended": errors.Forbidden,
    "request_not_found": errors.NotFound,
    "already_finished": errors.Conflict,
    "not_failed": errors.Conflict,
    "idempotency_conflict": errors.Conflict,
    "result_erased": errors.Gone,
    "pending_limit_exceeded": errors.LimitReached,
    "monthly_quota_exceeded": errors.LimitReached,
    "rate_limit_exceeded": errors.LimitReached,
}


class _Detail(msgspec.Struct):
    message: str
    code: str


class _Refusal(msgspec.Struct):
    error: _Detail


class HttpRequests:
    """Gateways, on their internal port.

    Everything raises ExecutionPlaneAway for whatever is no good answer within two seconds. What a
    gateway refuses comes back as an error of its kind, with the gateway's text and code.
    """

    def __init__(self, client: httpx2.AsyncClient, tokens: ServiceTokens) -> None:
        """`client`: with gateways' internal address as its base URL."""
        self._client, self._tokens = client, tokens

    async def list_requests(self, project_id: str, question: RequestsQuestion) -> RequestsAnswer:
        """A page, newest first."""
        return await self._get(requests_path(project_id), RequestsAnswer, question)

    async def show(self, project_id: str, request_id: str) -> RequestAnswer:
        """One request with its timeline."""
        return await self._get(request_path(project_id, _checked(request_id)), RequestAnswer)

    async def open_content(
        self, project_id: str, request_id: str, context: KeyContext
    ) -> ContentAnswer:
        """Its bodies in plain."""
        path = content_path(project_id, _checked(request_id))
        return await self._post(path, OwnerQuestion(context), ContentAnswer)

    async def export(self, project_id: str, question: ExportQuestion) -> ExportAnswer:
        """A page of them whole."""
        return await self._post(export_path(project_id), question, ExportAnswer)

    async def cancel(self, project_id: str, request_id: str, context: KeyContext) -> ChangeAnswer:
        """End one that is open."""
        path = cancel_path(project_id, _checked(request_id))
        return await self._post(path, OwnerQuestion(context), ChangeAnswer)

    async def retry(self, project_id: str, request_id: str, context: KeyContext) -> ChangeAnswer:
        """Submit a failed one again; of ExecutionPlaneAway nobody knows whether it was."""
        path = retry_path(project_id, _checked(request_id))
        return await self._post(path, OwnerQuestion(context), ChangeAnswer)

    async def stats(self, project_id: str, question: StatsQuestion) -> StatsAnswer:
        """A project's numbers."""
        return await self._get(stats_path(project_id), StatsAnswer, question)

    async def standing(self, account_id: str, anchor_day: int) -> AccountStandingAnswer:
        """An account's counters."""
        question = StandingQuestion(anchor_day=anchor_day)
        return await self._get(account_standing_path(account_id), AccountStandingAnswer, question)

    async def _get(
        self, path: str, kind: type[Answer], question: msgspec.Struct | None = None
    ) -> Answer:
        asked: dict[str, Any] = {} if question is None else msgspec.to_builtins(question)
        params = {name: value for name, value in asked.items() if value is not None}
        return await self._ask(self._client.build_request("GET", path, params=params), kind)

    async def _post(self, path: str, question: msgspec.Struct, kind: type[Answer]) -> Answer:
        body = msgspec.json.encode(question)
        headers = {"content-type": "application/json"}
        request = self._client.build_request("POST", path, content=body, headers=headers)
        return await self._ask(request, kind)

    async def _ask(self, request: httpx2.Request, kind: type[Answer]) -> Answer:
        request.headers["authorization"] = f"Bearer {self._tokens.issue(AUDIENCE)}"
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                response = await self._client.send(request)
            if response.is_client_error:
                raise _refusal(response)
            response.raise_for_status()
            return msgspec.json.decode(response.content, type=kind)
        except (httpx2.HTTPError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning(GATEWAY_NOT_ANSWERING, exc_info=error)
            raise ExecutionPlaneAway from None


def _checked(request_id: str) -> str:
    """The id itself: it comes from a browser, and goes into a path. Raises NotFound."""
    if not is_id("rr", request_id):
        raise _error("request_not_found", "There is no such request in this project.", None)
    return request_id


def _refusal(response: httpx2.Response) -> Exception:
    """What the gateway said; an HTTPStatusError where it is nothing that it should say."""
    detail = msgspec.json.decode(response.content, type=_Refusal).error
    if detail.code not in _KINDS:
        text = f"{response.status_code} {detail.code}"
        return httpx2.HTTPStatusError(text, request=response.request, response=response)
    seconds = response.headers.get("retry-after", "")
    retry_after = timedelta(seconds=int(seconds)) if seconds.isdigit() else None
    return _error(detail.code, detail.message, retry_after)


def _error(code: str, text: str, retry_after: timedelta | None) -> errors.AppError:
    error = _KINDS[code](text, retry_after=retry_after)
    error.code = code  # type: ignore[misc]  # the gateway's own, of this one refusal
    return error
