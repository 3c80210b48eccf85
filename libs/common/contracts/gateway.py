"""What crosses at the gateway's side of the execution plane: wake-ups, and accounts' questions.

Times are aware UTC. A question about a project that nobody knows has an empty answer: which
projects there are is accounts' to say.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from libs.common.contracts.accounts import KeyContext
from libs.common.contracts.executor import TokenUsage

AUDIENCE: Final = "gateway"
"""Audience of the service tokens that gateways take."""

WAKE_UP_CHANNEL: Final = "reqrun.finished"
"""Redis channel: MessagePack, a list of Ended. Any message may be lost."""

TOLD_RESULT_BYTES: Final = 16 * 1024
"""A larger result is not told: every gateway hears every wake-up."""

CHAT_COMPLETIONS: Final = "chat/completions"
"""An endpoint is named by its path under the provider's base URL."""

MAX_PAGE: Final = 100

Mode = Literal["live", "test"]
RequestState = Literal["queued", "processing", "retrying", "completed", "failed", "cancelled"]
AttemptOutcome = Literal["completed", "transient", "permanent", "lost", "ambiguous", "cancelled"]
WaitsFor = Literal["resume", "cool_down", "retry", "slot", "executor"]
ContentGone = Literal["erased", "expired"]
Moment = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\u0000]*$")]


class Ended(msgspec.Struct, frozen=True, array_like=True):
    """A request that is final, told after COMMIT.

    `result`: of a completed one, sealed under a key of which no half is told (decision 0015), where
    it is small. `attempts`: all of it, told with the result.
    """

    request_id: str
    attempts: int = 0
    result: bytes | None = None


def encode_wake_up(ended: Sequence[Ended]) -> bytes:
    """One message of the channel."""
    return _ENCODER.encode(ended)


def decode_wake_up(message: bytes) -> list[Ended]:
    """Its content. Raises msgspec.DecodeError."""
    return _DECODER.decode(message)


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[Ended])


def requests_path(project_id: str) -> str:
    """`GET` with a RequestsQuestion as the query answers RequestsAnswer."""
    return f"/internal/projects/{project_id}/requests"


def request_path(project_id: str, request_id: str) -> str:
    """`GET` answers RequestAnswer; 404 `request_not_found`, also for another project's."""
    return f"{requests_path(project_id)}/{request_id}"


def content_path(project_id: str, request_id: str) -> str:
    """`POST` of an OwnerQuestion answers ContentAnswer; it changes nothing."""
    return f"{request_path(project_id, request_id)}/content"


def export_path(project_id: str) -> str:
    """`POST` of an ExportQuestion answers ExportAnswer; it changes nothing."""
    return f"/internal/projects/{project_id}/export"


def cancel_path(project_id: str, request_id: str) -> str:
    """`POST` of an OwnerQuestion answers ChangeAnswer; refused as the public call is."""
    return f"{request_path(project_id, request_id)}/cancel"


def retry_path(project_id: str, request_id: str) -> str:
    """`POST` of an OwnerQuestion answers ChangeAnswer, of the new request; refused as above."""
    return f"{request_path(project_id, request_id)}/retry"


def account_standing_path(account_id: str) -> str:
    """`GET` with a StandingQuestion as the query answers AccountStandingAnswer."""
    return f"/internal/accounts/{account_id}/standing"


class RequestsQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of a project's requests, newest first. What is None lets everything through.

    `state`: several mean any of them. `created_after` is included, `created_before` is not.
    `idempotency_key`: finds the request that the key leads to now, and those it repeats; a key that
    has expired leads nowhere. `before`: RequestsAnswer.before of the page that came before.
    """

    mode: Mode
    state: tuple[RequestState, ...] = ()
    model: Text | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    idempotency_key: Text | None = None
    before: str | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 20


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `not_before`: of one that waits, when its next attempt may start.

    `last_error_code`: None once completed. `finished_at`: None while it is open.
    """

    id: str
    mode: Mode
    model: str
    endpoint: str
    state: RequestState
    attempts: int
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    last_error_code: str | None
    idempotency_key: str | None
    retried_from: str | None
    not_before: datetime | None
    is_erased: bool


