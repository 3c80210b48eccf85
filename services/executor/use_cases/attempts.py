"""Run one attempt: find where it goes, open its body, call, decide, write how it ended.

No transaction is open while the network is. An answer in hand is written however long the ledger is
away, and the provider is never called again for it.
"""

import asyncio
import math
import time
from datetime import timedelta
from typing import Final

import msgspec
from prometheus_client import Counter, Histogram

from libs.common import logs, tracing
from libs.common.content import BodySeal
from libs.common.contracts.gateway import TOLD_RESULT_BYTES, Ended
from libs.common.crash_points import crash_point
from libs.common.errors import Unavailable
from libs.common.metrics import LATENCY_BUCKETS, LIFE_BUCKETS
from libs.common.pauses import growing
from libs.common.tracing import Span
from libs.ledger.claim import Claim
from libs.ledger.connection import LEDGER_TROUBLE, ItemRefused
from libs.ledger.finish import Finish, Finished
from libs.ledger.give_back import GiveBack
from libs.ledger.states import Outcome, State
from services.executor.domain.calls import Answer, CallFailure, ProviderConnection
from services.executor.domain.failures import ErrorCode, Retry, Verdict, classify
from services.executor.domain.retries import (
    GiveUp,
    History,
    RetryPolicy,
    TryAgain,
    cool_down,
    decide,
)
from services.executor.ports import WorkerPorts
from services.executor.use_cases import bodies
from services.executor.use_cases.bodies import Content
from services.executor.use_cases.leases import is_ours
from services.executor.use_cases.running import Floor

log = logs.get(__name__)

ATTEMPT_RETURNED: Final = "attempt_returned"
FINISH_POSTPONED: Final = "finish_postponed"
FINISH_REFUSED: Final = "finish_refused"
LATE_ANSWER_DROPPED: Final = "late_answer_dropped"

ATTEMPTS: Final = Counter("reqrun_attempts_total", "Attempts ended", ["outcome", "error_code"])
PROVIDER_TIME: Final = Histogram(
    "reqrun_provider_call_seconds", "Time of a provider call", buckets=LATENCY_BUCKETS
)
REQUEST_TIME: Final = Histogram(
    "reqrun_request_seconds", "From accepted to its end, by an attempt", buckets=LIFE_BUCKETS
)
GIVEN_BACK: Final = Counter(
    "reqrun_attempts_given_back_total", "Claims given back because accounts did not answer"
)
DROPPED: Final = Counter("reqrun_late_answers_dropped_total", "Answers that came too late to count")
POSTPONED: Final = Counter("reqrun_finishes_postponed_total", "Writings of an end that failed")
REFUSED: Final = Counter(
    "reqrun_finishes_refused_total", "Ends that the ledger does not take; must read 0"
)

_FIRST_PAUSE: Final = timedelta(milliseconds=100)
_LONGEST_PAUSE: Final = timedelta(seconds=5)
_ACCOUNTS_AWAY_FIRST: Final = 5.0  # seconds, for the first attempt; doubling to the most
_ACCOUNTS_AWAY_MOST: Final = 60.0


async def run(ports: WorkerPorts, floor: Floor, claim: Claim) -> None:
    """One attempt, claim to finish. Cancelled when its lease is lost: then it writes nothing."""
    with tracing.of_request("attempt", claim.request_id) as span:
        span.note(attempt=claim.attempt, fence=claim.fence, project_id=claim.project_id)
        await _run(ports, floor, claim, span)


async def _run(ports: WorkerPorts, floor: Floor, claim: Claim, span: Span) -> None:
    started = time.perf_counter()
    try:
        project = await ports.projects.find(claim.project_id, claim.mode)
    except Unavailable:
        await _give_back(ports, claim)
        return
    content = None if project is None else bodies.open_request(claim, project.data_key)
    if project is None or project.connection is None:
        ending = _unsendable(claim, ErrorCode.NO_PROVIDER_CONNECTION)
    elif content is None:
        ending = _unsendable(claim, ErrorCode.CONTENT_UNREADABLE)
    elif await is_ours(ports, floor, claim):
        ending = await _attempt(ports, claim, project.connection, content)
    else:
        return
    floor.stop_calling(claim)
    span.note(outcome=ending.outcome.value, error_code=ending.error_code, state=ending.state.value)
    ATTEMPTS.labels(ending.outcome, ending.error_code or "").inc()
    with tracing.within("finish"):
        written = await _write(ports, ending)
    if written is None:
        ports.wakeups.tell([Ended(claim.request_id)])
    elif written.is_final:
        lived = (claim.claimed_at - claim.created_at).total_seconds()
        REQUEST_TIME.observe(lived + time.perf_counter() - started)
        ports.wakeups.tell([_ended(ending, written)])


async def _attempt(
    ports: WorkerPorts, claim: Claim, connection: ProviderConnection, content: Content
) -> Finish:
    crash_point("send.before_call")
    started = time.perf_counter()
    with tracing.within("provider_call") as span:
        call = await ports.provider.call(
            connection,
            claim.endpoint,
            content.body,
            timeout=claim.call_timeout,
            trace_id=f"{claim.request_id}-{claim.fence}",
        )
        if isinstance(call, Answer):
            span.note(status_code=call.status_code)
        else:
            span.note(outcome=call.kind.value)
    PROVIDER_TIME.observe(time.perf_counter() - started)
    crash_point("answer.before_finish")
    verdict = classify(call, ports.clock.now())
    ending = _ending(ports, claim, verdict)
    return _with_bodies(ending, call, content.seal)


