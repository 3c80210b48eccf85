"""The version before is replaced by this one under load, and comes back, and no caller notices.

Two of what customers or calls depend on, both versions side by side for a while, and the schema of
this version from the first step of the upgrade to the end of the way back.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final

import pytest

from tests.faults.conftest import Tell
from tests.support.balanced import BalancedClient
from tests.support.checker import Kind, Violation
from tests.support.client import Order
from tests.support.fleet import INSIDE, Fleet, Member, running_fleet
from tests.support.judging import EXPECTED, Case, Judged, judge
from tests.support.load import Load, Wishes
from tests.support.releases import Release, head, previous
from tests.support.waiting import until

COUNTS: Final = {"gateway": 2, "executor": 2}
SLOW: Final = "sim-slow-8000ms"
"""Time enough to cancel it, whatever else the machine does."""
WISHES: Final = Wishes(seed=44, rate=30, wait_share=0.4, follow_share=0.3)
BESIDE: Final = 10
"""Calls that the newest gateway answers beside those of the other version, at least."""


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Release]:
    """The version before, and this one. An error where there is no history to take it from."""
    return previous(tmp_path_factory.mktemp("previous")), head()


@pytest.fixture(scope="module")
def fleet(
    releases: tuple[Release, Release], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    with running_fleet(tmp_path_factory.mktemp("logs"), *releases) as started:
        yield started


class Traffic:
    """Callers that submit, wait, poll and cancel, until they are told to stop."""

    def __init__(self, client: BalancedClient) -> None:
        self.client, self.load = client, Load(client, WISHES)
        self.cancelled: list[str] = []
        self.began_at = datetime.now(UTC)
        self._stop = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.began_at = datetime.now(UTC)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.load.run(self._stop))
            group.create_task(self._cancel())
            yield
            self._stop.set()

    async def _cancel(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            sent = await self.client.submit(Order(number=-number, model=SLOW))
            await asyncio.sleep(0.3)
            if sent.is_accepted and await self.client.cancel(sent) == "cancelled":
                self.cancelled.append(sent.request_id or "")


async def begin(fleet: Fleet, release: Release) -> None:
    """Nothing runs yet."""
    await fleet.migrate(release)
    members = [fleet.begin_member(k, release) for k in INSIDE for _ in range(COUNTS.get(k, 1))]
    for member in members:
        await fleet.take_in(member)


async def roll(fleet: Fleet, new: Release, traffic: Traffic) -> None:
    """A roll-out: all of the new start; one of the old goes after one of the new is ready."""
    async with traffic.running():
        if new == head():
            await fleet.migrate(new)
        going = list(fleet.members)
        coming = [fleet.begin_member(member.kind, new) for member in going]
        for come, goes in zip(coming, going, strict=True):
            await fleet.take_in(come)
            await until(partial(has_served, fleet, come), 60)
            await fleet.retire(goes)


def has_served(fleet: Fleet, member: Member) -> bool:
    """A gateway, enough; others are not counted."""
    return member.kind != "gateway" or fleet.balance.served[member.origin] >= BESIDE


def broken(judged: Judged, cancelled: Collection[str]) -> list[Violation]:
    """A call that is under way when its request is cancelled may begin; nobody hears its end."""
    late = {Kind.CALL_AFTER_FINAL, Kind.UNEXPLAINED}
    found = judged.violations
    return [one for one in found if one.kind not in late or one.request_id not in cancelled]


@pytest.mark.slow
@pytest.mark.fault(44)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", ["upgrade", "rollback"])
async def test_a_release_is_replaced_under_load_and_no_caller_notices(
    way: str, fleet: Fleet, releases: tuple[Release, Release], tell: Tell
) -> None:
    """In this order: the way back needs what the upgrade has left, the schema above all."""
    old, new = releases if way == "upgrade" else tuple(reversed(releases))
    if not fleet.members:
        await begin(fleet, old)
    keys = {"live": fleet.seeded.live_key, "test": fleet.seeded.test_key}
    async with BalancedClient(fleet.balance, keys) as client:
        traffic = Traffic(client)
        await roll(fleet, new, traffic)
        case = Case(
            what=f"{way} under load",
            since=traffic.began_at,
            inflicted=[],
            expected={**EXPECTED, SLOW: "cancelled"},
            rate=traffic.load.rate,
        )
        judged = await judge(fleet, client, case)
    tell(judged.summary)
    print(f"\n{old.name} -> {new.name}: {dict(client.answers)}, {len(traffic.cancelled)} cancelled")  # noqa: T201  the figures

    assert broken(judged, traffic.cancelled) == [], judged.summary
    assert client.bad() == {}
    assert {member.release for member in fleet.members} == {new}
    assert judged.summary.cancelled == len(traffic.cancelled) > 0
    assert judged.summary.stored_unanswered == 0
