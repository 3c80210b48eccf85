"""What accounts is answered (libs/common/contracts), from what the ledger says."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from libs.common.contracts.executor import TokenUsage
from libs.common.contracts.gateway import (
    AccountStandingAnswer,
    AttemptRow,
    ChangeAnswer,
    ContentAnswer,
    ExportAnswer,
    ExportedRequest,
    Mode,
    RequestAnswer,
    RequestRow,
    RequestsAnswer,
    WaitsFor,
)
from libs.common.contracts.stats import (
    ModelTally,
    OpenNow,
    StatsAnswer,
    StatsStep,
    Tally,
)
from libs.ledger.counters import Counters
from libs.ledger.export import Exported
from libs.ledger.list_requests import Listed
from libs.ledger.look import Standing
from libs.ledger.show import Shown
from libs.ledger.states import UNLEASED, State
from libs.ledger.stats import OpenCount, Stats, StepTally
from libs.ledger.timeline import Attempt
from services.gateway.domain.latencies import add_up, percentiles
from services.gateway.use_cases.exporting import Taken
from services.gateway.use_cases.overseeing import Content

_SUMS: Final = (
    "completed", "failed", "cancelled", "repeated", "attempts", "prompt_tokens",
    "completion_tokens", "waiting_ms", "provider_ms",
)  # fmt: skip
_SHARES: Final = (0.5, 0.95)
_NOTHING: Final = Tally()

_read_headers: Final = msgspec.json.Decoder(dict[str, str], strict=False).decode


def requests(found: Sequence[Listed], mode: Mode, *, has_more: bool) -> RequestsAnswer:
    """A page."""
    rows = tuple(_row(one, mode) for one in found)
    return RequestsAnswer(rows, rows[-1].id if has_more else None)


def request(shown: Shown) -> RequestAnswer:
    """One request with its timeline."""
    return RequestAnswer(
        request=_row(shown, shown.mode),  # type: ignore[arg-type]  # the database holds it to both
        attempts=tuple(_attempt(one) for one in shown.timeline),
        tokens=_tokens(shown),
        deadline=shown.deadline,
        max_attempts=shown.max_attempts,
        waits_for=_waits_for(shown),
        content_expires_on=shown.body_expires_on,
    )


def content(opened: Content) -> ContentAnswer:
    """Bodies. The request's own is there from accept on, and goes last."""
    gone = None if opened.request is not None else "erased" if opened.is_erased else "expired"
    return ContentAnswer(
        request=opened.request,
        result=opened.result,
        errors=opened.errors,
        gone=gone,  # type: ignore[arg-type]  # one of the two
    )


def export(page: Sequence[Taken], mode: Mode, *, has_more: bool) -> ExportAnswer:
    """A page of requests whole."""
    found = tuple(_exported(one, mode) for one in page)
    return ExportAnswer(found, found[-1].request.id if has_more else None)


def _exported(one: Taken, mode: Mode) -> ExportedRequest:
    return ExportedRequest(
        request=_row(one.exported.listed, mode),
        attempts=tuple(_attempt(attempt) for attempt in one.exported.timeline),
        tokens=_tokens(one.exported),
        content=None if one.content is None else content(one.content),
    )


def change(standing: Standing) -> ChangeAnswer:
    """What a cancel or a retry came to."""
    return ChangeAnswer(standing.request_id, standing.state.value)


def counters(found: Counters) -> AccountStandingAnswer:
    """Where an account stands."""
    return AccountStandingAnswer(
        pending=found.pending,
        pending_test=found.pending_test,
        accepted=found.accepted,
        resets_at=found.resets_at,
    )


def stats(found: Stats, starts: Sequence[datetime]) -> StatsAnswer:
    """`starts`: of every step of the range."""
    ended = {one.starts_at: _tally(one) for one in found.steps}
    return StatsAnswer(
        steps=tuple(StatsStep(start, ended.get(start, _NOTHING)) for start in starts),
        total=_total(found.steps),
        models=tuple(
            ModelTally(
                model=one.model,
                requests=one.requests,
                prompt_tokens=one.prompt_tokens,
                completion_tokens=one.completion_tokens,
            )
            for one in found.models
        ),
        open=_open_now({one.state: one for one in found.open}),
        counted_until=found.counted_until,
    )


def _tally(step: StepTally) -> Tally:
    p50, p95 = percentiles(step.latencies, _SHARES)
    return Tally(p50_ms=p50, p95_ms=p95, **{name: getattr(step, name) for name in _SUMS})


def _total(steps: Sequence[StepTally]) -> Tally:
    """Of steps whose times can be added up, because they are kept by bucket."""
    p50, p95 = percentiles(add_up(step.latencies for step in steps), _SHARES)
    sums = {name: sum(getattr(step, name) for step in steps) for name in _SUMS}
    return Tally(p50_ms=p50, p95_ms=p95, **sums)


def _open_now(found: Mapping[State, OpenCount]) -> OpenNow:
    counts = {state: one.n for state, one in found.items()}
    created = (one.oldest_created_at for one in found.values())
    return OpenNow(
        queued=counts.get(State.QUEUED, 0),
        processing=counts.get(State.PROCESSING, 0),
        retrying=counts.get(State.RETRYING, 0),
        oldest_created_at=min((moment for moment in created if moment is not None), default=None),
    )


def _row(one: Listed | Shown, mode: Mode) -> RequestRow:
    return RequestRow(
        id=one.id,
        mode=mode,
        model=one.model,
        endpoint=one.endpoint,
        state=one.state.value,
        attempts=one.attempts,
        created_at=one.created_at,
        updated_at=one.updated_at,
        finished_at=one.finished_at,
        last_error_code=one.last_error_code,
        idempotency_key=one.idempotency_key,
        retried_from=one.retried_from,
        not_before=one.not_before if one.state in UNLEASED else None,
        is_erased=one.erased_at is not None,
    )


def _attempt(one: Attempt) -> AttemptRow:
    headers = one.provider_headers
    return AttemptRow(
        number=one.number,
        outcome=one.outcome,  # type: ignore[arg-type]  # the database holds it to these words
        started_at=one.started_at,
        sent_at=one.sent_at,
        finished_at=one.finished_at,
        status_code=one.status_code,
        error_code=one.error_code,
        retry_at=one.retry_at,
        retry_rule=one.retry_rule,
        provider_request_id=one.provider_request_id,
        provider_headers={} if headers is None else _read_headers(headers),
        tokens=_tokens(one),
    )


def _tokens(of: Attempt | Shown | Exported) -> TokenUsage | None:
    if of.total_tokens is None:
        return None
    return TokenUsage(of.prompt_tokens or 0, of.completion_tokens or 0, of.total_tokens)


def _waits_for(shown: Shown) -> WaitsFor | None:
    """What is in its way, the greatest obstacle first."""
    if shown.state not in UNLEASED:
        return None
    if shown.is_paused:
        return "resume"
    if shown.is_cooling:
        return "cool_down"
    if shown.is_early:
        return "retry"
    return "executor" if shown.has_slot else "slot"
