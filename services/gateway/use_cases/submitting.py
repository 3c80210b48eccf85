"""Take a request in, once: store it, or find the one that its idempotency key leads to."""

import time
from datetime import timedelta
from typing import Final

import msgspec
from prometheus_client import Histogram

from libs.common import tracing
from libs.common.contracts.gateway import CHAT_COMPLETIONS
from libs.common.errors import AppError, Unavailable
from libs.common.ids import new_id
from libs.common.metrics import LATENCY_BUCKETS
from libs.common.periods import resets_at
from libs.ledger.accept import (
    Accepted,
    Idempotency,
    Known,
    Refusal,
    Refused,
    Submission,
    Verdict,
)
from libs.ledger.look import Standing
from libs.ledger.original import Original
from libs.ledger.states import State
from services.gateway.domain.errors import (
    ContentUnreadable,
    IdempotencyConflict,
    MonthlyQuotaReached,
    NonceReused,
    NoProviderConnection,
    NotFailed,
    PendingLimitReached,
    RequestNotFound,
    ResultErased,
)
from services.gateway.domain.submissions import Chat, Settings, canonical
from services.gateway.ports import Ports
from services.gateway.use_cases.callers import Caller
from services.gateway.use_cases.content import Sealed, seal, unseal
from services.gateway.use_cases.following import (
    PREFIX,
    WAIT_SECONDS,
    Reply,
    follow,
    question,
    until_final,
)
from services.gateway.use_cases.waiting import Wait, WaitingRoom

ACCEPT_SECONDS: Final = Histogram(
    "reqrun_gateway_accept_seconds", "From a checked request to its commit", buckets=LATENCY_BUCKETS
)

SIMULATOR: Final = "simulator"
"""The provider connection of all test keys."""

