"""Look after requests that are there: list them, tell their attempts, cancel and erase them."""

from libs.common.contracts.gateway import Ended
from libs.ledger.accept import Refused
from libs.ledger.cancel import AlreadyFinal, Cancelled, Change
from libs.ledger.erase import Erased
from libs.ledger.list_requests import Listed, ListQuestion
from libs.ledger.look import Standing
from libs.ledger.nonces import Nonce
from libs.ledger.timeline import Attempt
from services.gateway.domain.errors import AlreadyFinished, NonceReused, RequestNotFound
from services.gateway.ports import Ports
from services.gateway.use_cases.callers import Caller
from services.gateway.use_cases.content import open_errors
from services.gateway.use_cases.entrance import Guest
from services.gateway.use_cases.following import question


async def list_page(ports: Ports, asked: ListQuestion) -> tuple[list[Listed], bool]:
    """A page, newest first, and whether there is another after it. Raises Unavailable."""
    found = await ports.ledger.list_requests(asked)
    return found[: asked.limit - 1], len(found) == asked.limit


async def list_attempts(ports: Ports, caller: Caller, request_id: str) -> list[Attempt]:
    """The request's attempts, first to last.

    Raises RequestNotFound, ContentUnreadable, Unavailable.
    """
    attempts = await ports.ledger.timeline(question(caller, request_id))
    if attempts is None:
        raise RequestNotFound
    return open_errors(caller, request_id, attempts)


async def cancel(ports: Ports, guest: Guest, request_id: str) -> Standing:
    """End a request that is not final; a running call is broken off within seconds.

    Raises RequestNotFound, AlreadyFinished, NonceReused, Unavailable.
    """
    match await ports.ledger.cancel(_change(guest, request_id)):
        case Cancelled(standing):
            ports.wakeups.tell([Ended(request_id)])
            return standing
        case AlreadyFinal(standing):
            raise AlreadyFinished(standing.state.value)
        case Refused():
            raise NonceReused
        case None:
            raise RequestNotFound


async def erase(ports: Ports, guest: Guest, request_id: str) -> Standing:
    """Destroy a request's bodies now; what happened is kept. An open request is cancelled first.

    Raises RequestNotFound, NonceReused, Unavailable.
    """
    match await ports.ledger.erase(_change(guest, request_id)):
        case Erased(standing, was_open):
            if was_open:
                ports.wakeups.tell([Ended(request_id)])
            return standing
        case Refused():
            raise NonceReused
        case None:
            raise RequestNotFound


def _change(guest: Guest, request_id: str) -> Change:
    nonce = guest.nonce and Nonce(guest.caller.context.key_id, guest.nonce)
    return Change(question(guest.caller, request_id), nonce or None)