def _ended(ending: Finish, written: Finished) -> Ended:
    """As it was committed; who waits where it was accepted needs no look at the ledger."""
    result = ending.result if written.state is State.COMPLETED else None
    if result is None or len(result) > TOLD_RESULT_BYTES:
        return Ended(ending.request_id)
    return Ended(ending.request_id, ending.attempt, result)


def _ending(ports: WorkerPorts, claim: Claim, verdict: Verdict) -> Finish:
    ending = Finish(
        request_id=claim.request_id,
        fence=claim.fence,
        attempt=claim.attempt,
        state=State.COMPLETED,
        outcome=verdict.outcome,
        error_code=verdict.error_code,
        status_code=verdict.status_code,
        provider_request_id=verdict.provider_request_id,
        provider_headers=_json(verdict),
        prompt_tokens=verdict.tokens.prompt,
        completion_tokens=verdict.tokens.completion,
        total_tokens=verdict.tokens.total,
    )
    if verdict.error_code is None:
        return ending
    policy = RetryPolicy(
        max_attempts=claim.max_attempts,
        on_unknown_outcome="fail" if claim.fails_on_unknown else "retry",
        backoff_scale=ports.backoff_scale,
    )
    history = History(
        counted=claim.counted,
        timeouts=claim.timeouts,
        waited=max(claim.attempt - claim.counted - 1, 0),
    )
    ending = msgspec.structs.replace(
        ending,
        counted=int(verdict.retry is Retry.COUNTED),
        timeouts=int(verdict.is_timeout),
        cooldown=cool_down(verdict, policy) or timedelta(),
    )
    return _with_step(ending, decide(verdict, history, policy, ports.chance.random()))


def _with_step(ending: Finish, step: TryAgain | GiveUp) -> Finish:
    if isinstance(step, GiveUp):
        return msgspec.structs.replace(ending, state=State.FAILED, error_code=step.error_code)
    return msgspec.structs.replace(
        ending, state=State.RETRYING, retry_after=step.after, retry_rule=step.rule
    )


def _with_bodies(ending: Finish, call: Answer | CallFailure, seal: BodySeal) -> Finish:
    if isinstance(call, CallFailure):
        return msgspec.structs.replace(ending, was_sent=call.was_sent)
    if ending.state is State.COMPLETED:
        return msgspec.structs.replace(ending, result=bodies.seal_result(seal, call.body))
    sealed = bodies.seal_provider_error(seal, call.body, ending.attempt)
    return msgspec.structs.replace(ending, provider_error=sealed)


def _json(verdict: Verdict) -> str | None:
    kept = dict(verdict.rate_limits)
    return msgspec.json.encode(kept).decode() if kept else None


def _unsendable(claim: Claim, error_code: ErrorCode) -> Finish:
    """It can never be sent: the project has no provider any more, or the body does not open."""
    return Finish(
        request_id=claim.request_id,
        fence=claim.fence,
        attempt=claim.attempt,
        state=State.FAILED,
        outcome=Outcome.PERMANENT,
        error_code=error_code,
        was_sent=False,
    )


async def _give_back(ports: WorkerPorts, claim: Claim) -> None:
    """Accounts is away and we never knew this connection: nothing was tried, nothing is counted."""
    GIVEN_BACK.inc()
    doubling = _ACCOUNTS_AWAY_FIRST * math.pow(2, min(claim.fence - 1, 10))
    pause = timedelta(seconds=min(doubling, _ACCOUNTS_AWAY_MOST))
    log.warning(ATTEMPT_RETURNED, request_id=claim.request_id, pause=pause.total_seconds())
    for wait in growing(_FIRST_PAUSE, _LONGEST_PAUSE):
        try:
            await ports.ledger.give_back([GiveBack(claim.request_id, claim.fence, pause)])
        except LEDGER_TROUBLE:
            await asyncio.sleep(wait)
        else:
            return


async def _write(ports: WorkerPorts, ending: Finish) -> Finished | None:
    """Write the ending, however long that takes. None where this writing changed nothing."""
    may_be_written = False
    for pause in growing(_FIRST_PAUSE, _LONGEST_PAUSE):
        try:
            written = await ports.ledger.finish(ending)
        except ItemRefused as refused:
            REFUSED.inc()
            log.error(  # noqa: TRY400  # a trace would say nothing more
                FINISH_REFUSED, request_id=ending.request_id, sqlstate=refused.sqlstate
            )
            return None
        except Exception:  # an answer that was paid for outlives every fault of ours
            POSTPONED.inc()
            log.warning(FINISH_POSTPONED, request_id=ending.request_id, exc_info=True)
            may_be_written = True  # a commit whose answer was lost
            await asyncio.sleep(pause)
            continue
        if written is None and not may_be_written:
            log.warning(LATE_ANSWER_DROPPED, request_id=ending.request_id, fence=ending.fence)
            DROPPED.inc()
        return written
    raise AssertionError("pauses never end")  # pragma: no cover
