"""A request's story in words: what happened, why each wait was, and which rule chose it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from libs.common.contracts.gateway import AttemptRow, RequestAnswer
from services.accounts.pages.rendering import duration

Kind = Literal["queued", "wait", "processing", "completed", "failed", "retrying", "cancelled"]

_ASKED: Final = "because the provider asked for it"
RULES: Final = {
    "retry-after": f"{_ASKED} (Retry-After)",
    "retry-after-ms": f"{_ASKED} (Retry-After-Ms)",
    "x-ratelimit-reset-requests": f"{_ASKED}: its limit of requests was used up",
    "x-ratelimit-reset-tokens": f"{_ASKED}: its limit of tokens was used up",
    "backoff-waits": "as long as we wait when a provider is busy and says nothing; no attempt"
    " of yours is used up by it",
    "backoff-counted": "as long as we wait after a failed call, twice as long each time",
    "crash-backoff": "because the executor that ran it died, and the next one starts carefully",
}
WAITS: Final = {
    "resume": "It waits because the project is paused. Resume it, and it goes on.",
    "cool_down": "It waits because the provider asked that this model rests for a while.",
    "retry": "It waits for its next attempt.",
    "slot": "It waits because as many requests of this project run as may run at once.",
    "executor": "It is ready, and the next free executor takes it.",
}
_REASONS: Final = {
    "provider_rate_limited": "the provider's rate limit was reached",
    "provider_overloaded": "the provider was overloaded",
    "provider_unavailable": "the provider was not available",
    "provider_error": "the provider had an error of its own",
    "provider_timeout": "the provider did not answer in time",
    "timeout_after_sending": "no answer came in time; what became of the call is unknown",
    "connect_failed": "no connection to the provider could be made",
}
_OUTCOMES: Final = {
    "completed": ("completed", "answered"),
    "transient": ("retrying", "failed, worth repeating"),
    "permanent": ("failed", "failed for good"),
    "lost": ("retrying", "never reached the provider"),
    "ambiguous": ("retrying", "ended with an unknown outcome"),
    "cancelled": ("cancelled", "cancelled"),
}


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, or one wait. `facts`: small print, name and value."""

    kind: Kind
    title: str
    text: str = ""
    at: datetime | None = None
    facts: Sequence[tuple[str, str]] = ()


def tell(answer: RequestAnswer, now: datetime) -> list[Moment]:
    """From the accept to where it stands."""
    request = answer.request
    moments = [Moment(kind="queued", title="Accepted and stored", at=request.created_at)]
    free_at = request.created_at
    why = "until an executor took it"
    for attempt in answer.attempts:
        moments += _wait(free_at, attempt.started_at, why)
        moments.append(_attempt(attempt))
        free_at = attempt.finished_at or attempt.started_at
        why = _why(attempt)
    return [*moments, *_end(answer, free_at, now)]


def _wait(since: datetime, until: datetime, why: str) -> list[Moment]:
    span = max(until - since, timedelta())
    return [Moment(kind="wait", title=f"Waited {duration(span)}", text=why)]


def _why(attempt: AttemptRow) -> str:
    rule = RULES.get(attempt.retry_rule or "")
    if rule is None:
        return "until the next executor took it"
    chosen = attempt.retry_at
    wished = chosen - attempt.finished_at if chosen and attempt.finished_at else None
    span = "" if wished is None else f"{duration(max(wished, timedelta()))} were chosen, "
    return f"{span}{rule}"


def _attempt(attempt: AttemptRow) -> Moment:
    if attempt.outcome is None:
        return Moment(
            kind="processing", title=f"Attempt {attempt.number} runs", at=attempt.started_at
        )
    kind, said = _OUTCOMES[attempt.outcome]
    status = f" ({attempt.status_code})" if attempt.status_code else ""
    return Moment(
        kind=kind,  # type: ignore[arg-type]  # the table holds kinds
        title=f"Attempt {attempt.number}: {said}{status}",
        text=_reason(attempt),
        at=attempt.started_at,
        facts=_facts(attempt),
    )


def _reason(attempt: AttemptRow) -> str:
    code = attempt.error_code
    if code is None:
        return ""
    words = _REASONS.get(code, code.replace("_", " "))
    return f"{words[:1].upper()}{words[1:]}."


def _facts(attempt: AttemptRow) -> list[tuple[str, str]]:
    facts = []
    if attempt.finished_at is not None and attempt.sent_at is not None:
        facts.append(("At the provider", duration(attempt.finished_at - attempt.sent_at)))
    if attempt.sent_at is None:
        facts.append(("Sent", "no: it certainly cost nothing"))
    if attempt.error_code is not None:
        facts.append(("Code", attempt.error_code))
    if attempt.provider_request_id is not None:
        facts.append(("Provider's id", attempt.provider_request_id))
    if attempt.tokens is not None:
        used = attempt.tokens
        facts.append(("Tokens", f"{used.prompt:,} in, {used.completion:,} out"))
    return [*facts, *attempt.provider_headers.items()]


def _end(answer: RequestAnswer, since: datetime, now: datetime) -> list[Moment]:
    request = answer.request
    if request.finished_at is not None:
        took = duration(request.finished_at - request.created_at)
        said = {"completed": "Completed", "failed": "Failed", "cancelled": "Cancelled"}
        title = f"{said[request.state]} after {took}"
        return [Moment(kind=request.state, title=title, at=request.finished_at)]
    if answer.waits_for is None:
        return []
    next_at = request.not_before
    left = "" if next_at is None or next_at <= now else f" {duration(next_at - now)} to go."
    title = f"Waiting for {duration(max(now - since, timedelta()))}"
    return [Moment(kind="wait", title=title, text=WAITS[answer.waits_for] + left)]
