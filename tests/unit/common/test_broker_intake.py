"""Settling many deliveries with few frames, and never one too many."""

import asyncio
from typing import Any, cast

from aiormq import Channel
from hypothesis import given
from hypothesis import strategies as st

from libs.common.broker.rabbitmq.intake import Intake


class Broker:
    """Settles as RabbitMQ does: a frame with `multiple` settles everything up to its tag."""

    def __init__(self, count: int) -> None:
        self.outstanding = set(range(1, count + 1))
        self.frames = 0

    async def basic_ack(self, tag: int, *, multiple: bool, wait: bool) -> None:
        assert not wait
        self.frames += 1
        assert tag in self.outstanding, "an unknown tag closes the channel"
        self.outstanding -= {t for t in self.outstanding if t <= tag} if multiple else {tag}

    async def basic_nack(self, tag: int, *, multiple: bool, requeue: bool, wait: bool) -> None:
        assert requeue
        await self.basic_ack(tag, multiple=multiple, wait=wait)


async def filled(count: int) -> tuple[Broker, Intake]:
    broker = Broker(count)
    intake = Intake("work.first", 1, cast("Channel", broker), asyncio.Event())
    for tag in range(1, count + 1):
        await intake.receive(cast("Any", Delivered(tag)))
    return broker, intake


class Delivered:
    """What the library hands over, as far as it is read."""

    body = b"rr_1"
    redelivered = False

    class header:  # noqa: N801  # the library's name
        class properties:  # noqa: N801  # as above
            headers = None

    def __init__(self, tag: int) -> None:
        self.delivery_tag = tag


async def test_all_of_them_cost_one_frame() -> None:
    broker, intake = await filled(100)

    await intake.ack(set(range(1, 101)))

    assert broker.outstanding == set()
    assert broker.frames == 1


async def test_a_gap_costs_a_frame_for_each_after_it() -> None:
    broker, intake = await filled(10)

    await intake.ack({1, 2, 3, 5, 7})

    assert broker.outstanding == {4, 6, 8, 9, 10}
    assert broker.frames == 3


async def test_giving_back_counts_the_same_way() -> None:
    broker, intake = await filled(5)

    await intake.give_back({1, 2})
    await intake.ack({3, 4, 5})

    assert broker.outstanding == set()
    assert broker.frames == 2


@given(st.data(), st.integers(min_value=1, max_value=40))
def test_whatever_the_order_exactly_what_was_settled_is_settled(
    data: st.DataObject, count: int
) -> None:
    async def settle_in_batches() -> None:
        broker, intake = await filled(count)
        left = set(range(1, count + 1))
        while left:
            batch = data.draw(st.sets(st.sampled_from(sorted(left)), min_size=1))
            await intake.ack(batch)
            left -= batch
            assert broker.outstanding == left
            assert {tag for tag in range(1, count + 1) if intake.holds(tag)} == left

    asyncio.run(settle_in_batches())
