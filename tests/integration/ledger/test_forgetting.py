"""Nothing stays of the projects of a deleted account, and nothing of anybody else's goes."""

from datetime import timedelta

import pytest

from libs.common import retention
from libs.ledger.accept import Idempotency
from libs.ledger.forget import LIMIT, PAGE
from libs.ledger.nonces import Nonce
from tests.support.ledgers import Bench, ending

MINE = ("prj_a", "prj_b")


async def ask(ledger: Bench) -> None:
    await ledger.dispatcher.ask_to_forget("acc_a", MINE)


async def forget(ledger: Bench) -> list[str]:
    return [one async for ids in ledger.dispatcher.forget_asked() for one in ids]


async def let_an_hour_pass(ledger: Bench) -> None:
    await ledger.dispatcher.roll_up()
    await ledger.sql.execute("UPDATE erasures SET asked_at = asked_at - interval '1 h'")


async def tables_with(ledger: Bench, *columns: str) -> dict[str, str]:
    """Every table of the catalogue that has one of these columns, and which. No partitions."""
    rows = await ledger.sql.fetch(
        """
        SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
            AND NOT c.relispartition AND a.attname = ANY($1) AND NOT a.attisdropped
        ORDER BY array_position($1, a.attname::text) DESC
        """,
        list(columns),
    )
    return {row["relname"]: row["attname"] for row in rows}


async def left(ledger: Bench) -> dict[str, int]:
    """How many rows still name a project or an account of theirs, by table, looked up anywhere."""
    found = {}
    for table, column in (await tables_with(ledger, "project_id", "account_id")).items():
        value = "prj_other" if column == "project_id" else "acc_other"
        found[table] = await ledger.sql.fetchval(
            f"SELECT count(*) FROM {table} WHERE {column} <> $1",  # noqa: S608  # the catalogue's
            value,
        )
    for table, column in (await tables_with(ledger, "request_id")).items():
        found[table] = found.get(table, 0) + await ledger.sql.fetchval(
            f"SELECT count(*) FROM {table} t WHERE NOT EXISTS ("  # noqa: S608  # as above
            f"SELECT FROM requests r WHERE r.id = t.{column} AND r.project_id = 'prj_other')"
        )
    return {table: count for table, count in found.items() if count}


async def fill(ledger: Bench) -> tuple[list[str], str]:
    """Both projects with a bit of everything, and somebody else's; what is open, and theirs."""
    done = await ledger.claimed(idempotency=Idempotency("k", b"f"), nonce="n")
    await ledger.finish(ending(done, provider_error=b"odd"))
    running = (await ledger.claimed()).request_id
    waiting = (await ledger.accept(project_id="prj_b", mode="test")).request_id
    other = await ledger.claimed(
        project_id="prj_other", account_id="acc_other", idempotency=Idempotency("k", b"f")
    )
    await ledger.finish(ending(other))
    await ledger.dispatcher.roll_up()
    return sorted((running, waiting)), other.request_id


async def test_every_row_of_every_table_goes_and_nobody_elses(ledger: Bench) -> None:
    open_ones, other = await fill(ledger)
    before = await left(ledger)
    tables = {
        table for table, kept in retention.REQUESTS.items()
        if kept.erasure is retention.Erasure.DELETED
    }  # fmt: skip
    assert set(before) == tables - {"erasures", "live"} | {"live"}, "fill() fills them all"

    await ask(ledger)
    assert sorted(await forget(ledger)) == open_ones
    assert set(await left(ledger)) <= {
        "erasures", "account_counters", "project_counters", "rollups", "model_rollups"
    }  # fmt: skip
    await let_an_hour_pass(ledger)
    assert await forget(ledger) == []

    assert await left(ledger) == {}
    rows = await ledger.peek("SELECT request_id FROM bodies NATURAL JOIN body_keys")
    assert {row["request_id"] for row in rows} == {other}
    assert await ledger.count("attempts") == await ledger.count("results") == 1
    assert await ledger.count("rollups") == 2
    assert await ledger.count("account_counters") == await ledger.count("project_counters") == 1


async def test_nothing_is_forgotten_that_nobody_asked_for(ledger: Bench) -> None:
    await fill(ledger)

    assert await forget(ledger) == []
    assert await ledger.sql.fetchval("SELECT forget_requests_v1('prj_a', 'live', 100)") == 0
    assert await ledger.count("requests") == 4


async def test_asking_twice_and_again_after_the_end_is_harmless(ledger: Bench) -> None:
    await fill(ledger)
    for _ in range(2):
        await ask(ledger)
        await ask(ledger)
        await forget(ledger)
        await let_an_hour_pass(ledger)
        await forget(ledger)

        assert await left(ledger) == {}
    assert await ledger.count("requests") == 1


async def test_broken_off_anywhere_it_goes_on_from_there(ledger: Bench) -> None:
    total = LIMIT + 10
    await ledger.fill_accepted(total)
    await ask(ledger)
    broken_off = ledger.dispatcher.forget_asked()
    await anext(broken_off)
    await broken_off.aclose()  # type: ignore[attr-defined]  # a generator behind its interface
    assert await ledger.sql.fetchval("SELECT forget_requests_v1('prj_a', 'live', 7)") == 7

    await forget(ledger)

    assert await ledger.count("requests") == 0
    assert await ledger.count("erasures") == 2


async def test_what_slips_in_within_the_hour_goes_too(ledger: Bench) -> None:
    """A gateway that asked accounts before the deletion may accept for a few minutes."""
    await ask(ledger)
    await forget(ledger)
    late = await ledger.accept()

    assert await forget(ledger) == [late.request_id]
    await let_an_hour_pass(ledger)
    await forget(ledger)
    assert await left(ledger) == {}


async def test_it_is_not_over_while_an_end_of_that_hour_is_not_counted(ledger: Bench) -> None:
    """Counted afterwards it would come back as a roll-up."""
    await ledger.accept()
    await ask(ledger)
    await forget(ledger)
    await ledger.sql.execute("UPDATE erasures SET asked_at = asked_at - interval '1 h'")
    await ledger.sql.execute("UPDATE outbox SET created_at = created_at - interval '1 h'")

    await forget(ledger)
    assert await ledger.count("erasures") == 2
    await ledger.dispatcher.roll_up()
    await forget(ledger)

    assert await left(ledger) == {}


async def test_the_nonces_of_their_keys_are_gone_within_the_hour(ledger: Bench) -> None:
    await ledger.gateway.spend(Nonce("key_a", "n"))
    assert await ledger.sql.fetchval("SELECT max(expires_at) < now() + interval '1 h' FROM nonces")
    kept = retention.REQUESTS["nonces"]
    assert kept.window is not None
    assert kept.window <= timedelta(hours=1)


@pytest.mark.parametrize("account", ["acc_a", "acc_other"])
async def test_the_accounts_counter_goes_with_its_last_project(ledger: Bench, account: str) -> None:
    await ledger.finish(ending(await ledger.claimed(account_id=account)))
    await ask(ledger)
    await forget(ledger)
    await let_an_hour_pass(ledger)
    await forget(ledger)

    assert await ledger.count("account_counters") == (0 if account == "acc_a" else 1)


async def test_many_that_cannot_go_yet_keep_no_other_waiting(ledger: Bench) -> None:
    await ledger.accept(project_id="prj_last")
    asking = ledger.dispatcher.ask_to_forget
    await asking("acc_many", [f"prj_{number:03}" for number in range(PAGE + 10)])
    await asking("acc_one", ["prj_last"])

    await forget(ledger)

    assert await ledger.count("requests") == 0
