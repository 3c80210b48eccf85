"""Take a request in; tell where it stands; tell its attempts."""

import time
from datetime import timedelta
from typing import Final

import msgspec
from prometheus_client import Histogram

from libs.common.contracts.accounts import KeyContext
from libs.common.contracts.gateway import CHAT_COMPLETIONS
from libs.common.errors import Unavailable
from libs.common.ids import is_id, new_id
from libs.common.metrics import LATENCY_BUCKETS
from libs.ledger.accept import Submission
from libs.ledger.look import Question, Standing
from libs.ledger.states import State
from libs.ledger.timeline import Attempt
from services.gateway.domain.errors import NoProviderConnection, RequestNotFound
from services.gateway.domain.submissions import Chat
from services.gateway.ports import Ports
from services.gateway.use_cases.waiting import Waiter, WaitingRoom

ACCEPT_SECONDS: Final = Histogram(
    "reqrun_gateway_accept_seconds", "From a checked request to its commit", buckets=LATENCY_BUCKETS
)
WAIT_SECONDS: Final = Histogram(
    "reqrun_gateway_wait_seconds",
    "From the commit to the end of the wait",
    buckets=LATENCY_BUCKETS,
)

PREFIX: Final = "rr"
SIMULATOR: Final = "simulator"
"""The provider connection of all test keys."""


class Reply(msgspec.Struct, frozen=True):
    """Where a request stands, and the seconds spent on storing it and on waiting for it."""

    standing: Standing
    accept_seconds: float = 0.0
    wait_seconds: float = 0.0


async def submit(
    ports: Ports, room: WaitingRoom, caller: KeyContext, chat: Chat, wait: timedelta
) -> Reply:
    """Store a request, then wait for its end for at most `wait`. It runs whatever becomes of us.

    Raises NoProviderConnection, ItemRefused, Unavailable; after Unavailable it may be stored.
    """
    submission = _submission(caller, chat)
    if not wait:
        return await _accept(ports, submission)
    question = Question(caller.project_id, caller.mode, submission.id)
    with room.listen(question, wait) as waiter:
        accepted = await _accept(ports, submission)
        started = time.perf_counter()
        try:
            standing = await _wait(ports, waiter)
        except Unavailable:
            # It is accepted, and saying so is better than an error that hides it.
            standing = None
    waited = time.perf_counter() - started
    WAIT_SECONDS.observe(waited)
    return Reply(standing or accepted.standing, accepted.accept_seconds, waited)


async def show(
    ports: Ports, room: WaitingRoom, caller: KeyContext, request_id: str, wait: timedelta
) -> Reply:
    """Where a request of the caller's project and mode stands, waiting for its end up to `wait`.

    Raises RequestNotFound, Unavailable.
    """
    question = _question(caller, request_id)
    if not wait:
        return Reply(_found(await ports.ledger.look(question)))
    with room.listen(question, wait) as waiter:
        started = time.perf_counter()
        standing = _found(await ports.ledger.look(question))
        if not standing.is_final:
            standing = _found(await _wait(ports, waiter))
    return Reply(standing, wait_seconds=time.perf_counter() - started)


async def list_attempts(ports: Ports, caller: KeyContext, request_id: str) -> list[Attempt]:
    """The request's attempts, first to last. Raises RequestNotFound, Unavailable."""
    attempts = await ports.ledger.timeline(_question(caller, request_id))
    if attempts is None:
        raise RequestNotFound
    return attempts


async def _accept(ports: Ports, submission: Submission) -> Reply:
    started = time.perf_counter()
    accepted = await ports.ledger.accept(submission)
    seconds = time.perf_counter() - started
    ACCEPT_SECONDS.observe(seconds)
    if accepted.hint is not None:
        ports.hints.send(accepted.hint)
    standing = Standing(
        request_id=submission.id,
        state=State.QUEUED,
        attempts=0,
        created_at=accepted.accepted_at,
        updated_at=accepted.accepted_at,
        last_error_code=None,
        result=None,
    )
    return Reply(standing, seconds)


async def _wait(ports: Ports, waiter: Waiter) -> Standing | None:
    """Until it is final, or the wait is over. A ledger that is away meanwhile ends no wait."""
    while True:
        await waiter.wait()
        try:
            standing = await ports.ledger.look(waiter.question)
        except Unavailable:
            if waiter.is_over:
                raise
            continue
        if waiter.is_over or standing is None or standing.is_final:
            return standing


def _submission(caller: KeyContext, chat: Chat) -> Submission:
    connection_id = SIMULATOR if caller.mode == "test" else caller.connection_id
    if connection_id is None:
        raise NoProviderConnection
    return Submission(
        id=new_id(PREFIX),
        account_id=caller.account_id,
        project_id=caller.project_id,
        key_id=caller.key_id,
        mode=caller.mode,
        endpoint=CHAT_COMPLETIONS,
        model=chat.model,
        connection_id=connection_id,
        body=chat.body,
        deadline=chat.deadline,
        max_attempts=chat.max_attempts,
        call_timeout=chat.call_timeout,
        fails_on_unknown=caller.on_unknown_outcome == "fail",
        retention=timedelta(seconds=caller.retention_seconds),
        running_limit=caller.limits.running,
    )


def _question(caller: KeyContext, request_id: str) -> Question:
    """Raises RequestNotFound for what cannot be an id, before it costs a query."""
    if not is_id(PREFIX, request_id):
        raise RequestNotFound
    return Question(caller.project_id, caller.mode, request_id)


def _found(standing: Standing | None) -> Standing:
    if standing is None:
        raise RequestNotFound
    return standing
