"""Keep the leases of what is running: one statement every five seconds for all of them.

Only a row that says so means that a lease is lost; having no contact never does. While the ledger
is away the calls go on: the answer that is under way may be the paid one, and the fence decides.
"""

import asyncio
import time
from datetime import timedelta
from typing import Final

from prometheus_client import Counter, Gauge

from libs.common import logs, runtime
from libs.ledger.claim import Claim
from libs.ledger.connection import LEDGER_TROUBLE
from libs.ledger.renew import Lease
from services.executor.ports import WorkerPorts
from services.executor.use_cases.running import Floor

log = logs.get(__name__)

LEASE_LOST: Final = "lease_lost"
RENEWAL_POSTPONED: Final = "renewal_postponed"

EVERY: Final = timedelta(seconds=5)
_AGAIN: Final = timedelta(milliseconds=500)

LOST: Final = Counter("reqrun_leases_lost_total", "Calls cut because another holds the request")
RUNNING: Final = Gauge("reqrun_attempts_running", "Attempts under way in this executor")
PLACES: Final = Gauge("reqrun_attempts_places", "Attempts that this executor may have under way")


async def keep_leases(ports: WorkerPorts, floor: Floor, stop: asyncio.Event) -> None:
    """Renew until `stop` is set."""
    PLACES.set(ports.places)
    pause = EVERY
    while not await runtime.sleep(stop, pause.total_seconds()):
        RUNNING.set(len(floor))
        pause = EVERY if await renew(ports, floor) else _AGAIN


async def is_ours(ports: WorkerPorts, floor: Floor, claim: Claim) -> bool:
    """Whether a call may be sent now. Asks the ledger only where the lease may have ended.

    A process that stood still between its claim and its call (frozen, paused, starved) must not
    call for a request that another has finished meanwhile.
    """
    lease = Lease(claim.request_id, claim.fence)
    while not floor.is_surely_leased(claim):
        asked_at = time.monotonic()
        try:
            kept = await ports.ledger.renew([lease])
        except LEDGER_TROUBLE:
            await asyncio.sleep(_AGAIN.total_seconds())
            continue
        if claim.request_id not in kept:
            return False
        floor.renewed([lease], asked_at)
    return True


async def renew(ports: WorkerPorts, floor: Floor) -> bool:
    """Renew once; False when the ledger did not answer."""
    leases = floor.leases()
    if not leases:
        return True
    asked_at = time.monotonic()
    try:
        kept = await ports.ledger.renew(leases)
    except LEDGER_TROUBLE:
        log.warning(RENEWAL_POSTPONED, count=len(leases))
        return False
    floor.renewed((lease for lease in leases if lease.request_id in kept), asked_at)
    for claim in floor.cancel(lease for lease in leases if lease.request_id not in kept):
        log.warning(LEASE_LOST, request_id=claim.request_id, fence=claim.fence)
        LOST.inc()
    return True
