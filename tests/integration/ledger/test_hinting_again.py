"""After a broker came back, every hint is looked at again, however many there are."""

from datetime import timedelta

import pytest

from libs.ledger import rehint
from libs.ledger.connection import LedgerAway
from tests.support.ledgers import Bench

BATCH = 10

REFUSE_MANY = """
CREATE FUNCTION refuse_many() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF (SELECT count(*) FROM changed) > 10 OR EXISTS (SELECT FROM changed WHERE model = 'slow') THEN
        RAISE 'canceling statement due to statement timeout' USING ERRCODE = '57014';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER bound AFTER UPDATE ON live REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_many();
"""


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehint, "ALL_DUE_LIMIT", BATCH)


async def held(ledger: Bench, count: int) -> None:
    """So many with a slot each, in nobody's hands; many of them due at the same moment."""
    await ledger.fill_accepted(count, running_limit=count)
    await ledger.sql.execute(
        "UPDATE live SET slot_at = now(), due_at = now() + interval '50 s' - interval '1 s' *"
        " (row_number % 2) FROM (SELECT id AS of, row_number() OVER () FROM live) n WHERE of = id"
    )


async def due(ledger: Bench) -> int:
    counted = "SELECT count(*) FROM live WHERE due_at <= clock_timestamp()"
    return int(await ledger.sql.fetchval(counted))


async def test_more_slots_than_a_statement_has_the_time_for_are_looked_at_in_several(
    ledger: Bench,
) -> None:
    await held(ledger, 5 * BATCH + 3)
    await ledger.sql.execute(REFUSE_MANY)

    await ledger.dispatcher.make_all_due()

    assert await due(ledger) == 5 * BATCH + 3


async def test_what_was_made_due_stays_so_when_the_rest_fails(ledger: Bench) -> None:
    await held(ledger, 3 * BATCH)
    last = "SELECT id FROM live ORDER BY due_at DESC, id DESC LIMIT 1"
    await ledger.sql.execute(f"UPDATE live SET model = 'slow' WHERE id = ({last})")  # noqa: S608
    await ledger.sql.execute(REFUSE_MANY)

    with pytest.raises(LedgerAway):
        await ledger.dispatcher.make_all_due()

    assert await due(ledger) == 2 * BATCH


async def test_what_waits_for_a_slot_is_not_walked_through(ledger: Bench) -> None:
    far = timedelta(hours=1)
    await held(ledger, 3)
    [waiting] = await ledger.fill_accepted(1, running_limit=3, deadline=far)

    await ledger.dispatcher.make_all_due()

    found = await ledger.live(waiting)
    assert await due(ledger) == 3
    assert found is not None
    assert found["due"] == pytest.approx(far.total_seconds(), abs=60)
