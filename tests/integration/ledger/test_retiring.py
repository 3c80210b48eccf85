"""Records of requests go when their project's window is over, and not before."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from libs.common import retention
from libs.common.ids import lowest_id, new_id
from libs.ledger import retire
from libs.ledger.accept import Accepted, Idempotency
from libs.ledger.cancel import Change
from libs.ledger.erase import erase
from libs.ledger.look import Question
from libs.ledger.purge import Purged
from libs.ledger.retire import LIMIT
from tests.support import catalogue
from tests.support.buffers import MADE_EACH_TIME, buffers
from tests.support.crowds import crowd, make_room
from tests.support.interleaving import under_way
from tests.support.ledgers import Bench, ending, submission

SHORT = timedelta(days=7)
KEY = Idempotency("order-1", b"f" * 32)


@pytest.fixture(autouse=True)
async def _without_the_day_that_came_since_the_template(ledger: Bench) -> None:
    await ledger.dispatcher.purge()


def old_id(days: float) -> str:
    """As minted so long ago."""
    at = datetime.now(UTC) - timedelta(days=days)
    return lowest_id("rr", at) + new_id("rr")[13:]


async def age(ledger: Bench, request_id: str, days: float, expired_days_ago: int = 2) -> None:
    """As if it had been accepted so long ago, and its bodies had expired since."""
    await ledger.sql.execute(
        "UPDATE requests SET created_at = created_at - $2::interval,"
        " body_expires_on = current_date - $3::integer WHERE id = $1",
        request_id,
        timedelta(days=days),
        expired_days_ago,
    )
    await ledger.sql.execute(
        "UPDATE results SET body_expires_on = current_date - $2::integer WHERE request_id = $1",
        request_id,
        expired_days_ago,
    )


async def finished(ledger: Bench, days: float, **changes: object) -> str:
    """The id of one that was accepted so long ago and has long ended, its bodies gone."""
    request_id = old_id(days)
    [claim] = await ledger.claim((await ledger.accept(id=request_id, **changes)).request_id)
    await ledger.finish(ending(claim))
    await age(ledger, request_id, days)
    return request_id


async def records(ledger: Bench) -> tuple[set[str], set[str], set[str]]:
    rows = [
        await ledger.peek(query)
        for query in (
            "SELECT id FROM requests",
            "SELECT request_id FROM results",
            "SELECT request_id FROM attempts",
        )
    ]
    return tuple({row[0] for row in some} for some in rows)  # type: ignore[return-value]


async def test_what_is_older_than_its_projects_window_goes_with_its_attempts(
    ledger: Bench,
) -> None:
    old = await finished(ledger, 7.1, metadata_retention=SHORT)
    young = await finished(ledger, 6.9, metadata_retention=SHORT)
    others = await finished(ledger, 29, project_id="prj_b")

    purged = await ledger.dispatcher.purge()

    assert purged.requests == 1
    kept = {young, others}
    assert await records(ledger) == (kept, kept, kept)
    assert await ledger.gateway.look(Question("prj_a", "live", old)) is None
    assert (await ledger.dispatcher.purge()).requests == 0


async def test_the_window_is_the_one_of_the_last_accept(ledger: Bench) -> None:
    """So that a project which wants less, or whose plan allows less, does not wait for it."""
    old = await finished(ledger, 20)
    assert (await ledger.dispatcher.purge()).requests == 0

    await ledger.accept(metadata_retention=timedelta(days=90))
    assert (await ledger.dispatcher.purge()).requests == 0

    await ledger.accept(metadata_retention=SHORT)
    assert (await ledger.dispatcher.purge()).requests == 1
    assert old not in (await records(ledger))[0]


async def test_each_mode_has_its_own_window(ledger: Bench) -> None:
    live = await finished(ledger, 20)
    await finished(ledger, 20, mode="test", metadata_retention=SHORT)

    assert (await ledger.dispatcher.purge()).requests == 1
    assert (await records(ledger))[0] == {live}


async def test_what_is_open_stays_however_old_it_is(ledger: Bench) -> None:
    request_id = old_id(100)
    await ledger.accept(id=request_id, metadata_retention=SHORT)
    await age(ledger, request_id, 100)

    assert (await ledger.dispatcher.purge()).requests == 0
    assert (await records(ledger))[0] == {request_id}


@pytest.mark.parametrize(("ago", "gone"), [(-1, 0), (0, 0), (1, 1)])
async def test_bodies_and_the_idempotency_key_go_first(ledger: Bench, ago: int, gone: int) -> None:
    """A key leads to its request until it has expired: the API promises that."""
    old = await finished(ledger, 8, metadata_retention=SHORT, idempotency=KEY)
    await age(ledger, old, 0, expired_days_ago=ago)
    await ledger.sql.execute("UPDATE idempotency_keys SET expires_on = current_date - $1::int", ago)

    assert (await ledger.dispatcher.purge()).requests == gone
    known = await ledger.gateway.accept(submission(idempotency=KEY))
    assert isinstance(known, Accepted) == (ago >= 0)


async def test_many_go_batch_by_batch(ledger: Bench) -> None:
    ids = [old_id(40) for _ in range(LIMIT + 20)]
    for start in range(0, len(ids), 100):
        answers = await asyncio.gather(
            *(ledger.accept(id=one, running_limit=1) for one in ids[start : start + 100])
        )
        assert len(answers) == len(ids[start : start + 100])
    await ledger.sql.execute("UPDATE live SET deadline = now(), due_at = now()")
    while await ledger.dispatcher.expire():
        pass
    for table in ("requests", "results"):
        await ledger.sql.execute(f"UPDATE {table} SET body_expires_on = '2026-01-01'")  # noqa: S608  # constants
    await ledger.sql.execute("UPDATE requests SET created_at = '2026-01-01'")

    assert await ledger.dispatcher.purge() == Purged(requests=len(ids))
    assert await records(ledger) == (set(), set(), set())


async def test_two_dispatchers_retire_at_once(ledger: Bench) -> None:
    for _ in range(5):
        await finished(ledger, 40)

    rounds = await asyncio.gather(*(ledger.dispatcher.purge() for _ in range(3)))

    assert sum(one.requests for one in rounds) == 5


async def test_what_is_being_erased_just_now_waits_for_the_next_round(ledger: Bench) -> None:
    old = await finished(ledger, 40)
    async with under_way(ledger.url) as eraser:
        await erase(eraser, Change(Question("prj_a", "live", old)))
        assert (await ledger.dispatcher.purge()).requests == 0

    assert (await ledger.dispatcher.purge()).requests == 1


async def test_an_erase_that_comes_too_late_finds_nothing(ledger: Bench) -> None:
    old = await finished(ledger, 40)
    await ledger.dispatcher.purge()

    change = Change(Question("prj_a", "live", old))
    assert await ledger.gateway.erase(change) is None
    assert await ledger.gateway.cancel(change) is None


async def test_a_cooldown_that_is_over_goes(ledger: Bench) -> None:
    await ledger.sql.execute(
        "INSERT INTO cooldowns VALUES ('con_a', 'm', now() - interval '1 s'),"
        " ('con_b', 'm', now() + interval '1 h')"
    )

    assert await ledger.dispatcher.purge() == Purged(cooldowns=1)
    assert [row[0] for row in await ledger.peek("SELECT connection_id FROM cooldowns")] == ["con_b"]


@pytest.mark.timeout(300)
async def test_a_round_with_nothing_to_do_costs_the_same_beside_many_requests(
    ledger: Bench,
) -> None:
    sql = ledger.sql
    await ledger.accept()
    await make_room(sql)
    await sql.execute(MADE_EACH_TIME)
    bound = lowest_id("rr", datetime.now(UTC) - timedelta(days=30))

    async def look_around() -> int:
        return await buffers(
            sql,
            lambda connection: connection.fetchval(
                "SELECT retire_requests_v1($1, $2, $3, 500)", ["prj_a"], ["live"], [bound]
            ),
        )

    await look_around()
    few = await look_around()
    await crowd(sql, 1, 20_000)
    many = await look_around()

    assert many <= few + 32, (few, many)


async def test_a_round_looks_at_some_projects_and_the_next_at_others(
    ledger: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retire, "PAGE", 1)
    monkeypatch.setattr(retire, "PAGES", 2)
    for name in "abcde":
        await finished(ledger, 7.1, metadata_retention=SHORT, project_id=f"prj_{name}")

    rounds = [(await ledger.dispatcher.purge()).requests for _ in range(4)]

    assert rounds == [2, 2, 1, 0]
    late = await finished(ledger, 7.1, metadata_retention=SHORT, project_id="prj_a")
    for _ in range(3):
        await ledger.dispatcher.purge()
    assert late not in (await records(ledger))[0]


async def test_projects_with_too_much_to_do_are_gone_through_again_in_the_next_round(
    ledger: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PAGE": 1, "PAGES": 1, "LIMIT": 1, "ROUNDS": 2}.items():
        monkeypatch.setattr(retire, name, value)
    for name in "aaaaab":
        await finished(ledger, 7.1, metadata_retention=SHORT, project_id=f"prj_{name}")

    rounds = [(await ledger.dispatcher.purge()).requests for _ in range(4)]

    assert rounds == [2, 3, 1, 0]


@pytest.mark.timeout(300)
async def test_a_round_costs_the_same_beside_many_projects(ledger: Bench) -> None:
    sql = ledger.sql
    retirement = retire.Retirement(ledger.dispatcher.database)
    many = retire.PAGE * retire.PAGES
    costs = []
    for count in (many, 5 * many):
        await sql.execute(
            "INSERT INTO project_counters (project_id, mode, running_limit)"
            " SELECT 'prj_' || n, 'live', 1 FROM generate_series(1, $1::integer) n"
            " ON CONFLICT DO NOTHING",
            count,
        )
        await sql.execute("VACUUM ANALYZE project_counters")
        await retirement.go_on()
        costs.append(await buffers(sql, lambda _: retirement.go_on()))

    assert costs[1] <= 1.6 * costs[0] + 64, costs


async def test_every_table_has_a_window_or_a_reason(ledger: Bench) -> None:
    assert await catalogue.tables(ledger.url) == set(retention.REQUESTS)
