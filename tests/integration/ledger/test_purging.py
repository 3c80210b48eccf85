"""Purge: what has expired is gone, what is still needed is not, and nobody waits for it."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from libs.ledger.accept import Accepted, Idempotency, Known
from libs.ledger.claim import claim
from libs.ledger.finish import finish
from libs.ledger.look import Question
from libs.ledger.purge import LIMIT, Purged
from libs.ledger.states import State
from tests.support.interleaving import under_way
from tests.support.ledgers import Bench, ending, submission

NOTHING = Purged()


@pytest.fixture(autouse=True)
async def _without_the_day_that_came_since_the_template(ledger: Bench) -> None:
    """The migrations made the partitions of their own day too."""
    await ledger.dispatcher.purge()


def today() -> date:
    return datetime.now(UTC).date()


async def make_day(ledger: Bench, day: date) -> None:
    for parent in ("bodies", "body_keys"):
        await ledger.sql.execute(
            f"CREATE TABLE IF NOT EXISTS {parent}_{day:%Y%m%d} PARTITION OF {parent}"
            f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
        )


async def age(ledger: Bench, day: date) -> None:
    """As if everything that is there had been accepted so long ago that its day is `day`."""
    await make_day(ledger, day)
    for table, column in (
        ("bodies", "expires_on"),
        ("body_keys", "expires_on"),
        ("idempotency_keys", "expires_on"),
        ("requests", "body_expires_on"),
        ("live", "body_expires_on"),
        ("results", "body_expires_on"),
    ):
        await ledger.sql.execute(f"UPDATE {table} SET {column} = $1", day)  # noqa: S608  # constants


async def days_that_came(ledger: Bench) -> set[str]:
    """Their partitions."""
    rows = await ledger.peek("SELECT relname FROM pg_class WHERE relname ~ '^bod.*_[0-9]{8}$'")
    names = {row["relname"] for row in rows}
    return {name for name in names if name[-8:] <= f"{today():%Y%m%d}"}


async def test_an_expired_nonce_goes_and_a_fresh_one_stays(ledger: Bench) -> None:
    await ledger.sql.execute(
        "INSERT INTO nonces SELECT 'key_a', n::text, now() - interval '1 s'"
        " FROM generate_series(1, $1::integer) n",
        LIMIT + 1,
    )
    await ledger.accept(nonce="fresh")

    assert await ledger.dispatcher.purge() == Purged(nonces=LIMIT + 1)

    left = await ledger.peek("SELECT nonce FROM nonces")
    assert [row["nonce"] for row in left] == ["fresh"]


async def test_a_key_is_free_again_when_it_has_expired_and_its_request_is_final(
    ledger: Bench,
) -> None:
    final = await ledger.claimed(idempotency=Idempotency("final", b"f"))
    await ledger.finish(ending(final))
    still_open = await ledger.accept(idempotency=Idempotency("open", b"f"))
    await ledger.sql.execute("UPDATE idempotency_keys SET expires_on = $1", today())
    young = await ledger.claimed(idempotency=Idempotency("young", b"f"))
    await ledger.finish(ending(young))

    assert await ledger.dispatcher.purge() == Purged(idempotency_keys=1)

    again = await ledger.gateway.accept(submission(idempotency=Idempotency("open", b"f")))
    assert again == Known(still_open.request_id)
    rows = await ledger.peek("SELECT key FROM idempotency_keys ORDER BY key")
    assert [row["key"] for row in rows] == ["open", "young"]


async def test_a_day_that_has_come_is_dropped_with_its_keys(ledger: Bench) -> None:
    done = await ledger.claimed()
    await ledger.finish(ending(done))
    await age(ledger, today() - timedelta(days=3))
    fresh = await ledger.accept()

    assert await ledger.dispatcher.purge() == Purged(partitions=2)

    assert await days_that_came(ledger) == set()
    rows = await ledger.peek("SELECT request_id FROM bodies NATURAL JOIN body_keys")
    assert [row["request_id"] for row in rows] == [fresh.request_id]
    standing = await ledger.gateway.look(Question("prj_a", "live", done.request_id))
    assert standing is not None
    assert (standing.state, standing.result) == (State.COMPLETED, None)
    assert await ledger.dispatcher.purge() == NOTHING


async def test_a_day_that_has_not_come_cannot_be_dropped(ledger: Bench) -> None:
    tomorrow = today() + timedelta(days=1)

    for parent, day in (("bodies", tomorrow), ("requests", today())):
        with pytest.raises(asyncpg.DataError):
            await ledger.sql.execute("SELECT drop_body_partition_v1($1, $2)", parent, day)


async def test_an_open_request_outlives_its_day_with_its_body_and_its_key(ledger: Bench) -> None:
    accepted = await ledger.accept(idempotency=Idempotency("k", b"f"))
    other = await ledger.accept()
    await ledger.dispatcher.pause("prj_a")
    await age(ledger, today() - timedelta(days=1))

    assert await ledger.dispatcher.purge() == Purged(moved=2, partitions=2)

    await ledger.dispatcher.resume("prj_a")
    await ledger.dispatcher.release()
    [claimed, _] = await ledger.claim(accepted.request_id, other.request_id)
    assert (claimed.body, claimed.body_key) == (submission().body, bytes(16))
    assert claimed.body_expires_on > today() + timedelta(days=7)
    for table, column in (("requests", "body_expires_on"), ("idempotency_keys", "expires_on")):
        rows = await ledger.peek(f"SELECT {column} FROM {table}")  # noqa: S608  # constants
        assert {row[0] for row in rows} == {claimed.body_expires_on}
    await ledger.finish(ending(claimed, result=b"kept"))
    standing = await ledger.gateway.look(Question("prj_a", "live", accepted.request_id))
    assert standing is not None
    assert standing.result == b"kept"


async def test_many_open_requests_move_in_batches(ledger: Bench) -> None:
    await ledger.fill_accepted(50)
    await ledger.dispatcher.pause("prj_a")
    await age(ledger, today())

    assert (await ledger.dispatcher.purge()).moved == 50
    assert len(await ledger.peek("SELECT FROM bodies NATURAL JOIN body_keys")) == 50


async def test_a_drop_waits_for_what_is_running(ledger: Bench) -> None:
    running = await ledger.claimed()
    await age(ledger, today() - timedelta(days=1))

    assert await ledger.dispatcher.purge() == NOTHING
    await ledger.finish(ending(running))
    standing = await ledger.gateway.look(Question("prj_a", "live", running.request_id))
    assert standing is not None
    assert standing.result is not None

    assert await ledger.dispatcher.purge() == Purged(partitions=2)


async def test_a_request_that_is_claimed_meanwhile_keeps_the_day_its_executor_read(
    ledger: Bench,
) -> None:
    accepted = await ledger.accept()
    day = today() - timedelta(days=1)
    await age(ledger, day)
    async with under_way(ledger.url) as first:
        [claimed] = await claim(first, "executor-1", [accepted.request_id])
        assert await ledger.dispatcher.purge() == NOTHING

    assert await ledger.dispatcher.purge() == NOTHING
    assert claimed.body_expires_on == day
    rows = await ledger.peek("SELECT expires_on FROM bodies")
    assert [row["expires_on"] for row in rows] == [day]


async def test_a_finish_under_way_into_an_expired_day_keeps_the_day(ledger: Bench) -> None:
    running = await ledger.claimed()
    await age(ledger, today() - timedelta(days=1))
    async with under_way(ledger.url) as first:
        await finish(first, [ending(running)])
        assert await ledger.dispatcher.purge() == NOTHING

    assert await ledger.dispatcher.purge() == Purged(partitions=2)


async def test_a_drop_that_others_stand_in_the_way_of_gives_up_at_once(ledger: Bench) -> None:
    await age(ledger, today() - timedelta(days=1))
    async with under_way(ledger.url) as reader:
        await reader.execute("SELECT count(*) FROM bodies")
        async with asyncio.timeout(2):
            assert (await ledger.dispatcher.purge()).partitions == 1

    assert await ledger.dispatcher.purge() == Purged(partitions=1)


async def test_new_days_that_others_stand_in_the_way_of_wait_a_minute(ledger: Bench) -> None:
    rows = await ledger.peek(
        "SELECT relname FROM pg_class WHERE relname ~ '^bodies_[0-9]{8}$' ORDER BY 1 DESC LIMIT 1"
    )
    await ledger.sql.execute(f"DROP TABLE {rows[0]['relname']}")
    async with under_way(ledger.url) as reader:
        await reader.execute("SELECT count(*) FROM bodies")
        assert await ledger.dispatcher.make_partitions() == 0

    assert await ledger.dispatcher.make_partitions() == 1


@pytest.mark.alone
async def test_drops_under_load_neither_fail_nor_delay_an_accept(ledger: Bench) -> None:
    """Twenty days go while clients submit and executors finish; the slowest accept is timed."""
    for number in range(1, 21):
        await make_day(ledger, today() - timedelta(days=number))
    slowest = 0.0
    is_over = asyncio.Event()

    async def submit() -> None:
        nonlocal slowest
        loop = asyncio.get_running_loop()
        while not is_over.is_set():
            began = loop.time()
            verdict = await ledger.gateway.accept(submission(running_limit=10_000))
            slowest = max(slowest, loop.time() - began)
            assert isinstance(verdict, Accepted)
            [claimed] = await ledger.claim(verdict.request_id)
            assert claimed.body is not None
            await ledger.finish(ending(claimed))

    async def purge() -> None:
        while await days_that_came(ledger):
            await ledger.dispatcher.purge()
        is_over.set()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(submit())
        group.create_task(purge())

    assert slowest < 1


async def test_two_dispatchers_purge_at_once_and_remove_everything_once(ledger: Bench) -> None:
    done = [await ledger.claimed(idempotency=Idempotency(f"k{n}", b"f")) for n in range(4)]
    for one in done:
        await ledger.finish(ending(one))
    await age(ledger, today() - timedelta(days=1))

    rounds = await asyncio.gather(*(ledger.dispatcher.purge() for _ in range(2)))

    assert sum(one.idempotency_keys for one in rounds) == 4
    while (await ledger.dispatcher.purge()) != NOTHING:
        pass
    assert await days_that_came(ledger) == set()
