"""One request alone is written as it would be among others (decision 0032).

Each test does the same twice, to one request alone and to its twin of another account and project,
which shares its batch with a third: what lies in the tables then differs in names and moments only.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import pytest

from libs.ledger.accept import Accepted, Idempotency, Refusal, Refused, Submission, accept
from libs.ledger.claim import Claim, claim
from libs.ledger.finish import finish_free
from tests.support.ledgers import Bench, ending, submission

_TABLES: Final = {
    "requests": "id", "live": "id", "bodies": "request_id", "body_keys": "request_id",
    "results": "request_id", "attempts": "request_id", "idempotency_keys": "request_id",
    "nonces": "key_id", "account_counters": "account_id", "project_counters": "project_id",
}  # fmt: skip
_NAMES: Final = ("id", "request_id", "account_id", "project_id", "key_id")
_EXACT: Final = timedelta(microseconds=1)
_LAG: Final = timedelta(seconds=60)
"""Moments of one transaction are told exactly; of several, to what may pass between them."""

_RUNNING: Final[Mapping[str, dict[str, Any]]] = {
    "plain": {},
    "signed, with a key": {"nonce": "once", "idempotency": Idempotency("order-1", b"print")},
    "another plan": {"running_limit": 7, "metadata_retention": timedelta(days=90)},
    "test mode": {"mode": "test", "monthly_limit": 0},
    "a deadline before the next hint": {"deadline": timedelta(seconds=4)},
    "kept for less than its deadline": {"deadline": timedelta(days=9), "anchor_day": 31},
    "other limits": {"fails_on_unknown": True, "max_attempts": 1, "retention": timedelta(hours=1)},
}
_KINDS: Final = {**_RUNNING, "no slot": {"running_limit": 0}}


@pytest.mark.parametrize("kind", _KINDS.values(), ids=_KINDS)
async def test_accept_stores_the_same(ledger: Bench, kind: dict[str, Any]) -> None:
    alone, twin = await accepted(ledger, kind)

    rows = await stored(ledger, alone)

    assert rows == await stored(ledger, twin)
    assert [len(rows[table]) for table in ("requests", "live", "bodies", "body_keys")] == [1] * 4
    assert len(rows["nonces"]) == len(rows["idempotency_keys"]) == ("nonce" in kind)


@pytest.mark.parametrize("kind", _RUNNING.values(), ids=_RUNNING)
async def test_claim_and_finish_store_the_same(ledger: Bench, kind: dict[str, Any]) -> None:
    one, among = await claimed(ledger, *await accepted(ledger, kind))
    assert shape(one) == shape(among[0])
    assert (await stored_of(ledger, one)) == (await stored_of(ledger, among[0]))

    written = await finish_free(ledger.sql, [full_ending(one)])
    others = await finish_free(ledger.sql, [full_ending(each) for each in among])

    assert written[0] is not None
    assert others[0] == msgspec.structs.replace(written[0], request_id=among[0].request_id)
    rows = await stored_of(ledger, one)
    assert rows == await stored_of(ledger, among[0])
    assert [len(rows[name]) for name in ("live", "attempts", "results", "told")] == [0, 1, 1, 1]
    assert len(rows["bodies"]) == 2, "what was asked, and what was answered"


async def test_one_alone_does_not_pass_what_waits(ledger: Bench) -> None:
    for name in ("alone", "twin"):
        waiting = submission(**names(name), running_limit=0)
        await ledger.gateway.accept(waiting)

    alone, twin = await accepted(ledger, {"running_limit": 5})

    rows = await stored(ledger, alone)
    assert rows == await stored(ledger, twin)
    assert rows["live"][0]["slot_at"] is None


async def test_a_paused_project_gives_no_slot_to_one_alone(ledger: Bench) -> None:
    await ledger.finish(ending(await ledger.claimed()))
    await ledger.dispatcher.pause("prj_a")

    assert (await ledger.accept()).hint is None
    assert await ledger.slots() == 0


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ({"nonce": "n"}, {"nonce": "n"}, Refusal.NONCE_REUSED),
        ({}, {"pending_limit": 1}, Refusal.PENDING_LIMIT),
        ({}, {"monthly_limit": 1}, Refusal.MONTHLY_LIMIT),
        (
            {"idempotency": Idempotency("k", b"one")},
            {"idempotency": Idempotency("k", b"two")},
            Refusal.CONFLICT,
        ),
    ],
    ids=["nonce", "pending", "monthly", "conflict"],
)
async def test_who_is_refused_alone_leaves_nothing(
    ledger: Bench, first: dict[str, Any], second: dict[str, Any], why: Refusal
) -> None:
    await ledger.accept(**first)
    before = [await ledger.sql.fetch(f"TABLE {table}") for table in _TABLES]

    [verdict] = await accept(ledger.sql, [submission(**second)])

    assert isinstance(verdict, Refused)
    assert verdict.why is why
    assert before == [await ledger.sql.fetch(f"TABLE {table}") for table in _TABLES]


def names(name: str) -> dict[str, str]:
    return {"project_id": f"prj_{name}", "account_id": f"acc_{name}", "key_id": f"key_{name}"}


async def accepted(ledger: Bench, kind: dict[str, Any]) -> tuple[Submission, Submission]:
    """One alone, and its twin in a batch. Their counters are there, from an earlier request."""
    earlier = {"mode": kind.get("mode", "live")}
    for name in ("alone", "twin"):
        await ledger.gateway.accept(submission(**names(name), **earlier))
    alone, twin = submission(**names("alone"), **kind), submission(**names("twin"), **kind)
    verdicts = await accept(ledger.sql, [alone])
    verdicts += await accept(ledger.sql, [twin, submission(**names("third"))])
    hints = [one.hint for one in verdicts if isinstance(one, Accepted)]
    assert len(hints) == 3
    assert (hints[0] is None) == (hints[1] is None)
    return alone, twin


async def claimed(
    ledger: Bench, alone: Submission, twin: Submission
) -> tuple[Claim, tuple[Claim, Claim]]:
    third = (await ledger.accept(**names("third"))).request_id
    [one] = await claim(ledger.sql, "executor-1", [alone.id])
    a, b = await claim(ledger.sql, "executor-1", [twin.id, third])
    return (one, (a, b)) if a.request_id == twin.id else (one, (b, a))


def full_ending(one: Claim) -> Any:
    return ending(
        one,
        status_code=201,
        provider_request_id="req_7",
        provider_headers='{"x-ratelimit-limit-requests": "9"}',
    )


def shape(one: Claim) -> dict[str, Any]:
    return plain(msgspec.structs.asdict(one), one.created_at, _LAG)


async def stored_of(ledger: Bench, one: Claim) -> dict[str, list[dict[str, Any]]]:
    """As `stored`, and what the others were told of it."""
    item = submission(**names(one.project_id.removeprefix("prj_")), id=one.request_id)
    rows = await stored(ledger, item, _LAG)
    events = await ledger.sql.fetch("SELECT routing_key, body FROM outbox ORDER BY id")
    rows["told"] = [
        {"routing_key": event["routing_key"], **plain(of_one, one.created_at, _LAG)}
        for event in events
        for of_one in json.loads(event["body"])["requests"]
        if of_one["id"] == one.request_id
    ]
    return rows


async def stored(
    ledger: Bench, item: Submission, unit: timedelta = _EXACT
) -> dict[str, list[dict[str, Any]]]:
    """What every table has of a request: no names, and moments as so many units after its first."""
    created_at = await ledger.sql.fetchval("SELECT created_at FROM requests WHERE id=$1", item.id)
    owner = {"nonces": item.key_id, "account_counters": item.account_id}
    owner["project_counters"] = item.project_id
    return {
        table: [
            plain(dict(row), created_at, unit)
            for row in await ledger.sql.fetch(
                f"SELECT * FROM {table} WHERE {column} = $1 ORDER BY 1, 2",  # noqa: S608
                owner.get(table, item.id),
            )
        ]
        for table, column in _TABLES.items()
    }


def plain(row: dict[str, Any], created_at: datetime, unit: timedelta) -> dict[str, Any]:
    moments = {name: value for name, value in row.items() if name.endswith(("_at", "_until"))}
    others = row.keys() - moments.keys() - set(_NAMES) - {"waited", "deadline", "not_before"}
    moments |= {name: row[name] for name in ("deadline", "not_before") if name in row}
    return {name: row[name] for name in others} | {
        name: value and round((_moment(value) - created_at) / unit)
        for name, value in moments.items()
    }


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
