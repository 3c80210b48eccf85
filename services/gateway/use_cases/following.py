"""Follow a request: where it stands, now or at its end."""

import time
from typing import Final

import msgspec
from prometheus_client import Histogram

from libs.common.errors import Unavailable
from libs.common.ids import is_id
from libs.common.metrics import LATENCY_BUCKETS
from libs.ledger.look import Question, Standing
from services.gateway.domain.errors import RequestNotFound
from services.gateway.ports import Ports
from services.gateway.use_cases.callers import Caller
from services.gateway.use_cases.content import open_result, open_told
from services.gateway.use_cases.waiting import Wait, Waiter, WaitingRoom

WAIT_SECONDS: Final = Histogram(
    "reqrun_gateway_wait_seconds",
    "From the commit to the end of the wait",
    buckets=LATENCY_BUCKETS,
)

PREFIX: Final = "rr"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request stands, and the seconds spent on storing it and on waiting for it.

    `is_replayed`: the call's idempotency key led to a request that was there before.
    """

    standing: Standing
    accept_seconds: float = 0.0
    wait_seconds: float = 0.0
    is_replayed: bool = False


def question(caller: Caller, request_id: str) -> Question:
    """About the caller's own. Raises RequestNotFound for what cannot be an id."""
    if not is_id(PREFIX, request_id):
        raise RequestNotFound
    return Question(caller.context.project_id, caller.context.mode, request_id)


def found(standing: Standing | None) -> Standing:
    """`standing` itself. Raises RequestNotFound."""
    if standing is None:
        raise RequestNotFound
    return standing


async def follow(
    ports: Ports, room: WaitingRoom, caller: Caller, request_id: str, wait: Wait
) -> Reply:
    """Where a request of the caller's project and mode stands, perhaps waiting for its end.

    Raises RequestNotFound, ContentUnreadable, Unavailable.
    """
    about = question(caller, request_id)
    if not wait.time:
        return Reply(standing=open_result(caller, found(await ports.ledger.look(about))))
    with room.listen(about, wait) as waiter:
        started = time.perf_counter()
        standing = open_result(caller, found(await ports.ledger.look(about)))
        if not standing.is_final:
            standing = found(await until_final(ports, caller, waiter))
    return Reply(standing=standing, wait_seconds=time.perf_counter() - started)


async def until_final(
    ports: Ports, caller: Caller, waiter: Waiter, accepted: Standing | None = None
) -> Standing | None:
    """Until it is final, or the wait is over; with the result in plain.

    `accepted`: of a request that was accepted here just now, with its body key; then a result that
    a wake-up brings is taken, if it opens. A ledger that is away meanwhile ends no wait. Raises
    ContentUnreadable.
    """
    while True:
        await waiter.wait()
        if accepted is not None and waiter.told is not None:
            completed = open_told(caller, accepted, waiter.told)
            if completed is not None:
                return completed
        try:
            standing = await ports.ledger.look(waiter.question)
        except Unavailable:
            if waiter.is_over:
                raise
            continue
        if waiter.is_over or standing is None or standing.is_final:
            return None if standing is None else open_result(caller, standing)
