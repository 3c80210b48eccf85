"""Open-loop load: orders leave at their intended times, however slowly the answers come."""

import asyncio
import random
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from tests.support.client import FINAL, CarefulClient, Order, Sent

USUAL: Final = {
    "sim-ok": 50,
    "sim-slow-50ms": 25,
    "sim-slow-300ms": 10,
    "sim-429-once": 3,
    "sim-500-once": 4,
    "sim-503-twice": 3,
    "sim-400": 5,
}
"""Models and their weights: a provider on an ordinary day."""

_AGAIN_SECONDS: Final = 0.1


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What load to make. Shares are between 0 and 1; `follow_share` of the async ones are polled.

    The same `seed` makes the same orders. `insists`: an order has an idempotency key and is sent
    again under it, to the next gateway, until it is accepted.
    """

    seed: int
    rate: float = 200.0
    models: Mapping[str, int] = msgspec.field(default_factory=lambda: USUAL)
    wait_share: float = 0.2
    test_share: float = 0.1
    follow_share: float = 0.05
    gateways: int = 1
    insists: bool = False
    patience: timedelta = timedelta(seconds=90)


class Load:
    """Orders at a steady rate until told to stop."""

    def __init__(self, client: CarefulClient, wishes: Wishes) -> None:
        """Nothing is sent yet."""
        self._client, self._wishes = client, wishes
        self._random = random.Random(wishes.seed)  # noqa: S311  repeatable, not secret
        self._under_way: set[asyncio.Task[None]] = set()
        self._name = secrets.token_hex(8)
        self.began_at = self.ended_at = datetime.now(UTC)

    @property
    def rate(self) -> float:
        """Orders sent a second, as it really was."""
        seconds = (self.ended_at - self.began_at).total_seconds()
        return len(self._client.sent) / seconds if seconds else 0.0

    async def run(self, stop: asyncio.Event, at_least: int = 0) -> None:
        """Send until `stop` is set and that many have left; returns when all are answered."""
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        self.began_at = datetime.now(UTC)
        while number < at_least or not stop.is_set():
            self._send(self._order(number))
            number += 1
            pause = began + number / self._wishes.rate - loop.time()
            await asyncio.sleep(max(pause, 0))
        self.ended_at = datetime.now(UTC)
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    def _send(self, order: Order) -> None:
        task = asyncio.create_task(self._see_through(order))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _see_through(self, order: Order) -> None:
        is_followed = self._random.random() < self._wishes.follow_share
        sent = await self._submit(order)
        if is_followed and sent.is_accepted and sent.state not in FINAL:
            await self._client.follow(sent, self._wishes.patience)

    async def _submit(self, order: Order) -> Sent:
        sent = await self._client.submit(order)
        while self._wishes.insists and not sent.is_accepted:
            await asyncio.sleep(_AGAIN_SECONDS)
            next_one = (sent.gateway + 1) % self._wishes.gateways
            sent = await self._client.submit(msgspec.structs.replace(order, gateway=next_one))
        return sent

    def _order(self, number: int) -> Order:
        wishes, chance = self._wishes, self._random
        models = list(wishes.models)
        key = {"idempotency_key": f"{self._name}-{number}"} if wishes.insists else {}
        return Order(
            number=number,
            mode="test" if chance.random() < wishes.test_share else "live",
            model=chance.choices(models, weights=list(wishes.models.values()))[0],
            gateway=number % wishes.gateways,
            is_waiting=chance.random() < wishes.wait_share,
            extra={"wait_timeout": 10, **key},
        )
