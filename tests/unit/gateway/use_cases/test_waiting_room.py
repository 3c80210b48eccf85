import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from datetime import timedelta

import pytest

from libs.common.contracts.gateway import Ended
from libs.common.errors import Unavailable
from libs.ledger.look import Question
from services.gateway.use_cases import waiting
from services.gateway.use_cases.waiting import Wait, WaitingRoom
from tests.support.waiting import until

LONG = Wait(timedelta(seconds=600))


def question(request_id: str) -> Question:
    return Question("prj_a", "live", request_id)


class World:
    """A room whose clock and ledger are the test's. `looks`: the ids of each look."""

    def __init__(self, limit: int = 20_000) -> None:
        self.seconds = 1000.0
        self.final: set[str] = set()
        self.looks: list[list[str]] = []
        self.is_away = False
        self.room = WaitingRoom(self.find_final, limit=limit, monotonic=lambda: self.seconds)
        self.stop = asyncio.Event()

    async def find_final(self, questions: Sequence[Question]) -> set[str]:
        ids = [one.request_id for one in questions]
        self.looks.append(ids)
        if self.is_away:
            raise Unavailable("away")
        return self.final.intersection(ids)

    async def advance(self, seconds: float, step: float = waiting.TICK) -> None:
        """Let time go by; the room's timer is real, so each step waits for its turn."""
        ends_at = self.seconds + seconds
        while self.seconds < ends_at:
            self.seconds += step
            self.room._advance(self.seconds)  # noqa: SLF001  # in place of the real timer
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    loops = [
        asyncio.create_task(world.room.keep_time(world.stop)),
        asyncio.create_task(world.room.keep_looking(world.stop)),
    ]
    yield world
    world.stop.set()
    await asyncio.gather(*loops)


async def test_a_wake_up_ends_the_wait_and_leaves_the_look_to_the_waiter(world: World) -> None:
    world.room.note_channel(is_healthy=True)
    with world.room.listen(question("a"), LONG) as waiter:
        waiting_task = asyncio.create_task(waiter.wait())
        await asyncio.sleep(0)
        world.room.wake([Ended("b"), Ended("a")])

        await waiting_task
        assert not waiter.is_over


async def test_a_wake_up_before_the_wait_is_not_missed(world: World) -> None:
    with world.room.listen(question("a"), LONG) as waiter:
        world.room.wake([Ended("a")])

        await waiter.wait()


async def test_all_who_wait_for_one_request_are_woken(world: World) -> None:
    with (
        world.room.listen(question("a"), LONG) as one,
        world.room.listen(question("a"), LONG) as other,
    ):
        world.room.wake([Ended("a")])

        await asyncio.gather(one.wait(), other.wait())


async def test_a_wait_ends_at_its_time_and_not_before(world: World) -> None:
    world.room.note_channel(is_healthy=True)
    with world.room.listen(question("a"), Wait(timedelta(seconds=5))) as waiter:
        await world.advance(4.8)
        was_over = waiter.is_over
        await world.advance(0.4)

        assert (was_over, waiter.is_over) == (False, True)
        await waiter.wait()


async def test_who_hangs_up_gives_the_place_back_within_two_seconds_and_is_not_looked_up(
    world: World,
) -> None:
    world.room.note_channel(is_healthy=True)
    hung_up: list[str] = []
    wait = Wait(LONG.time, lambda: bool(hung_up))
    with world.room.listen(question("a"), wait) as waiter:
        await world.advance(5)
        was_over, looks = waiter.is_over, len(world.looks)
        hung_up.append("a")
        await world.advance(2.2)

        assert (was_over, waiter.is_over, len(world.looks)) == (False, True, looks)
        await waiter.wait()


async def test_with_a_healthy_channel_a_waiter_is_looked_up_every_two_seconds(
    world: World,
) -> None:
    world.room.note_channel(is_healthy=True)
    with world.room.listen(question("a"), LONG):
        await world.advance(10.3)

    assert 4 <= len(world.looks) <= 5


async def test_without_a_channel_looks_begin_soon_and_grow_rare(world: World) -> None:
    with world.room.listen(question("a"), LONG):
        await world.advance(0.5)
        early = len(world.looks)
        await world.advance(10)

    assert early == 1
    assert 5 <= len(world.looks) <= 9


async def test_a_lost_wake_up_costs_two_seconds_at_most(world: World) -> None:
    world.room.note_channel(is_healthy=True)
    with world.room.listen(question("a"), LONG) as waiter:
        world.final.add("a")
        await world.advance(2.3)

        await waiter.wait()
        assert not waiter.is_over


@pytest.mark.parametrize("is_healthy", [True, False])
async def test_everybody_is_looked_up_when_the_channel_changes(
    world: World, *, is_healthy: bool
) -> None:
    world.room.note_channel(is_healthy=not is_healthy)
    world.final.add("a")
    with (
        world.room.listen(question("a"), LONG) as waiter,
        world.room.listen(question("b"), LONG),
    ):
        world.room.note_channel(is_healthy=is_healthy)

        await waiter.wait()
    assert sorted(world.looks[0]) == ["a", "b"]


async def test_a_ledger_that_is_away_ends_no_wait(world: World) -> None:
    world.is_away = True
    with world.room.listen(question("a"), LONG) as waiter:
        await world.advance(1)
        assert world.looks
        world.is_away = False
        world.final.add("a")
        await world.advance(3)

        await waiter.wait()
        assert not waiter.is_over


async def test_ten_thousand_waiters_are_looked_up_in_few_statements(world: World) -> None:
    world.room.note_channel(is_healthy=True)
    places = [world.room.listen(question(f"r{n}"), LONG) for n in range(10_000)]
    for place in places:
        place.__enter__()

    await world.advance(2.5)

    await until(lambda: sum(map(len, world.looks)) >= 10_000)
    assert len(world.looks) <= 45
    for place in places:
        place.__exit__(None, None, None)


async def test_nothing_is_left_of_a_waiter_that_has_gone(world: World) -> None:
    with world.room.listen(question("a"), LONG):
        pass
    await world.advance(3)

    assert not world.room._waiters  # noqa: SLF001  # memory is what is tested
    assert not any(world.room._agenda.values())  # noqa: SLF001  # as above
    assert world.looks == []


async def test_a_full_room_keeps_nobody_waiting() -> None:
    world = World(limit=1)
    with world.room.listen(question("a"), LONG), world.room.listen(question("b"), LONG) as waiter:
        assert waiter.is_over
        await waiter.wait()


async def test_in_a_room_that_is_half_full_a_project_has_a_share_and_leaves_the_rest() -> None:
    room = World(limit=40).room

    def is_let_in(project_id: str, stack: ExitStack) -> bool:
        with ExitStack() as own:
            waiter = own.enter_context(room.listen(Question(project_id, "live", "rr"), LONG))
            if not waiter.is_over:
                stack.push(own.pop_all())
            return not waiter.is_over

    with ExitStack() as stack:
        assert [is_let_in("prj_a", stack) for _ in range(21)] == [True] * 20 + [False]
        assert [is_let_in("prj_b", stack) for _ in range(3)] == [True, True, False]
        assert is_let_in("prj_c", stack)
    with ExitStack() as stack:
        assert all(is_let_in("prj_b", stack) for _ in range(20))


async def test_a_stop_ends_every_wait_and_all_that_come_later(world: World) -> None:
    with world.room.listen(question("a"), LONG) as waiter:
        world.stop.set()

        await waiter.wait()
        assert waiter.is_over
    with world.room.listen(question("b"), LONG) as late:
        assert late.is_over
