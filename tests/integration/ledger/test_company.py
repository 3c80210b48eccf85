"""What one request may not do alone, it may not do among others either (decision 0032).

Each test runs twice: alone, which goes by the statements for one, and beside another account's
request in the same batch, which goes by those for many.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from libs.ledger.accept import Refusal, Refused, Submission, Verdict, accept
from libs.ledger.claim import Claim, claim
from libs.ledger.finish import finish_free
from libs.ledger.nonces import Nonce
from tests.support.ledgers import Bench, ending, submission

_OTHERS: Final = {"project_id": "prj_z", "account_id": "acc_z"}


@pytest.fixture(params=[0, 1], ids=["alone", "among others"])
def others(request: pytest.FixtureRequest) -> int:
    return int(request.param)


async def test_a_spent_nonce_stores_nothing(ledger: Bench, others: int) -> None:
    await ledger.accept()
    await ledger.gateway.spend(Nonce("key_a", "used"))

    verdict = await accept_with(ledger, submission(nonce="used"), others)

    assert verdict == Refused(Refusal.NONCE_REUSED)
    assert await ledger.count("requests") == 1 + others


async def test_a_full_account_takes_no_more(ledger: Bench, others: int) -> None:
    await ledger.accept()

    verdict = await accept_with(ledger, submission(pending_limit=1), others)

    assert verdict == Refused(Refusal.PENDING_LIMIT)
    assert await ledger.count("requests") == 1 + others


async def test_a_period_never_goes_back(ledger: Bench, others: int) -> None:
    today = datetime.now(UTC).date()
    await ledger.accept(anchor_day=(today - timedelta(days=9)).day)
    await ledger.accept(anchor_day=today.day)

    await accept_with(ledger, submission(anchor_day=(today - timedelta(days=9)).day), others)

    counted = await ledger.sql.fetchrow(
        "SELECT period, accepted FROM account_counters WHERE account_id = 'acc_a'"
    )
    assert tuple(counted or ()) == (today, 2)


async def test_what_runs_is_not_claimed(ledger: Bench, others: int) -> None:
    running = await ledger.claimed()

    assert await claim_with(ledger, running.request_id, others) == []


async def test_what_has_no_slot_is_not_claimed(ledger: Bench, others: int) -> None:
    waiting = await ledger.accept(running_limit=0)

    assert await claim_with(ledger, waiting.request_id, others) == []


async def test_each_claim_raises_the_fence(ledger: Bench, others: int) -> None:
    first = await ledger.claimed()
    await ledger.sql.execute("UPDATE live SET state = 'queued', lease_until = NULL")  # given back

    [second] = await claim_with(ledger, first.request_id, others)

    assert (first.fence, second.fence) == (1, 2)


async def test_an_answer_with_an_old_fence_changes_nothing(ledger: Bench, others: int) -> None:
    claimed = await ledger.claimed()
    await ledger.sql.execute("UPDATE live SET fence = fence + 1")

    assert not await finish_with(ledger, claimed, others)

    assert await ledger.live(claimed.request_id) is not None
    assert await ledger.count("results") == others


async def test_an_end_gives_back_slot_and_place_and_is_told(ledger: Bench, others: int) -> None:
    claimed = await ledger.claimed()

    assert await finish_with(ledger, claimed, others)

    assert await ledger.slots() == 0
    assert await ledger.sql.fetchval("SELECT sum(pending) FROM account_counters") == 0
    [event] = await ledger.sql.fetch("SELECT body FROM outbox")
    assert claimed.request_id.encode() in event["body"]


async def accept_with(ledger: Bench, item: Submission, others: int) -> Verdict:
    items = [item, *(submission(**_OTHERS) for _ in range(others))]
    return (await accept(ledger.sql, items))[0]


async def claim_with(ledger: Bench, request_id: str, others: int) -> Sequence[Claim]:
    more = [(await ledger.accept(**_OTHERS)).request_id for _ in range(others)]
    claims = await claim(ledger.sql, "executor-2", [request_id, *more])
    assert {one.request_id for one in claims} >= set(more)
    return [one for one in claims if one.request_id == request_id]


async def finish_with(ledger: Bench, claimed: Claim, others: int) -> bool:
    more = [await ledger.claimed(**_OTHERS) for _ in range(others)]
    written = await finish_free(ledger.sql, [ending(claimed), *(ending(one) for one in more)])
    assert None not in written[1:]
    return written[0] is not None
