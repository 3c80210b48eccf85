"""What the routes work with, and the door that every call with a key comes through."""

from datetime import timedelta
from typing import Final
from urllib.parse import parse_qs

import msgspec

from libs.common.addresses import Networks, client_address
from libs.common.ids import LENGTH
from services.gateway.api.calls import Call
from services.gateway.domain import rates
from services.gateway.domain.errors import RequestNotFound, UnsupportedParameter
from services.gateway.domain.rates import RateGrant
from services.gateway.domain.signatures import NONCE_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from services.gateway.ports import Ports
from services.gateway.use_cases.entrance import Entrance, Guest, Kind, Knock, Signed
from services.gateway.use_cases.waiting import WaitingRoom

_MAX_QUERY: Final = 4096


class Waits(msgspec.Struct, frozen=True):
    """For who does not say how long: `usual` keys, and `drop_in` keys, which always wait."""

    usual: timedelta
    drop_in: timedelta


class Desk(msgspec.Struct, frozen=True):
    """What the routes work with."""

    ports: Ports
    entrance: Entrance
    room: WaitingRoom
    waits: Waits
    trusted: Networks


async def enter(desk: Desk, call: Call, kind: Kind) -> Guest:
    """The caller, let in. The nonce of a signed read is spent here; others with what they change.

    Raises everything that `Entrance.admit` does, and MissingApiKey, InvalidHeader, NonceReused.
    """
    call.check_size()
    knock = Knock(
        kind=kind,
        method=call.scope["method"],  # type: ignore[typeddict-item]  # websockets end at the edge
        # A base URL that ends in a slash doubles it on the wire, and clients sign it single.
        path=b"/" + call.scope["raw_path"].lstrip(b"/"),
        key=call.bearer(),
        address=_address(desk, call),
        signed=Signed(
            call.header(TIMESTAMP_HEADER), call.header(NONCE_HEADER), call.header(SIGNATURE_HEADER)
        ),
        read_body=call.body,
    )

    def tell(grant: RateGrant) -> None:
        told = rates.headers(grant)
        call.tell += [(name.encode(), value.encode()) for name, value in told.items()]

    guest = await desk.entrance.admit(knock, tell)
    if knock.method == "GET":
        await desk.entrance.spend(guest)
    return guest


def request_id(call: Call) -> str:
    """The id in the path; an absurd one is not carried any further. Raises RequestNotFound."""
    found = str(call.scope["path_params"]["request_id"])
    if len(found) > LENGTH + len("rr_"):
        raise RequestNotFound
    return found


def query(call: Call) -> dict[str, list[str]]:
    """The query string. Raises UnsupportedParameter where it is too long."""
    text = call.scope["query_string"]
    if not text:
        return {}
    if len(text) > _MAX_QUERY:
        raise UnsupportedParameter("The query string is too long.")
    try:
        return parse_qs(text.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise UnsupportedParameter("The query string is not UTF-8.") from None


def parameter(call: Call, name: str) -> str | None:
    """One parameter of the query string. Raises UnsupportedParameter where it is there twice."""
    values = query(call).get(name, [])
    if len(values) > 1:
        raise UnsupportedParameter(f"`{name}` may be there only once.")
    return values[0] if values else None


def _address(desk: Desk, call: Call) -> str:
    client = call.scope["client"]
    peer = client[0] if client else ""
    return client_address(peer, call.headers(b"x-forwarded-for"), desk.trusted)
