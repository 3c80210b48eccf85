"""Everything the stand-in knows, in one SQLite file: a restart loses nothing.

A change of things and the events that tell of it are written together or not at all.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

Thing = dict[str, Any]
"""One of Paddle's entities, as its JSON."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS things (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS things_by_kind ON things (kind, id);
CREATE TABLE IF NOT EXISTS deliveries (
    number INTEGER PRIMARY KEY, body TEXT NOT NULL, due_at REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL
);
"""
_MOMENT: Final = timedelta(microseconds=1)


class Delivery(msgspec.Struct, frozen=True):
    """A webhook that is due. `body`: the event as JSON text."""

    number: int
    body: str
    tries: int


class Store:
    """Used from one event loop."""

    def __init__(self, file: Path | str) -> None:
        """`file`: made if it is not there; `:memory:` forgets."""
        self._sql = sqlite3.connect(file, isolation_level=None)
        self._sql.executescript(_SCHEMA)
        self._last = datetime.now(UTC)

    def close(self) -> None:
        """Nothing is lost."""
        self._sql.close()

    def now(self) -> datetime:
        """Later than every time it was asked before."""
        self._last = max(datetime.now(UTC), self._last + _MOMENT)
        return self._last

    @contextmanager
    def change(self) -> Iterator[None]:
        """All of it or nothing."""
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._sql.execute("ROLLBACK")
            raise
        self._sql.execute("COMMIT")

    def put(self, kind: str, thing: Thing) -> None:
        """Add it, or replace it."""
        self._sql.execute(
            "INSERT INTO things VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (thing["id"], kind, _text(thing)),
        )

    def find(self, kind: str, thing_id: str) -> Thing | None:
        """One of them."""
        query = "SELECT body FROM things WHERE kind = ? AND id = ?"
        found = self._sql.execute(query, (kind, thing_id)).fetchone()
        return None if found is None else msgspec.json.decode(found[0], type=Thing)

    def all(self, kind: str) -> list[Thing]:
        """Newest first: ids sort by when they were made."""
        query = "SELECT body FROM things WHERE kind = ? ORDER BY id DESC"
        return [
            msgspec.json.decode(row[0], type=Thing) for row in self._sql.execute(query, (kind,))
        ]

    def deliver(self, event: Thing, *, state: str, copies: int, delay: float) -> None:
        """Keep a webhook to be sent, so many times."""
        due_at = datetime.now(UTC).timestamp() + delay
        rows = [(_text(event), due_at, state)] * copies
        self._sql.executemany("INSERT INTO deliveries (body, due_at, state) VALUES (?, ?, ?)", rows)

    def due(self, limit: int = 100) -> list[Delivery]:
        """Oldest first."""
        query = (
            "SELECT number, body, tries FROM deliveries WHERE state = 'due' AND due_at <= ?"
            " ORDER BY due_at, number LIMIT ?"
        )
        now = datetime.now(UTC).timestamp()
        return [Delivery(*row) for row in self._sql.execute(query, (now, limit))]

    def settle(self, number: int, *, state: str, wait: float = 0.0) -> None:
        """After a try. `state`: sent, given_up, or due again after `wait` seconds."""
        due_at = datetime.now(UTC).timestamp() + wait
        update = "UPDATE deliveries SET state = ?, due_at = ?, tries = tries + 1 WHERE number = ?"
        self._sql.execute(update, (state, due_at, number))

    def held(self) -> list[int]:
        """Numbers of the webhooks that are held back, oldest first."""
        query = "SELECT number FROM deliveries WHERE state = 'held' ORDER BY number"
        return [row[0] for row in self._sql.execute(query)]

    def release(self, numbers: Sequence[int]) -> None:
        """Send them, in this order."""
        start = datetime.now(UTC).timestamp() - 1
        rows = [(start + place / 1_000_000, number) for place, number in enumerate(numbers)]
        self._sql.executemany(
            "UPDATE deliveries SET state = 'due', due_at = ? WHERE number = ?", rows
        )

    def counts(self) -> dict[str, int]:
        """How many webhooks are in which state."""
        query = "SELECT state, count(*) FROM deliveries GROUP BY state"
        return {state: int(count) for state, count in self._sql.execute(query)}


def _text(thing: Thing) -> str:
    return msgspec.json.encode(thing).decode()
