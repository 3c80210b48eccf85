"""What the public API answers: the shapes of docs/api.md, to the letter."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from libs.common.ids import ALPHABET, LENGTH
from libs.ledger.list_requests import Listed
from libs.ledger.look import Standing
from libs.ledger.timeline import Attempt

ID_PATTERN: Final = f"^rr_[{ALPHABET}]{{{LENGTH}}}$"
RequestId = Annotated[str, Meta(pattern=ID_PATTERN, examples=["rr_01kav5m9x3f8q2r7t6w4y1z0bc"])]
Seconds = Annotated[
    str, Meta(description="UTC, whole seconds", extra_json_schema={"format": "date-time"})
]
Milliseconds = Annotated[
    str, Meta(description="UTC, milliseconds", extra_json_schema={"format": "date-time"})
]
JsonObject = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]

_encode: Final = msgspec.json.Encoder().encode


class AcceptedView(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is stored; `created` in Unix seconds. Its result is fetched later."""

    id: RequestId
    object: Literal["chat.completion.async"] = "chat.completion.async"
    status: Literal["queued", "processing", "retrying", "failed", "cancelled"]
    created: int


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request stands. `result`: the provider's body, once completed and while kept."""

    id: RequestId
    status: Literal["queued", "processing", "retrying", "completed", "failed", "cancelled"]
    attempts: int
    created_at: Seconds
    updated_at: Seconds
    last_error_code: str | None
    result: JsonObject | None


class TokensView(msgspec.Struct, frozen=True):
    """Tokens as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One call to the provider. `outcome` is null while it runs.

    `retry_at`, `retry_rule`: when the next attempt may start and what chose it. `provider_error`:
    the provider's own error body, for the request's owner, while bodies are kept.
    """

    number: int
    outcome: Literal["completed", "transient", "permanent", "lost", "ambiguous", "cancelled"] | None
    started_at: Milliseconds
    sent_at: Milliseconds | None
    finished_at: Milliseconds | None
    status_code: int | None
    error_code: str | None
    retry_at: Milliseconds | None
    retry_rule: str | None
    provider_request_id: str | None
    provider_headers: JsonObject | None
    provider_error: str | None
    usage: TokensView | None


class AttemptsView(msgspec.Struct, frozen=True, kw_only=True):
    """A request's timeline, first attempt first."""

    object: Literal["list"] = "list"
    data: list[AttemptView]
    has_more: bool = False


class ListedView(msgspec.Struct, frozen=True, kw_only=True):
    """One request in a list. `erased_at`: when its bodies were destroyed on somebody's wish."""

    id: RequestId
    object: Literal["request"] = "request"
    status: Literal["queued", "processing", "retrying", "completed", "failed", "cancelled"]
    endpoint: str
    model: str
    attempts: int
    created_at: Seconds
    updated_at: Seconds
    last_error_code: str | None
    idempotency_key: str | None
    retried_from: RequestId | None
    erased_at: Seconds | None


class RequestsView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of requests, newest first. The next page: the same call with `after=<last_id>`."""

    object: Literal["list"] = "list"
    data: list[ListedView]
    first_id: RequestId | None
    last_id: RequestId | None
    has_more: bool


class ModelsView(msgspec.Struct, frozen=True, kw_only=True):
    """OpenAI's list of models; each as the provider describes it."""

    object: Literal["list"] = "list"
    data: list[JsonObject]


def accepted(standing: Standing) -> bytes:
    """The asynchronous shape: exactly four members."""
    return _encode(
        AcceptedView(
            id=standing.request_id,
            status=standing.state.value,  # type: ignore[arg-type]  # never `completed`
            created=int(standing.created_at.timestamp()),
        )
    )


def request(standing: Standing) -> bytes:
    """The status shape: exactly seven members, the result as the bytes that it is."""
    result = standing.result
    return _encode(
        RequestView(
            id=standing.request_id,
            status=standing.state.value,
            attempts=standing.attempts,
            created_at=_seconds(standing.created_at),
            updated_at=_seconds(standing.updated_at),
            last_error_code=standing.last_error_code,
            result=None if result is None else msgspec.Raw(result),
        )
    )


def requests(found: list[Listed], *, has_more: bool) -> bytes:
    """A page of the list."""
    return _encode(
        RequestsView(
            data=[_listed(one) for one in found],
            first_id=found[0].id if found else None,
            last_id=found[-1].id if found else None,
            has_more=has_more,
        )
    )


def _listed(one: Listed) -> ListedView:
    return ListedView(
        id=one.id,
        status=one.state.value,
        endpoint=one.endpoint,
        model=one.model,
        attempts=one.attempts,
        created_at=_seconds(one.created_at),
        updated_at=_seconds(one.updated_at),
        last_error_code=one.last_error_code,
        idempotency_key=one.idempotency_key,
        retried_from=one.retried_from,
        erased_at=None if one.erased_at is None else _seconds(one.erased_at),
    )


def models(found: msgspec.Raw) -> bytes:
    """The provider's array as the bytes that it is."""
    return b'{"object":"list","data":' + bytes(found) + b"}"


def attempts(found: list[Attempt]) -> bytes:
    """The timeline."""
    return _encode(AttemptsView(data=[_attempt(one) for one in found]))


def _attempt(one: Attempt) -> AttemptView:
    error, headers = one.provider_error, one.provider_headers
    return AttemptView(
        number=one.number,
        outcome=one.outcome,  # type: ignore[arg-type]  # the database holds it to these words
        started_at=_milliseconds(one.started_at),
        sent_at=_milliseconds_or_none(one.sent_at),
        finished_at=_milliseconds_or_none(one.finished_at),
        status_code=one.status_code,
        error_code=one.error_code,
        retry_at=_milliseconds_or_none(one.retry_at),
        retry_rule=one.retry_rule,
        provider_request_id=one.provider_request_id,
        provider_headers=None if headers is None else msgspec.Raw(headers.encode()),
        provider_error=None if error is None else error.decode("utf-8", "replace"),
        usage=_usage(one),
    )


def _usage(one: Attempt) -> TokensView | None:
    if one.total_tokens is None:
        return None
    return TokensView(one.prompt_tokens or 0, one.completion_tokens or 0, one.total_tokens)


def _seconds(moment: datetime) -> str:
    """`moment` is aware UTC, as the database gives it."""
    return moment.isoformat()[:19] + "Z"


def _milliseconds(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


def _milliseconds_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else _milliseconds(moment)
