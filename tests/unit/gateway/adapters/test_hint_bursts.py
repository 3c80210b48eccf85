import asyncio
from collections.abc import Sequence

from libs.common.broker.protocol import Message, Unsent
from libs.common.broker.topology import WORK_FIRST, WORK_REST
from libs.ledger.accept import Hint
from services.gateway.adapters.hints import MAX_BURST, BrokerHints
from tests.support.waiting import until


class Broker:
    """Takes bursts; confirms them when the test says so."""

    def __init__(self) -> None:
        self.bursts: list[list[Message]] = []
        self.confirming = asyncio.Event()
        self.is_up = True

    async def publish_many(self, messages: Sequence[Message]) -> list[Unsent | None]:
        self.bursts.append(list(messages))
        await self.confirming.wait()
        return [None] * len(messages)

    async def publish(self, message: Message) -> None:
        await self.publish_many([message])

    def is_ready(self) -> bool:
        return self.is_up


async def test_hints_of_one_moment_go_in_one_burst_to_their_queues() -> None:
    broker = Broker()
    hints = BrokerHints(broker)

    hints.send(Hint("rr_a", is_first=True))
    hints.send(Hint("rr_b", is_first=False))
    await until(lambda: bool(broker.bursts))

    sent = [(message.routing_key, message.body) for message in broker.bursts[0]]
    assert sent == [(WORK_FIRST, b"rr_a"), (WORK_REST, b"rr_b")]
    broker.confirming.set()
    await hints.drain()


async def test_a_burst_does_not_wait_for_the_confirms_of_the_one_before() -> None:
    broker = Broker()
    hints = BrokerHints(broker)

    for number in range(3):
        hints.send(Hint(f"rr_{number}", is_first=True))
        await until(lambda: len(broker.bursts) > number)  # noqa: B023  # awaited here

    assert len(broker.bursts) == 3
    broker.confirming.set()
    await hints.drain()


async def test_with_a_slow_broker_hints_gather_and_none_is_sent_twice() -> None:
    broker = Broker()
    hints = BrokerHints(broker)
    for number in range(100):
        hints.send(Hint(f"rr_{number}", is_first=True))
        await asyncio.sleep(0)
    broker.confirming.set()

    await until(lambda: sum(map(len, broker.bursts)) >= 100)
    await hints.drain()

    sent = [message.body for burst in broker.bursts for message in burst]
    assert sorted(sent) == sorted(f"rr_{number}".encode() for number in range(100))
    assert max(len(burst) for burst in broker.bursts) <= MAX_BURST


async def test_without_a_broker_a_hint_is_dropped_at_once() -> None:
    broker = Broker()
    broker.is_up = False
    hints = BrokerHints(broker)

    hints.send(Hint("rr_a", is_first=True))
    await hints.drain()

    assert broker.bursts == []
