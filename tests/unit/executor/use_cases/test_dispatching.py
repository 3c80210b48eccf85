"""When the dispatcher may do what: a lease is only taken by who would have seen it renewed."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from libs.ledger.claim import LEASE
from libs.ledger.connection import LedgerAway, LedgerFailed
from services.executor.ports import DispatcherPorts
from services.executor.use_cases import dispatch, leases
from services.executor.use_cases.dispatch import Contact, run_pass

STEPS = ("release", "rehint", "close_orphans", "expire")
LEASE_SECONDS = LEASE.total_seconds()


class World:
    """A ledger and a broker that only note what is asked of them, and a clock."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.seconds = 0.0
        self.is_away = False
        self.refuses: dict[str, Exception] = {}
        self.stop = asyncio.Event()

    def __getattr__(self, verb: str) -> Any:
        if verb not in (*STEPS, "make_all_due"):
            raise AttributeError(verb)

        async def note() -> list[Any]:
            if self.is_away:
                raise LedgerAway
            if verb in self.refuses:
                raise self.refuses[verb]
            self.done.append(verb)
            return []

        return note

    def is_ready(self) -> bool:
        return True

    def tell(self, ids: list[str]) -> None:
        assert ids == []

    @property
    def ports(self) -> DispatcherPorts:
        hands: Any = self
        return DispatcherPorts(ledger=hands, publisher=hands, standings=hands, wakeups=hands)

    async def take_pass(self, contact: Contact) -> list[str]:
        self.done.clear()
        await run_pass(self.ports, contact)
        return list(self.done)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: made.seconds))
    return made


async def test_no_lease_is_taken_before_a_lease_of_unbroken_contact(world: World) -> None:
    contact = Contact()

    first = await world.take_pass(contact)
    world.seconds = LEASE_SECONDS
    second = await world.take_pass(contact)
    world.seconds += 0.1
    third = await world.take_pass(contact)

    assert first == second == ["release", "rehint", "expire"]
    assert third == list(STEPS)


async def test_contact_that_was_lost_begins_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pass, long silence of the ledger, pass: nobody could renew meanwhile."""
    passes = 0

    async def pass_time(stop: asyncio.Event, _: float) -> bool:
        nonlocal passes
        passes += 1
        world.is_away = passes == 1
        world.seconds += LEASE_SECONDS if passes <= 2 else 0.1
        if passes == 3:
            stop.set()
        return stop.is_set()

    monkeypatch.setattr(dispatch, "runtime", SimpleNamespace(sleep=pass_time))
    await dispatch.dispatch(world.ports, asyncio.Event(), world.stop)

    assert "release" in world.done
    assert "close_orphans" not in world.done


async def test_a_start_looks_at_every_hint_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows what the last dispatcher committed and did not publish."""

    async def end(stop: asyncio.Event, _: float) -> bool:
        stop.set()
        return True

    monkeypatch.setattr(dispatch, "runtime", SimpleNamespace(sleep=end))
    await dispatch.dispatch(world.ports, asyncio.Event(), world.stop)

    assert world.done[0] == "make_all_due"


async def test_every_hint_is_looked_at_again_as_soon_as_the_ledger_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.is_away = True

    async def come_back(stop: asyncio.Event, _: float) -> bool:
        if not world.is_away:
            stop.set()
        world.is_away = False
        return stop.is_set()

    monkeypatch.setattr(dispatch, "runtime", SimpleNamespace(sleep=come_back))
    await dispatch.dispatch(world.ports, asyncio.Event(), world.stop)

    assert world.done[0] == "make_all_due"


@pytest.mark.parametrize("error", [LedgerAway(), LedgerFailed(), RuntimeError()], ids=repr)
async def test_where_not_every_hint_can_be_looked_at_again_all_else_goes_on_and_it_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """What does not fit into a statement's time must not stop slots, leases and deadlines."""
    world.refuses["make_all_due"] = error
    passes = 0

    async def pass_time(stop: asyncio.Event, _: float) -> bool:
        nonlocal passes
        passes += 1
        world.seconds += LEASE_SECONDS
        if passes == 3:
            world.refuses.clear()
        if passes == 4:
            stop.set()
        return stop.is_set()

    monkeypatch.setattr(dispatch, "runtime", SimpleNamespace(sleep=pass_time))
    await dispatch.dispatch(world.ports, asyncio.Event(), world.stop)

    without_orphans = [step for step in STEPS if step != "close_orphans"]
    assert world.done == [*without_orphans, *without_orphans, *STEPS, "make_all_due", *STEPS]


def test_a_lease_outlives_two_renewals_that_fail() -> None:
    assert 3 * leases.EVERY <= LEASE
