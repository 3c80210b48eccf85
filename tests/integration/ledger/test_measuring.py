"""What is measured of a ledger is what is in it, and each end is counted once."""

from datetime import timedelta
from typing import Any, cast

from prometheus_client import REGISTRY

from libs.ledger.cancel import Change
from libs.ledger.ledger import GatewayLedger
from libs.ledger.look import Question
from libs.ledger.states import State
from libs.ledger.upkeep import Backlog, Group
from services.executor.ports import DispatcherPorts
from services.executor.use_cases import measuring
from tests.support.ledgers import Bench, ending, retry

_OTHERS = ("publisher", "standings", "wakeups")


def ends(state: str) -> float:
    return REGISTRY.get_sample_value("reqrun_requests_ended_total", {"state": state}) or 0


def gauge(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def age(ledger: Bench, request_id: str, seconds: float) -> None:
    back = timedelta(seconds=seconds)
    await ledger.sql.execute(
        "UPDATE live SET created_at = created_at - $2::interval WHERE id = $1", request_id, back
    )


async def test_the_backlog_is_told_by_state_and_age(ledger: Bench) -> None:
    empty = await ledger.dispatcher.measure_backlog()
    first, second, *_ = [await ledger.accept(running_limit=2) for _ in range(3)]
    await ledger.accept(account_id="acc_b", project_id="prj_b")
    await age(ledger, second.request_id, 4_000)
    await ledger.claim(first.request_id)

    measured = await ledger.dispatcher.measure_backlog()

    assert (empty.groups, empty.workable, empty.largest_account) == ([], 0, 0)
    assert sorted(measured.groups, key=lambda group: (group.state, group.age)) == [
        Group(State.PROCESSING, 0, 1),
        Group(State.QUEUED, 0, 2),  # one of them has no slot
        Group(State.QUEUED, 3, 1),
    ]
    assert (measured.workable, measured.largest_account) == (2, 3)
    assert measured.size > 1_000_000


async def test_every_group_has_its_gauge_also_where_there_is_nobody_left(ledger: Bench) -> None:
    hands = dict.fromkeys(_OTHERS, cast("Any", None))
    ports = DispatcherPorts(ledger=ledger.dispatcher, **hands)
    claim = await ledger.claimed()
    await age(ledger, claim.request_id, 100_000)

    await measuring.measure(ports)
    assert gauge("reqrun_open_requests", state="processing", age="over_1d") == 1

    await ledger.finish(ending(claim))
    await measuring.measure(ports)
    assert gauge("reqrun_open_requests", state="processing", age="over_1d") == 0
    assert gauge("reqrun_ledger_size_bytes") == (await _size(ports)).size


async def _size(ports: DispatcherPorts) -> Backlog:
    return await ports.ledger.measure_backlog()


async def test_each_end_is_counted_once_whoever_brings_it_about(ledger: Bench) -> None:
    before = {state: ends(state) for state in ("completed", "failed", "cancelled")}
    claim = await ledger.claimed()
    await ledger.finish(ending(claim))
    await ledger.finish(ending(claim))  # late
    await ledger.finish(retry(await ledger.claimed()))  # no end
    expired = await ledger.accept(deadline=timedelta(seconds=10))
    await ledger.shift(expired.request_id, 11)
    await ledger.dispatcher.expire()
    change = Change(Question("prj_a", "live", (await ledger.accept()).request_id))
    await ledger.gateway.cancel(change)
    await ledger.gateway.erase(change)  # final already
    await ledger.gateway.erase(
        Change(Question("prj_a", "live", (await ledger.accept()).request_id))
    )

    assert {state: ends(state) - count for state, count in before.items()} == {
        "completed": 1,
        "failed": 1,
        "cancelled": 2,
    }


async def test_who_is_ready_knows_how_far_its_clock_is_off(ledger: Bench) -> None:
    assert await ledger.gateway.database.is_ready()

    offset = gauge("reqrun_clock_offset_seconds", database="requests")
    assert offset is not None
    assert abs(offset) < 5


async def test_a_ledger_that_does_not_answer_is_counted() -> None:
    labels = {"database": "requests", "why": "unreachable"}
    before = gauge("reqrun_database_errors_total", **labels) or 0
    gone = GatewayLedger("postgresql://nobody@127.0.0.1:1/requests")

    assert not await gone.database.is_ready()

    assert gauge("reqrun_database_errors_total", **labels) == before + 1
