"""A site is lost with its databases, and another is made of what was kept elsewhere.

With a base backup and the log of changes nothing is missing that was acknowledged. With dumps
everything is missing that came after them, and what they hold is brought to its end.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
import pytest

from deploy.local.stack import Stack
from tests.faults.conftest import Tell
from tests.support import backups, dumps
from tests.support.backups import ChangeLog, Survivor
from tests.support.checker import History, Kind, check
from tests.support.checker_sources import ask, collect, drained
from tests.support.client import CarefulClient
from tests.support.judging import EXPECTED, Case, judge, read_back
from tests.support.load import Load, Wishes
from tests.support.stack import System, running_system
from tests.support.stack_faults import Inflicted
from tests.support.waiting import until

WISHES: Final = Wishes(seed=45, rate=25, wait_share=0.4, follow_share=0)
MANY: Final = 50
CHAT: Final = "/v1/chat/completions"
HELLO: Final = {"model": "sim-ok", "messages": [{"role": "user", "content": "Hello"}], "wait": True}
REVOKED: Final = "SELECT id FROM api_keys WHERE revoked_at IS NOT NULL"
TWICE: Final = {Kind.NEEDLESS_CALL, Kind.UNRECORDED_CALL, Kind.SECOND_RESULT}
"""What must happen to a request that ended after a dump that has it open: it runs again."""


class Owner:
    """What the demo project's owner does to keys and requests, and what came of it."""

    def __init__(self, system: System) -> None:
        self._system, self.project_id = system, system.seeded.project_id

    def issue(self) -> dict[str, Any]:
        """A live key: `id` and `key`."""
        words = ("keys", "issue", "--project", self.project_id, "--mode", "live")
        made: dict[str, Any] = self._system.operate(*words)
        return made

    def revoke(self, key: dict[str, Any]) -> None:
        self._system.operate("keys", "revoke", key["id"])

    async def call(self, key: str, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
            url = f"{self._system.gateways[0]}{path}"
            return await client.request(method, url, headers=headers, **options)

    async def run(self, key: str) -> str:
        """The id of a request that was run to its end."""
        answer = await self.call(key, "POST", CHAT, json=HELLO)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-reqrun-request-id"]

    async def erase(self, key: str, request_id: str) -> None:
        answer = await self.call(key, "DELETE", f"/v1/requests/{request_id}")
        assert answer.status_code == 200, answer.text

    async def result(self, key: str, request_id: str) -> object:
        """As the public API shows it; None when it was erased."""
        answer = await self.call(key, "GET", f"/v1/requests/{request_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    async def is_let_in(self, key: str) -> bool:
        answer = await self.call(key, "GET", "/v1/requests/rr_00000000000000000000000000")
        assert answer.status_code in (401, 404), answer.text
        return answer.status_code == 404


@pytest.fixture
def site(tmp_path: Path) -> Iterator[System]:
    """One of everything; the test may lose it."""
    (tmp_path / "first").mkdir()
    with running_system(tmp_path / "first") as started:
        yield started


@pytest.fixture
async def client(site: System) -> AsyncIterator[CarefulClient]:
    keys = {"live": site.seeded.live_key, "test": site.seeded.test_key}
    async with CarefulClient(site.gateways, keys) as careful:
        yield careful


@asynccontextmanager
async def loaded(client: CarefulClient) -> AsyncIterator[Load]:
    """Under load until the block ends."""
    load, stop = Load(client, WISHES), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(stop))
        yield load
        stop.set()


async def more(client: CarefulClient) -> None:
    """Return when MANY more were accepted."""
    before = accepted(client)
    await until(lambda: accepted(client) >= before + MANY)


def accepted(client: CarefulClient) -> int:
    return sum(one.is_accepted for one in client.sent)


@asynccontextmanager
async def revived(
    site: System, stack: Stack, lost_at: datetime, tell: list[str]
) -> AsyncIterator[tuple[Survivor, Inflicted]]:
    """Started, and serving: the first call that waits has its result."""
    began = time.monotonic()
    await asyncio.to_thread(stack.start)
    system = Survivor(stack, site.call_log, site.seeded)
    owner = Owner(system)
    await owner.run(site.seeded.live_key)
    tell.append(f"{time.monotonic() - began:.1f} s from the start of its servers to a result")
    yield system, Inflicted("site", "kill", lost_at, timedelta(), datetime.now(UTC))


@pytest.mark.slow
@pytest.mark.fault(45)
@pytest.mark.timeout(420)
async def test_with_the_log_of_changes_nothing_that_was_acknowledged_is_missing(
    site: System, client: CarefulClient, tell: Tell, tmp_path: Path
) -> None:
    owner, told = Owner(site), list[str]()
    folder, first = site.call_log.parent, site.seeded.live_key
    log, erased = ChangeLog(site.stack.postgresql, folder / "log"), await owner.run(first)
    with log.kept():
        backups.keep_keys(site.stack, tmp_path)
        async with loaded(client) as load:
            await more(client)
            base = await asyncio.to_thread(log.base_backup, folder / "base")
            revoked = await asyncio.to_thread(owner.issue)
            await more(client)
            await asyncio.to_thread(owner.revoke, revoked)
            await owner.erase(first, erased)
            issued = await asyncio.to_thread(owner.issue)
            lost_at = datetime.now(UTC)
            await backups.lose(site)
        with backups.another_site(site, tmp_path, tmp_path) as stack:
            log.restore(base, stack.postgresql)
            async with revived(site, stack, lost_at, told) as (system, loss):
                case = Case(what="site lost, log kept", since=load.began_at, inflicted=[loss])
                judged = await judge(system, client, case)
                owner = Owner(system)
                fates = (
                    await owner.is_let_in(revoked["key"]),
                    await owner.is_let_in(issued["key"]),
                    await owner.result(first, erased),
                )
    tell(judged.summary)
    unknown = sum(not one.is_accepted for one in client.sent)
    print(f"\n{accepted(client)} accepted, {unknown} unanswered; {told}")  # noqa: T201  the figures

    assert judged.violations == [], judged.summary
    assert fates == (False, True, None)


class Story:
    """What the owner does before and after a dump, and how it stands in another site.

    `listed`: the revoked keys, as they are noted every hour or so.
    """

    def __init__(self, site: System) -> None:
        self._owner, self._live = Owner(site), site.seeded.live_key
        self._server = site.stack.postgresql
        self.listed: list[str] = []

    async def before(self) -> None:
        self._forgotten, self._erased = [await self._owner.run(self._live) for _ in range(2)]
        self._revoked, self._undone = [await self._issue() for _ in range(2)]
        await self._owner.erase(self._live, self._forgotten)
        await asyncio.to_thread(self._owner.revoke, self._revoked)

    async def after(self, folder: Path) -> None:
        """The short-lived dump is the newest then, and so is the list."""
        self._issued = await self._issue()
        await asyncio.to_thread(self._owner.revoke, self._undone)
        await self._owner.erase(self._live, self._erased)
        await asyncio.to_thread(dumps.dump_keys, self._server, "requests", folder)
        rows = await ask(self._server.database_url("accounts"), REVOKED)
        self.listed = [row["id"] for row in rows]

    async def holds(self, system: System) -> None:
        """What is gone stays gone: at once, or when the list was gone through."""
        owner = Owner(system)
        for request_id in (self._forgotten, self._erased):
            assert await owner.result(self._live, request_id) is None
        assert await owner.is_let_in(self._undone["key"])  # docs/operations.md says so
        for key_id in self.listed:
            await asyncio.to_thread(system.operate, "keys", "revoke", key_id)
        for key in (self._revoked, self._issued, self._undone):
            await until(partial(_is_shut_out, owner, key["key"]), 10)

    async def _issue(self) -> dict[str, Any]:
        return await asyncio.to_thread(self._owner.issue)


async def _is_shut_out(owner: Owner, key: str) -> bool:
    return not await owner.is_let_in(key)


@pytest.mark.slow
@pytest.mark.fault(45)
@pytest.mark.timeout(420)
async def test_what_is_in_a_dump_is_brought_to_its_end_and_what_came_after_is_told_apart(
    site: System, client: CarefulClient, tmp_path: Path
) -> None:
    story, told = Story(site), list[str]()
    await story.before()
    backups.keep_keys(site.stack, tmp_path)
    async with loaded(client) as load:
        await more(client)
        taken = await asyncio.to_thread(backups.dump_all, site.stack.postgresql, tmp_path)
        await story.after(tmp_path)
        await more(client)
        lost_at = datetime.now(UTC)
        await backups.lose(site)
    promised = [one for one in client.sent if one.is_accepted]
    with backups.another_site(site, tmp_path, tmp_path) as stack:
        began = time.monotonic()
        await asyncio.to_thread(backups.restore_dumps, stack, taken)
        told.append(f"{time.monotonic() - began:.1f} s to restore")
        kept, opened = [await _ids(stack, table) for table in ("requests", "live")]
        client.sent = [one for one in promised if one.request_id in kept]
        async with revived(site, stack, lost_at, told) as (system, loss):
            await drained(system, 60)
            await read_back(client)
            history = await collect(system, client, load.began_at)
            await story.holds(system)
    found = check(_judged(history, load.began_at, loss), EXPECTED)
    again = {one.request_id for one in found if one.kind in TWICE} & opened
    gone = len(promised) - len(client.sent)
    print(  # noqa: T201  the figures
        f"\n{len(promised)} accepted, {gone} of them after the dump and gone;"
        f" {len(opened)} open in it, {len(again)} of those ran twice; {told}"
    )

    assert [one for one in found if one.request_id not in again or one.kind not in TWICE] == []
    assert gone > 0
    assert client.sent


async def _ids(stack: Stack, table: str) -> set[str]:
    url = stack.postgresql.database_url("requests")
    return {row["id"] for row in await ask(url, f"SELECT id FROM {table}")}  # noqa: S608  ours


def _judged(history: History, began_at: datetime, loss: Inflicted) -> History:
    """Calls of requests that nobody knows any more are nobody's; the rest was in for all of it."""
    calls = [call for call in history.calls if call.request_id in history.stored]
    faults = [(began_at, loss.ended_at)]
    return msgspec.structs.replace(history, calls=calls, faults=faults)