class RequestsAnswer(msgspec.Struct, frozen=True):
    """A page. `before`: ask with it for the next one; None on the last."""

    requests: tuple[RequestRow, ...]
    before: str | None


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """One call to the provider. `outcome` and `finished_at` are None while it runs.

    `started_at`: an executor took it. `sent_at`: None where it is certain that nothing was sent.
    `outcome` is the kind of its end (`ambiguous`: sent, and nobody knows; `lost`: certainly not
    sent), `error_code` the reason. `retry_at`, `retry_rule`: when the next one may start, and what
    chose that: `retry-after`, `retry-after-ms`, `x-ratelimit-reset-requests`,
    `x-ratelimit-reset-tokens`: the provider asked for it; `backoff-waits`, `backoff-counted`: ours;
    `crash-backoff`: an executor died. `provider_headers`: those that explain.
    """

    number: int
    outcome: AttemptOutcome | None
    started_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    status_code: int | None
    error_code: str | None
    retry_at: datetime | None
    retry_rule: str | None
    provider_request_id: str | None
    provider_headers: dict[str, str]
    tokens: TokenUsage | None


class RequestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One request with its timeline, first attempt first; it was queued at `request.created_at`.

    `tokens`: of the result. `deadline`, `max_attempts`: while it is open. `waits_for`: of an open
    one that runs not now: `resume` (its project is paused), `cool_down` (the provider asked that
    this connection and model rest), `retry` (its last attempt's `retry_at`, or a claim that was
    given back), `slot` (as many of the project run as may), `executor` (it may start, and will be
    taken). `content_expires_on`: the day (UTC) from which its content is gone.
    """

    request: RequestRow
    attempts: tuple[AttemptRow, ...]
    tokens: TokenUsage | None
    deadline: datetime | None
    max_attempts: int | None
    waits_for: WaitsFor | None
    content_expires_on: date


class OwnerQuestion(msgspec.Struct, frozen=True):
    """On whose behalf: a context of the project and the request's mode, which holds its data key.

    Nothing of it is kept. `digest` is empty; `key_id` is the person's id.
    """

    context: KeyContext


class ContentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Bodies in plain. `gone`: why they are not there any more.

    `result`: None also where there never was one. `errors`: the provider's own error bodies, by the
    number of the attempt.
    """

    request: bytes | None
    result: bytes | None
    errors: dict[int, bytes]
    gone: ContentGone | None


class ExportQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of a project's requests whole, newest first.

    `before`: ExportAnswer.before of the page that came before. `context`: as OwnerQuestion's; None
    where nothing is to be opened.
    """

    mode: Mode
    before: str | None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = MAX_PAGE
    context: KeyContext | None = None


class ExportedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """As RequestAnswer, of a moment. `content`: None where it does not open, or was not to."""

    request: RequestRow
    attempts: tuple[AttemptRow, ...]
    tokens: TokenUsage | None
    content: ContentAnswer | None


class ExportAnswer(msgspec.Struct, frozen=True):
    """A page, fewer than asked for where their content is large. `before`: None on the last."""

    requests: tuple[ExportedRequest, ...]
    before: str | None


class ChangeAnswer(msgspec.Struct, frozen=True):
    """Which request it is about now: the cancelled one, or the one that a retry made."""

    request_id: str
    state: RequestState


class StandingQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`anchor_day`: on which the account's periods begin (libs/common/periods.py)."""

    anchor_day: Annotated[int, Meta(ge=1, le=31)] = 1


class AccountStandingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The counters that enforce an account's limits; `pending` counts live requests.

    `accepted`: live ones of the account's period that is now, which is over at `resets_at`.
    """

    pending: int
    pending_test: int
    accepted: int
    resets_at: datetime
