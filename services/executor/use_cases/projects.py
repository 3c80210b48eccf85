"""Follow what accounts tells about projects.

Events may come twice, late, or after a later one; with several dispatchers two are handled at once.
So an event only says that something changed: how the project stands is asked, and asked again once
that has been applied. Whoever applied something outdated sees so, and mends it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from prometheus_client import Counter

from libs.common import logs
from libs.common.contracts.accounts import (
    AccountDeleted,
    AccountDeletionStarted,
    ProjectDeleted,
    ProjectPaused,
    ProjectResumed,
)
from libs.common.contracts.gateway import Ended
from libs.common.crash_points import crash_point
from services.executor.domain.projects import Standing
from services.executor.ports import DispatcherPorts

log = logs.get(__name__)

PROJECT_FOLLOWED: Final = "project_followed"
ACCOUNT_FORGOTTEN: Final = "account_forgotten"

CANCELLED: Final = Counter(
    "reqrun_erased_open_requests_total", "Open requests cancelled because their project was erased"
)

Told = ProjectPaused | ProjectResumed | ProjectDeleted


async def follow(ports: DispatcherPorts, event: Told) -> None:
    """Bring the project's requests to where it stands now. Raises Unavailable, LedgerAway."""
    await _follow(ports, event.project_id)


async def follow_all(ports: DispatcherPorts, event: AccountDeletionStarted) -> None:
    """Bring all projects of an account to where they stand now. Raises as `follow` does."""
    for project_id in event.project_ids:
        await _follow(ports, project_id)


async def forget_all(ports: DispatcherPorts, event: AccountDeleted) -> None:
    """Write down that nothing is to stay of these projects, each if accounts says so now too.

    `forget` does it. Raises Unavailable, LedgerAway.
    """
    gone = [
        project_id
        for project_id in event.project_ids
        if await ports.standings.find(project_id) is Standing.FORGOTTEN
    ]
    await ports.ledger.ask_to_forget(event.account_id, gone)
    log.info(ACCOUNT_FORGOTTEN, account_id=event.account_id, count=len(gone))


async def forget(ports: DispatcherPorts) -> None:
    """One bounded round of removing what is written down as to be forgotten. Raises LedgerAway."""
    async for cancelled in ports.ledger.forget_asked():
        _tell_cancelled(ports, cancelled)


async def _follow(ports: DispatcherPorts, project_id: str) -> None:
    applied, standing = None, await ports.standings.find(project_id)
    while standing is not applied:
        count = await _APPLY[standing](ports, project_id)
        log.info(PROJECT_FOLLOWED, project_id=project_id, state=standing, count=count)
        applied, standing = standing, await ports.standings.find(project_id)


async def _pause(ports: DispatcherPorts, project_id: str) -> int:
    """No slot is given from here on; calls under way finish."""
    return await ports.ledger.pause(project_id)


async def _resume(ports: DispatcherPorts, project_id: str) -> int:
    """Requests run again, with time enough to do so."""
    return await ports.ledger.resume(project_id)


async def _erase(ports: DispatcherPorts, project_id: str) -> int:
    """Batch by batch, each told to who waits for it."""
    count = 0
    async for cancelled in ports.ledger.erase_project(project_id):
        _tell_cancelled(ports, cancelled)
        count += len(cancelled)
        crash_point("erase.after_batch")
    return count


def _tell_cancelled(ports: DispatcherPorts, ids: Sequence[str]) -> None:
    ports.wakeups.tell([Ended(one) for one in ids])
    CANCELLED.inc(len(ids))


_APPLY: Final[Mapping[Standing, Callable[[DispatcherPorts, str], Awaitable[int]]]] = {
    Standing.PAUSED: _pause,
    Standing.RUNNING: _resume,
    Standing.ERASED: _erase,
    Standing.FORGOTTEN: _erase,
}
