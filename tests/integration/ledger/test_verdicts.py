"""Accept: nonces, idempotency keys and limits, each verdict exact whatever comes at once."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from libs.common.ids import new_id
from libs.ledger.accept import (
    Accepted,
    Idempotency,
    Known,
    Refusal,
    Refused,
    Submission,
    Verdict,
    accept,
)
from libs.ledger.ledger import GatewayLedger
from libs.ledger.look import Question
from libs.ledger.nonces import Nonce
from libs.ledger.states import State
from tests.support.ledgers import Bench, ending, submission

FINGERPRINT = bytes(32)
OTHER = bytes(31) + b"\1"


def keyed(key: str = "order-1", fingerprint: bytes = FINGERPRINT, **changes: Any) -> Submission:
    return submission(idempotency=Idempotency(key, fingerprint), **changes)


async def submit_all(ledger: Bench, items: list[Submission]) -> list[Verdict]:
    """Half of them here, half through another gateway, all at once."""
    other = GatewayLedger(ledger.url)
    try:
        return await asyncio.gather(
            *(
                (ledger.gateway if number % 2 else other).accept(item)
                for number, item in enumerate(items)
            )
        )
    finally:
        await other.close()


async def test_fifty_submissions_with_one_key_make_one_request(ledger: Bench) -> None:
    verdicts = await submit_all(ledger, [keyed() for _ in range(50)])

    accepted = [one for one in verdicts if isinstance(one, Accepted)]
    assert len(accepted) == 1
    known = {one.request_id for one in verdicts if isinstance(one, Known)}
    assert known == {accepted[0].request_id}
    for table in ("requests", "live", "bodies", "body_keys", "idempotency_keys"):
        assert await ledger.count(table) == 1


async def test_the_same_key_in_another_project_or_mode_is_another_key(ledger: Bench) -> None:
    items = [
        keyed(),
        keyed(mode="test"),
        keyed(project_id="prj_b"),
        keyed(project_id="prj_b", mode="test"),
    ]

    verdicts = await submit_all(ledger, items)

    assert all(isinstance(one, Accepted) for one in verdicts)


async def test_a_key_with_another_fingerprint_is_a_conflict_that_names_the_first(
    ledger: Bench,
) -> None:
    first = await ledger.gateway.accept(keyed())
    assert isinstance(first, Accepted)

    second = await ledger.gateway.accept(keyed(fingerprint=OTHER))

    assert second == Refused(Refusal.CONFLICT, first.request_id)
    assert await ledger.count("requests") == 1


async def test_a_key_still_leads_to_its_request_when_that_is_final(ledger: Bench) -> None:
    claim = await ledger.claimed(idempotency=Idempotency("order-1", FINGERPRINT))
    await ledger.finish(ending(claim))

    assert await ledger.gateway.accept(keyed()) == Known(claim.request_id)


@pytest.mark.parametrize("is_final", [True, False])
async def test_a_key_is_free_again_when_it_has_expired_and_its_request_is_final(
    ledger: Bench, *, is_final: bool
) -> None:
    claim = await ledger.claimed(idempotency=Idempotency("order-1", FINGERPRINT))
    await ledger.sql.execute("UPDATE idempotency_keys SET expires_on = '2020-01-01'")
    if is_final:
        await ledger.finish(ending(claim))

    again = await ledger.gateway.accept(keyed(fingerprint=OTHER))

    if is_final:
        assert isinstance(again, Accepted)
        assert await ledger.gateway.accept(keyed(fingerprint=OTHER)) == Known(again.request_id)
    else:
        assert again == Refused(Refusal.CONFLICT, claim.request_id)


async def test_a_cap_admits_exactly_as_many_as_it_says_from_two_gateways(ledger: Bench) -> None:
    verdicts = await submit_all(ledger, [submission(pending_limit=100) for _ in range(1_000)])

    kinds = Counter(one.why if isinstance(one, Refused) else type(one).__name__ for one in verdicts)
    assert kinds == {"Accepted": 100, Refusal.PENDING_LIMIT: 900}
    assert await ledger.count("live") == 100
    assert await ledger.count("bodies") == await ledger.count("body_keys") == 100


async def test_a_finished_request_makes_room_under_the_cap_and_none_under_the_quota(
    ledger: Bench,
) -> None:
    claim = await ledger.claimed(pending_limit=1, monthly_limit=2)
    assert await ledger.gateway.accept(submission(pending_limit=1)) == Refused(
        Refusal.PENDING_LIMIT
    )
    await ledger.finish(ending(claim))

    second = await ledger.claimed(pending_limit=1, monthly_limit=2)
    await ledger.finish(ending(second))
    third = await ledger.gateway.accept(submission(pending_limit=1, monthly_limit=2))

    assert third == Refused(Refusal.MONTHLY_LIMIT)


async def test_the_quota_is_exact_at_once_and_starts_anew_with_the_month(ledger: Bench) -> None:
    verdicts = await submit_all(ledger, [submission(monthly_limit=7) for _ in range(60)])
    assert sum(isinstance(one, Accepted) for one in verdicts) == 7

    await ledger.sql.execute("UPDATE account_counters SET period = period - interval '1 month'")

    assert isinstance(await ledger.gateway.accept(submission(monthly_limit=7)), Accepted)


async def test_test_mode_has_a_cap_of_its_own_and_no_quota(ledger: Bench) -> None:
    limits: dict[str, Any] = {"pending_limit": 2, "monthly_limit": 1}
    assert isinstance(await ledger.gateway.accept(submission(**limits)), Accepted)

    verdicts = [await ledger.gateway.accept(submission(mode="test", **limits)) for _ in range(3)]

    assert [type(one) for one in verdicts] == [Accepted, Accepted, Refused]
    assert verdicts[2] == Refused(Refusal.PENDING_LIMIT)


async def test_a_repeat_costs_neither_quota_nor_a_pending_place(ledger: Bench) -> None:
    first = await ledger.gateway.accept(keyed(pending_limit=1, monthly_limit=1))
    assert isinstance(first, Accepted)

    again = await ledger.gateway.accept(keyed(pending_limit=1, monthly_limit=1))

    assert again == Known(first.request_id)
    row = await ledger.sql.fetchrow("SELECT pending, accepted FROM account_counters")
    assert row is not None
    assert tuple(row) == (1, 1)


async def test_a_refused_request_leaves_its_key_free(ledger: Bench) -> None:
    blocking = await ledger.claimed(pending_limit=1)
    refused = await submit_all(ledger, [keyed(pending_limit=1) for _ in range(10)])
    assert refused == [Refused(Refusal.PENDING_LIMIT)] * 10
    assert await ledger.count("idempotency_keys") == 0

    await ledger.finish(ending(blocking))

    assert isinstance(await ledger.gateway.accept(keyed(pending_limit=1)), Accepted)


async def test_another_body_under_the_key_of_a_refused_request_conflicts_with_nothing(
    ledger: Bench,
) -> None:
    items = [keyed(pending_limit=0), keyed(fingerprint=OTHER, pending_limit=0)]

    answers = await ledger.gateway.database.run(lambda connection: accept(connection, items))

    assert answers == [Refused(Refusal.PENDING_LIMIT)] * 2
    assert await ledger.count("idempotency_keys") == 0


async def test_one_caller_over_its_limit_refuses_nobody_else_of_the_batch(ledger: Bench) -> None:
    items = [submission(pending_limit=1) for _ in range(20)]
    others = [submission(account_id="acc_b", project_id="prj_b") for _ in range(20)]

    verdicts = await submit_all(
        ledger, [item for pair in zip(items, others, strict=True) for item in pair]
    )

    assert sum(isinstance(one, Accepted) for one in verdicts) == 21


async def test_a_nonce_is_good_once_wherever_it_comes_back(ledger: Bench) -> None:
    verdicts = await submit_all(ledger, [submission(nonce="n" * 32) for _ in range(50)])
    other_key = await ledger.gateway.accept(submission(key_id="key_b", nonce="n" * 32))

    kinds = Counter(one.why if isinstance(one, Refused) else "accepted" for one in verdicts)
    assert kinds == {"accepted": 1, Refusal.NONCE_REUSED: 49}
    assert isinstance(other_key, Accepted)
    assert not await ledger.gateway.spend(Nonce("key_a", "n" * 32))


async def test_a_read_spends_its_nonce_once_and_for_submissions_too(ledger: Bench) -> None:
    spent = await asyncio.gather(*(ledger.gateway.spend(Nonce("key_a", "m")) for _ in range(20)))

    assert sorted(spent) == [False] * 19 + [True]
    assert await ledger.gateway.accept(submission(nonce="m")) == Refused(Refusal.NONCE_REUSED)


async def test_a_refused_nonce_stores_nothing_and_takes_no_key(ledger: Bench) -> None:
    await ledger.gateway.spend(Nonce("key_a", "used"))

    assert await ledger.gateway.accept(keyed(nonce="used")) == Refused(Refusal.NONCE_REUSED)

    assert await ledger.count("requests") == await ledger.count("idempotency_keys") == 0


async def test_a_request_is_retried_once_and_its_key_leads_to_the_retry(ledger: Bench) -> None:
    key = Idempotency("order-1", FINGERPRINT)
    claim = await ledger.claimed(idempotency=key)
    await ledger.finish(ending(claim, state=State.FAILED, error_code="provider_rejected"))

    verdicts = await submit_all(
        ledger,
        [submission(retried_from=claim.request_id, idempotency=key) for _ in range(20)],
    )

    accepted = [one for one in verdicts if isinstance(one, Accepted)]
    assert len(accepted) == 1
    new = accepted[0].request_id
    assert {one.request_id for one in verdicts if isinstance(one, Known)} == {new}
    assert await ledger.gateway.accept(keyed()) == Known(new)
    row = await ledger.sql.fetchrow(
        "SELECT retried_from, idempotency_key FROM requests WHERE id = $1", new
    )
    assert row is not None
    assert tuple(row) == (claim.request_id, "order-1")


async def test_everything_at_once_gives_every_item_its_own_verdict(ledger: Bench) -> None:
    """In one batch: fresh, repeated, conflicting, replayed and too many."""
    await ledger.gateway.accept(keyed("known", account_id="acc_k", project_id="prj_k"))
    await ledger.gateway.spend(Nonce("key_a", "used"))
    items = {
        "fresh": submission(nonce="new"),
        "replayed": submission(nonce="used"),
        "keyed": keyed("mine"),
        "same": keyed("mine"),
        "conflict": keyed("mine", OTHER),
        "known": keyed("known", account_id="acc_k", project_id="prj_k"),
        "over": submission(account_id="acc_o", project_id="prj_o", pending_limit=0),
    }
    blocker = asyncio.gather(*(ledger.gateway.accept(submission()) for _ in range(3)))

    answers = dict(
        zip(
            items,
            await asyncio.gather(*(ledger.gateway.accept(item) for item in items.values())),
            strict=True,
        )
    )
    await blocker

    kinds = {
        name: one.why if isinstance(one, Refused) else type(one) for name, one in answers.items()
    }
    assert kinds == {
        "fresh": Accepted,
        "replayed": Refusal.NONCE_REUSED,
        "keyed": Accepted,
        "same": Known,
        "conflict": Refusal.CONFLICT,
        "known": Known,
        "over": Refusal.PENDING_LIMIT,
    }


async def test_bodies_travel_with_their_key(ledger: Bench) -> None:
    item = submission(body=b"sealed", body_key=b"k" * 16, id=new_id("rr"))
    await ledger.gateway.accept(item)

    claim = (await ledger.claim(item.id))[0]
    await ledger.finish(ending(claim, result=b"sealed result"))
    standing = await ledger.gateway.look(Question("prj_a", "live", item.id))

    assert (claim.body, claim.body_key) == (b"sealed", b"k" * 16)
    assert standing is not None
    assert (standing.result, standing.body_key) == (b"sealed result", b"k" * 16)


async def test_a_body_without_its_key_is_no_body(ledger: Bench) -> None:
    accepted = await ledger.accept(retention=timedelta(days=1))
    await ledger.sql.execute("DELETE FROM body_keys")

    claim = (await ledger.claim(accepted.request_id))[0]

    assert claim.body is None