_NO_FINGERPRINT: Final = b""
"""A retry takes its key over from the request it repeats, fingerprint included."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """How a call wants its request taken. `nonce`: of a signed call."""

    wait: Wait
    nonce: str | None = None
    idempotency_key: str | None = None


class Parcel:
    """A request to take in. Its body is let go of as it is stored: who waits holds none."""

    __slots__ = ("_submission", "body_key", "id")

    def __init__(self, submission: Submission) -> None:
        """Sealed already."""
        self.id, self.body_key = submission.id, submission.body_key
        self._submission: Submission | None = submission

    def open(self) -> Submission:
        """What is to be stored. Once."""
        assert self._submission is not None  # noqa: S101  # a parcel is taken in once
        submission, self._submission = self._submission, None
        return submission


def pack(caller: Caller, chat: Chat, order: Order) -> Parcel:
    """Seal what a call asks for. Raises NoProviderConnection."""
    submission = _submission(caller, chat.model, chat.body, chat.settings)
    key = order.idempotency_key
    idempotency = key and Idempotency(key, caller.data_key.fingerprint(canonical(chat.body)))
    return Parcel(
        msgspec.structs.replace(submission, nonce=order.nonce, idempotency=idempotency or None)
    )


class Repeat(msgspec.Struct, frozen=True):
    """Which request to submit again, and how often and long it is tried this time."""

    request_id: str
    settings: Settings


async def retry(
    ports: Ports, room: WaitingRoom, caller: Caller, repeat: Repeat, order: Order
) -> Reply:
    """Submit a failed request again, as a new one that takes its idempotency key over.

    Who asks again gets the retry that is there. Raises RequestNotFound, NotFailed, ResultErased
    (its body is gone), and what `pack` and `take_in` raise.
    """
    parcel = await _pack_again(ports, caller, repeat, order)
    return await take_in(ports, room, caller, parcel, order.wait)


async def _pack_again(ports: Ports, caller: Caller, repeat: Repeat, order: Order) -> Parcel:
    request_id = repeat.request_id
    original = await ports.ledger.find_original(question(caller, request_id))
    if original is None:
        raise RequestNotFound
    body = _body_of(caller, request_id, original)
    key = original.idempotency_key
    return Parcel(
        msgspec.structs.replace(
            _submission(caller, original.model, body, repeat.settings),
            nonce=order.nonce,
            idempotency=None if key is None else Idempotency(key, _NO_FINGERPRINT),
            retried_from=request_id,
        )
    )


def _body_of(caller: Caller, request_id: str, original: Original) -> bytes:
    if original.state is not State.FAILED:
        raise NotFailed(original.state.value)
    if original.body is None or original.body_key is None:
        raise ResultErased
    return unseal(caller, request_id, Sealed(original.body, original.body_key), "request")


async def take_in(
    ports: Ports, room: WaitingRoom, caller: Caller, parcel: Parcel, wait: Wait
) -> Reply:
    """Store a request, then wait for its end. It runs whatever becomes of us.

    Raises NonceReused, IdempotencyConflict, PendingLimitReached, MonthlyQuotaReached, ResultErased,
    ItemRefused, Unavailable; after Unavailable it may be stored.
    """
    if not wait.time:
        reply = await _accept(ports, caller, parcel.open())
    else:
        # Listening comes first: a result may be there before we know that it was stored.
        with room.listen(question(caller, parcel.id), wait) as waiter:
            reply = await _accept(ports, caller, parcel.open())
            if isinstance(reply, Reply):
                started = time.perf_counter()
                accepted = msgspec.structs.replace(reply.standing, body_key=parcel.body_key)
                try:
                    with tracing.within("wait"):
                        standing = await until_final(ports, caller, waiter, accepted)
                except ContentUnreadable:
                    raise
                except Unavailable:
                    # It is accepted, and saying so is better than an error that hides it.
                    standing = None
                waited = time.perf_counter() - started
                WAIT_SECONDS.observe(waited)
                return Reply(
                    standing=standing or reply.standing,
                    accept_seconds=reply.accept_seconds,
                    wait_seconds=waited,
                )
    if isinstance(reply, Known):
        return await _replay(ports, room, caller, reply, wait)
    return reply


async def _replay(
    ports: Ports, room: WaitingRoom, caller: Caller, known: Known, wait: Wait
) -> Reply:
    """The request that is there: its result, or its end if somebody waits for that."""
    reply = await follow(ports, room, caller, known.request_id, wait)
    standing = reply.standing
    if standing.is_erased or (standing.state is State.COMPLETED and standing.result is None):
        raise ResultErased
    return msgspec.structs.replace(reply, is_replayed=True)


async def _accept(ports: Ports, caller: Caller, submission: Submission) -> Reply | Known:
    started = time.perf_counter()
    with tracing.begin_request("accept", submission.id) as span:
        verdict = await ports.ledger.accept(submission)
        span.note(project_id=submission.project_id, mode=submission.mode, outcome=_kind(verdict))
    seconds = time.perf_counter() - started
    if isinstance(verdict, Refused):
        raise _refusal(ports, caller, verdict)
    if isinstance(verdict, Known):
        return verdict
    ACCEPT_SECONDS.observe(seconds)
    if verdict.hint is not None:
        ports.hints.send(verdict.hint)
    return Reply(standing=_standing(verdict), accept_seconds=seconds)


def _kind(verdict: Verdict) -> str:
    if isinstance(verdict, Refused):
        return verdict.why.value
    return "known" if isinstance(verdict, Known) else "accepted"


def _standing(accepted: Accepted) -> Standing:
    return Standing(
        request_id=accepted.request_id,
        state=State.QUEUED,
        attempts=0,
        created_at=accepted.accepted_at,
        updated_at=accepted.accepted_at,
        last_error_code=None,
    )


def _refusal(ports: Ports, caller: Caller, refused: Refused) -> AppError:
    limits, now = caller.context.limits, ports.clock.now()
    match refused.why:
        case Refusal.NONCE_REUSED:
            return NonceReused()
        case Refusal.CONFLICT:
            return IdempotencyConflict(refused.request_id or "another request")
        case Refusal.PENDING_LIMIT:
            return PendingLimitReached(limits.pending)
        case Refusal.MONTHLY_LIMIT:
            return MonthlyQuotaReached(
                limits.requests_per_month,
                resets_at(caller.context.anchor_day, now),
                now,
                upgrade_url=ports.upgrade_url,
            )


def _submission(caller: Caller, model: str, body: bytes, settings: Settings) -> Submission:
    context = caller.context
    connection_id = SIMULATOR if context.mode == "test" else context.connection_id
    if connection_id is None:
        raise NoProviderConnection
    request_id = new_id(PREFIX)
    sealed = seal(caller, request_id, body)
    return Submission(
        id=request_id,
        account_id=context.account_id,
        project_id=context.project_id,
        key_id=context.key_id,
        mode=context.mode,
        endpoint=CHAT_COMPLETIONS,
        model=model,
        connection_id=connection_id,
        body=sealed.body,
        body_key=sealed.body_key,
        deadline=settings.deadline,
        max_attempts=settings.max_attempts,
        call_timeout=settings.call_timeout,
        fails_on_unknown=context.on_unknown_outcome == "fail",
        retention=timedelta(seconds=context.retention_seconds),
        metadata_retention=timedelta(seconds=context.metadata_retention_seconds),
        running_limit=context.limits.running,
        pending_limit=context.limits.pending,
        monthly_limit=context.limits.requests_per_month,
        anchor_day=context.anchor_day,
    )
