"""What a soak must show: slopes after the first quarter, and counts that must be nought."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from bench.gates import Gate
from bench.ledger_view import Account
from bench.measuring import Measurement
from bench.soak.samples import HOT, Sample
from bench.soak.slopes import settled, slope
from bench.soak.turnover import Turned
from bench.usage import Resources

MEBIBYTE = 1024 * 1024
TEN_MINUTES = 600.0
_PER_TEN_MINUTES = "MiB in 10 min"

_OWN_MEMORY = 1.0
# Theirs to plan: caches of what their backends have seen, heaps that are given back late. They
# also open files as tables and queues grow, which says nothing of ours.
SERVERS = ("postgresql", "rabbitmq", "redis")
_SERVERS_OWN_MEMORY = 16.0
_HOT_TABLES = 4.0
_LATE_SECONDS = 30.0


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """A soak's raw figures. `capacity` and `rate`: requests a second, found and applied."""

    minutes: float
    capacity: float
    rate: float
    load: Measurement
    samples: Sequence[Sample]
    turned: Turned
    purged: Mapping[str, float]
    account: Account


def judge(soak: Soak) -> list[Gate]:
    """Every figure with its bound."""
    return [*_truth(soak), *_turnover(soak), *_processes(soak), *_database(soak), *_queues(soak)]


def growth(samples: Sequence[Sample], of: Callable[[Sample], float]) -> float:
    """How much it grows in ten minutes, the first quarter aside."""
    return slope(settled([(sample.at, of(sample)) for sample in samples])) * TEN_MINUTES


def _truth(soak: Soak) -> Iterator[Gate]:
    account = soak.account
    yield _none("wrong answers", sum(soak.load.failures.values()))
    yield _none("accepted and not completed", account.accepted - account.completed)
    yield _none(
        "completed and not counted once by billing", abs(account.completed - account.billed)
    )
    yield _none("attempts beyond the first", account.repeated)
    late = max((sample.late for sample in soak.samples), default=0)
    yield Gate(name="the latest due row", value=late, bound=_LATE_SECONDS, unit="s late")


def _turnover(soak: Soak) -> Iterator[Gate]:
    turned = soak.turned
    yield _least("requests whose retention ended", turned.aged, 1)
    yield _least("expired partitions dropped", turned.dropped, turned.offered or 1)
    yield _least("partitions made again", turned.remade, turned.taken or 1)
    yield _least("idempotency keys purged", soak.purged.get("idempotency_keys", 0), 1)


def _processes(soak: Soak) -> Iterator[Gate]:
    parts = list(soak.samples[0].parts) if soak.samples else []
    for part in parts:
        yield Gate(
            name=f"{part}: memory of its own",
            value=growth(soak.samples, _of(part, lambda held: held.own_memory)) / MEBIBYTE,
            bound=_SERVERS_OWN_MEMORY if part in SERVERS else _OWN_MEMORY,
            unit=_PER_TEN_MINUTES,
        )
    for part in (part for part in parts if part not in SERVERS):
        descriptors = growth(soak.samples, _of(part, lambda held: held.descriptors))
        threads = growth(soak.samples, _of(part, lambda held: held.threads))
        yield _flat(f"{part}: descriptors", descriptors)
        yield _flat(f"{part}: threads", threads)


def _database(soak: Soak) -> Iterator[Gate]:
    yield _flat("connections to PostgreSQL", growth(soak.samples, lambda one: one.connections))
    for table in HOT:
        grown = growth(soak.samples, lambda one, name=table: one.table_bytes.get(name, 0))  # type: ignore[misc]
        yield Gate(
            name=f"table {table} and its indexes",
            value=grown / MEBIBYTE,
            bound=_HOT_TABLES,
            unit=_PER_TEN_MINUTES,
        )


def _queues(soak: Soak) -> Iterator[Gate]:
    waiting = growth(soak.samples, lambda one: sum(one.queues.values()))
    # What comes within a second lies in a queue at any moment; a tide, not a growth.
    yield Gate(name="messages waiting", value=waiting, bound=soak.rate, unit="in 10 min")
    parked = max(
        (depth for one in soak.samples for name, depth in one.queues.items() if "parked" in name),
        default=0,
    )
    yield _none("messages parked", parked)


def _of(part: str, held: Callable[[Resources], float]) -> Callable[[Sample], float]:
    return lambda sample: held(sample.parts[part])


def _none(name: str, value: float) -> Gate:
    return Gate(name=name, value=value, bound=0)


def _least(name: str, value: float, bound: float) -> Gate:
    return Gate(name=name, value=value, bound=bound, is_minimum=True)


def _flat(name: str, value: float) -> Gate:
    """One in ten minutes would be six in an hour."""
    return Gate(name=name, value=value, bound=1, unit="in 10 min")
