"""The loop that counts what has ended: it outlives every fault, and hurries while there is more."""

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest

from libs.ledger.connection import LedgerAway
from libs.ledger.roll_up import RolledUp
from services.executor.ports import DispatcherPorts
from services.executor.use_cases import rollups
from tests.support.waiting import until


class Ledger:
    """Answers in turn, and stops the loop with the last answer."""

    def __init__(self, stop: asyncio.Event, answers: list[RolledUp | Exception]) -> None:
        self.stop, self.answers = stop, answers
        self.asked = 0

    async def roll_up(self) -> RolledUp:
        answer = self.answers[self.asked]
        self.asked += 1
        if self.asked == len(self.answers):
            self.stop.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


def ports_of(ledger: Ledger) -> DispatcherPorts:
    return DispatcherPorts(ledger=cast("Any", ledger), **dict.fromkeys(_OTHERS, cast("Any", None)))


_OTHERS = tuple(set(DispatcherPorts.__struct_fields__) - {"ledger"})


async def test_while_there_is_more_it_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "EVERY", timedelta(hours=1))
    stop = asyncio.Event()
    more, done = RolledUp(128, True, 1.0), RolledUp(0, False, 0.0)  # noqa: FBT003
    ledger = Ledger(stop, [more, more, more, done])

    async with asyncio.timeout(20):
        await rollups.keep_rolling_up(ports_of(ledger), stop)

    assert ledger.asked == 4


@pytest.mark.parametrize("fault", [LedgerAway(), ValueError("a row nobody understands")])
async def test_a_fault_ends_nothing(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    monkeypatch.setattr(rollups, "EVERY", timedelta(milliseconds=2))
    stop = asyncio.Event()
    ledger = Ledger(stop, [fault, fault, RolledUp(1, False, 0.0)])  # noqa: FBT003

    looping = asyncio.create_task(rollups.keep_rolling_up(ports_of(ledger), stop))

    await until(looping.done)
    assert ledger.asked == 3
