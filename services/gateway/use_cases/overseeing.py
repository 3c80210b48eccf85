"""Oversee: what the people behind a project see of its requests, and do to them.

They come through accounts, which knows who may. Their calls obey the rules of those with an API
key: accounts sends a context for the project, which is opened here and not kept.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from libs.common.contracts.accounts import KeyContext
from libs.common.contracts.gateway import StandingQuestion
from libs.common.contracts.stats import MAX_OPEN_COUNTED, TOP_MODELS, StatsQuestion
from libs.common.crypto import SealBroken, SealingKeyring
from libs.common.ids import is_id
from libs.ledger.counters import Counters
from libs.ledger.look import Standing
from libs.ledger.reveal import SealedBody
from libs.ledger.show import Shown
from libs.ledger.stats import Stats, StatsLimits, StatsRange
from services.gateway.domain import submissions
from services.gateway.domain.errors import (
    ContentUnreadable,
    ProjectSuspended,
    RateLimited,
    RequestNotFound,
)
from services.gateway.domain.ranges import steps_of
from services.gateway.ports import Ports
from services.gateway.use_cases import submitting
from services.gateway.use_cases.callers import Caller, open_context
from services.gateway.use_cases.content import Sealed, unseal
from services.gateway.use_cases.entrance import rate_ask
from services.gateway.use_cases.following import PREFIX, question
from services.gateway.use_cases.submitting import Order, Repeat
from services.gateway.use_cases.waiting import Wait, WaitingRoom

_LIMITS: Final = StatsLimits(models=TOP_MODELS, open=MAX_OPEN_COUNTED)


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A request's bodies in plain. `errors`: by number of the attempt. `is_erased`: on a wish."""

    request: bytes | None
    result: bytes | None
    errors: dict[int, bytes]
    is_erased: bool


def owner(keyring: SealingKeyring, project_id: str, context: KeyContext) -> Caller:
    """On whose behalf.

    Raises RequestNotFound where the context is another project's; ContentUnreadable. A suspended
    project's content stays its people's to read, and what is open theirs to end.
    """
    if context.project_id != project_id:
        raise RequestNotFound
    try:
        return open_context(keyring, context)
    except SealBroken:
        raise ContentUnreadable from None


async def show(ports: Ports, project_id: str, request_id: str) -> Shown:
    """One request with its timeline, of either mode. Raises RequestNotFound, Unavailable."""
    shown = await ports.ledger.show(project_id, request_id) if is_id(PREFIX, request_id) else None
    if shown is None:
        raise RequestNotFound
    return shown


async def open_content(ports: Ports, caller: Caller, request_id: str) -> Content:
    """All that is kept of it. Raises RequestNotFound, ContentUnreadable, Unavailable."""
    revealed = await ports.ledger.reveal(question(caller, request_id))
    if revealed is None:
        raise RequestNotFound
    is_erased = revealed.erased_at is not None
    return open_bodies(caller, request_id, revealed.bodies, is_erased=is_erased)


async def retry(ports: Ports, room: WaitingRoom, caller: Caller, request_id: str) -> Standing:
    """Submit a failed request again, as often and long as one that does not say.

    Raises what `submitting.retry` does, ProjectSuspended and RateLimited.
    """
    if caller.context.is_suspended:
        raise ProjectSuspended
    grant = await ports.rates.take(rate_ask(caller, "submit"))
    if not grant.is_granted:
        raise RateLimited(grant.retry_after)
    repeat = Repeat(request_id, submissions.parse_retry(b"").settings)
    order = Order(wait=Wait(timedelta()))
    return (await submitting.retry(ports, room, caller, repeat, order)).standing


async def read_stats(ports: Ports, project_id: str, asked: StatsQuestion) -> Stats:
    """A project's numbers. Raises UnsupportedParameter, Unavailable."""
    steps_of(asked)
    of = StatsRange(
        project_id=project_id, mode=asked.mode, step=asked.step, low=asked.from_, high=asked.to
    )
    return await ports.ledger.read_stats(of, _LIMITS)


async def read_counters(ports: Ports, account_id: str, asked: StandingQuestion) -> Counters:
    """Where an account stands. Raises Unavailable."""
    return await ports.ledger.read_counters(account_id, asked.anchor_day)


def open_bodies(
    caller: Caller, request_id: str, bodies: Sequence[SealedBody], *, is_erased: bool
) -> Content:
    """One request's, in plain. Raises ContentUnreadable."""
    request: bytes | None = None
    result: bytes | None = None
    errors: dict[int, bytes] = {}
    for body in bodies:
        match body.kind:
            case "request":
                request = unseal(caller, request_id, _sealed(body), "request")
            case "result":
                result = unseal(caller, request_id, _sealed(body), "result")
            case _:
                errors[body.number] = unseal(
                    caller, request_id, _sealed(body), "provider_error", body.number
                )
    return Content(request=request, result=result, errors=errors, is_erased=is_erased)


def _sealed(body: SealedBody) -> Sealed:
    return Sealed(body.content, body.body_key)
