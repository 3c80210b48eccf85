"""Ways in to requests that are there: show, list, attempts, cancel, erase."""

from services.gateway.api import listing, views
from services.gateway.api.calls import Answer, Call
from services.gateway.api.desk import Desk, enter, parameter, query, request_id
from services.gateway.api.telling import about
from services.gateway.domain import waits
from services.gateway.use_cases import following, requests
from services.gateway.use_cases.following import Reply
from services.gateway.use_cases.waiting import Wait


async def show(desk: Desk, call: Call) -> Answer:
    """`GET /v1/requests/{id}`."""
    guest = await enter(desk, call, "read")
    wait = Wait(waits.parse_query(parameter(call, "wait")), call.is_gone)
    reply = await following.follow(desk.ports, desk.room, guest.caller, request_id(call), wait)
    return Answer(200, views.request(reply.standing), about(reply))


async def list_page(desk: Desk, call: Call) -> Answer:
    """`GET /v1/requests`."""
    guest = await enter(desk, call, "read")
    context = guest.caller.context
    asked = listing.parse(query(call), context.project_id, context.mode)
    found, has_more = await requests.list_page(desk.ports, asked)
    return Answer(200, views.requests(found, has_more=has_more))


async def list_attempts(desk: Desk, call: Call) -> Answer:
    """`GET /v1/requests/{id}/attempts`."""
    guest = await enter(desk, call, "read")
    name = request_id(call)
    found = await requests.list_attempts(desk.ports, guest.caller, name)
    return Answer(200, views.attempts(found), [(b"x-reqrun-request-id", name.encode())])


async def cancel(desk: Desk, call: Call) -> Answer:
    """`POST /v1/requests/{id}/cancel`."""
    guest = await enter(desk, call, "read")
    standing = await requests.cancel(desk.ports, guest, request_id(call))
    return _changed(Reply(standing=standing))


async def erase(desk: Desk, call: Call) -> Answer:
    """`DELETE /v1/requests/{id}`."""
    guest = await enter(desk, call, "read")
    standing = await requests.erase(desk.ports, guest, request_id(call))
    return _changed(Reply(standing=standing))


def _changed(reply: Reply) -> Answer:
    return Answer(200, views.request(reply.standing), about(reply))
