"""Ways in for new requests: submit one, retry a failed one."""

from http import HTTPStatus
from typing import Final

import msgspec

from libs.common.crash_points import crash_point
from libs.common.web.errors import ErrorDetail, ErrorView
from libs.ledger.states import State
from services.gateway.api import views
from services.gateway.api.calls import Answer, Call, CallerGone, Header
from services.gateway.api.desk import Desk, enter, request_id
from services.gateway.api.telling import about
from services.gateway.domain import failures, submissions, waits
from services.gateway.domain.errors import ResultErased, WaitTimedOut
from services.gateway.domain.submissions import Wish
from services.gateway.domain.waits import Default
from services.gateway.use_cases import requests, submitting
from services.gateway.use_cases.callers import Caller
from services.gateway.use_cases.entrance import Guest
from services.gateway.use_cases.following import Reply
from services.gateway.use_cases.submitting import Order, Parcel, Repeat
from services.gateway.use_cases.waiting import Wait

IDEMPOTENCY_HEADER: Final = b"idempotency-key"
NO_RETRY: Final[Header] = (b"x-should-retry", b"false")


async def submit(desk: Desk, call: Call) -> Answer:
    """`POST /v1/chat/completions`."""
    caller, wait, parcel = await _read(desk, call)
    reply = await submitting.take_in(desk.ports, desk.room, caller, parcel, wait)
    return await _answer(desk, call, caller, wait, reply)


async def _read(desk: Desk, call: Call) -> tuple[Caller, Wait, Parcel]:
    """Who wants what, and for how long they wait. The body stays behind here."""
    named = call.raw_header(IDEMPOTENCY_HEADER)
    call.joins = named is not None
    guest = await enter(desk, call, "submit")
    chat = submissions.parse(guest.body)
    key = chat.idempotency_key
    if key is None and named is not None:
        key = submissions.read_key(named)
    call.joins = key is not None
    wait = _wait(desk, call, guest, chat.wish)
    order = Order(wait=wait, nonce=guest.nonce, idempotency_key=key)
    return guest.caller, wait, submitting.pack(guest.caller, chat, order)


async def retry(desk: Desk, call: Call) -> Answer:
    """`POST /v1/requests/{id}/retry`."""
    call.joins = True  # a second retry of a request answers the first one's
    guest = await enter(desk, call, "submit")
    wanted = submissions.parse_retry(guest.body)
    order = Order(wait=_wait(desk, call, guest, wanted.wish), nonce=guest.nonce)
    repeat = Repeat(request_id(call), wanted.settings)
    reply = await submitting.retry(desk.ports, desk.room, guest.caller, repeat, order)
    return await _answer(desk, call, guest.caller, order.wait, reply)


def _wait(desk: Desk, call: Call, guest: Guest, wish: Wish) -> Wait:
    is_drop_in = guest.caller.context.is_drop_in
    usual = desk.waits.drop_in if is_drop_in else desk.waits.usual
    preference = waits.parse_preference(call.header(b"prefer"))
    return Wait(waits.choose(wish, preference, Default(usual, is_drop_in)), call.is_gone)


async def _answer(desk: Desk, call: Call, caller: Caller, wait: Wait, reply: Reply) -> Answer:
    """The provider's body as it is, or the asynchronous shape; of drop-in keys also its errors."""
    standing, told = reply.standing, about(reply)
    crash_point("answer.before_send")
    if standing.state is State.COMPLETED:
        if standing.result is None:
            raise ResultErased
        return Answer(200, standing.result, told)
    if not caller.context.is_drop_in or not (wait.time or standing.is_final):
        return Answer(200, views.accepted(standing), told)
    if standing.is_final:
        return await _failure(desk, caller, reply)
    if call.is_gone():
        raise CallerGone
    call.tell += told
    raise WaitTimedOut(standing.request_id)


async def _failure(desk: Desk, caller: Caller, reply: Reply) -> Answer:
    """What a stock SDK expects of a failure: the provider's own status and error body."""
    standing = reply.standing
    attempts = await requests.list_attempts(desk.ports, caller, standing.request_id)
    last = attempts[-1] if attempts else None
    seen = None
    if last is not None:
        seen = failures.as_the_provider_said(last.status_code, last.provider_error)
    headers = [*about(reply), NO_RETRY]
    if seen is not None:
        return Answer(seen.status, seen.body, headers)
    status = failures.status_of(standing.last_error_code)
    view = ErrorDetail(
        message=f"The request {standing.request_id} {standing.state.value}: "
        f"{HTTPStatus(status).phrase.lower()}. See its attempts for every reason.",
        type="api_error",
        code=standing.last_error_code or "failed",
    )
    return Answer(status, msgspec.json.encode(ErrorView(view)), headers)
