from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bench.ledger_view import Account
from bench.measuring import Measurement
from bench.soak.figures import MEBIBYTE, Soak, growth, judge
from bench.soak.samples import Sample
from bench.soak.turnover import Turned
from bench.usage import Resources

SAMPLES = 240  # twenty minutes
Change = Callable[[int], dict[str, Any]]


def resources(**changes: int) -> Resources:
    plain = Resources(memory=90 * MEBIBYTE, own_memory=60 * MEBIBYTE, descriptors=40, threads=3)
    return msgspec.structs.replace(plain, **changes)


def sample(number: int, change: Change) -> Sample:
    plain = Sample(
        at=5.0 * number,
        parts={"gateway": resources(), "rabbitmq": resources()},
        connections=20,
        table_bytes={"live": MEBIBYTE, "requests": number * MEBIBYTE},
        dead_rows={"live": number % 12},
        queues={"work.first": 0, "work.first.parked": 0},
        late=0.1,
    )
    return msgspec.structs.replace(plain, **change(number))


def soak(change: Change = lambda _: {}, **changes: Any) -> Soak:
    plain = Soak(
        minutes=20,
        capacity=1_000,
        rate=600,
        load=Measurement(answers=10, seconds=1, load=0, others=0),
        samples=[sample(number, change) for number in range(SAMPLES)],
        turned=Turned(aged=10, offered=2, dropped=2, taken=2, remade=2),
        purged={"idempotency_keys": 10},
        account=Account(accepted=10, completed=10, failed=0, live=0, repeated=0, billed=10),
    )
    return msgspec.structs.replace(plain, **changes)


def failed(made: Soak) -> list[str]:
    return [gate.name for gate in judge(made) if not gate.is_passed]


def test_a_steady_system_passes_although_its_history_grows() -> None:
    assert failed(soak()) == []


def test_growth_is_for_ten_minutes() -> None:
    samples = soak().samples

    assert growth(samples, lambda one: one.table_bytes["requests"]) == 120 * MEBIBYTE


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (
            lambda n: {"parts": {"gateway": resources(own_memory=n * MEBIBYTE // 100)}},
            "gateway: memory of its own",
        ),
        (
            lambda n: {"parts": {"gateway": resources(descriptors=40 + n // 60)}},
            "gateway: descriptors",
        ),
        (lambda n: {"parts": {"gateway": resources(threads=3 + n // 60)}}, "gateway: threads"),
        (lambda n: {"connections": 20 + n // 60}, "connections to PostgreSQL"),
        (lambda n: {"table_bytes": {"live": n * MEBIBYTE // 20}}, "table live and its indexes"),
        (lambda n: {"queues": {"work.first": 100 * n}}, "messages waiting"),
        (lambda n: {"queues": {"work.first.parked": int(n == 9)}}, "messages parked"),
        (lambda n: {"late": 31 if n == 9 else 0}, "the latest due row"),
    ],
)
def test_what_grows_or_lags_fails_by_its_name(change: Change, name: str) -> None:
    assert failed(soak(change)) == [name]


def test_what_grows_while_it_warms_up_does_not_count() -> None:
    def warming(number: int) -> dict[str, Any]:
        grown = min(number, SAMPLES // 4) * MEBIBYTE
        return {"parts": {"gateway": resources(own_memory=grown)}}

    assert failed(soak(warming)) == []


def test_servers_may_give_back_late() -> None:
    def growing(number: int) -> dict[str, Any]:
        return {"parts": {"rabbitmq": resources(own_memory=number * MEBIBYTE // 20)}}

    assert failed(soak(growing)) == []


def test_what_did_not_turn_over_fails() -> None:
    still = soak(turned=Turned(), purged={})

    assert failed(still) == [
        "requests whose retention ended",
        "expired partitions dropped",
        "partitions made again",
        "idempotency keys purged",
    ]


def test_a_partition_that_stays_fails() -> None:
    turned = Turned(aged=10, offered=4, dropped=3, taken=2, remade=1)

    assert failed(soak(turned=turned)) == ["expired partitions dropped", "partitions made again"]


def test_a_lost_request_fails() -> None:
    lost = Account(accepted=11, completed=10, failed=0, live=1, repeated=0, billed=10)

    assert failed(soak(account=lost)) == ["accepted and not completed"]
