"""How long everything is kept: one entry for every table of every database.

The upkeep of each service reads its own part; a test walks the catalogues of all three databases
and fails on a table that is not here. Who adds a table adds its line, and what removes its rows.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

import msgspec

DAY: Final = timedelta(days=1)


class Erasure(StrEnum):
    """What becomes of a person's rows when their account is deleted."""

    DELETED = "deleted"
    STRIPPED = "stripped"
    """The fact stays; nothing of the person, and no text of theirs, stays in it."""
    EXPIRES = "expires"
    """Gone by its own window, within a week: nobody can look its rows up by account."""
    NOBODYS = "nobodys"
    """Holds nothing of anybody."""


class Kept(msgspec.Struct, frozen=True):
    """`window`: until when, counted as `why` says; None: for as long as `why` says."""

    window: timedelta | None
    why: str
    erasure: Erasure = Erasure.NOBODYS


SESSION_IDLE: Final = 14 * DAY
SESSION_LIFE: Final = 90 * DAY
LINKS: Final = DAY
MAILS_SENT: Final = DAY
MAILS_GIVEN_UP: Final = 7 * DAY
AUDIT: Final = 400 * DAY
SUPPORT: Final = 400 * DAY
ABUSE: Final = 30 * DAY
OUTBOX: Final = timedelta(hours=1)
ROLLUPS: Final = 400 * DAY
METADATA: Final = 30 * DAY
USAGE: Final = 3660 * DAY
"""Ten years and some days: § 147 AO and its like elsewhere, for what invoices are made of."""

_LIVING: Final = "as long as the account lives"
_MIGRATIONS: Final = Kept(None, "alembic's own: which revision the schema has")
_OUTBOX: Final = Kept(
    OUTBOX, "after it was told; untold facts stay until they are", Erasure.EXPIRES
)

_RECORDS: Final = Kept(
    METADATA,
    "a project's own window of 7 to 90 days (plan), and never before bodies and keys are gone",
    Erasure.DELETED,
)

REQUESTS: Final[dict[str, Kept]] = {
    "requests": _RECORDS,
    "results": _RECORDS,
    "attempts": _RECORDS,
    "live": Kept(None, "open requests only: until they end, at their deadline", Erasure.DELETED),
    "bodies": Kept(None, "by day, each request's own window (plan)", Erasure.DELETED),
    "body_keys": Kept(None, "as the bodies they open", Erasure.DELETED),
    "idempotency_keys": Kept(None, "as the body of their request", Erasure.DELETED),
    "nonces": Kept(timedelta(minutes=15), "after they were spent", Erasure.EXPIRES),
    "cooldowns": Kept(timedelta(), "after they are over", Erasure.EXPIRES),
    "account_counters": Kept(None, _LIVING, Erasure.DELETED),
    "project_counters": Kept(None, "as long as the project's account lives", Erasure.DELETED),
    "rollups": Kept(ROLLUPS, "after their hour or day", Erasure.DELETED),
    "model_rollups": Kept(ROLLUPS, "after their hour or day", Erasure.DELETED),
    "rollup_progress": Kept(None, "one row: how far was counted"),
    "erasures": Kept(None, "until nothing of the project is left", Erasure.DELETED),
    "outbox": _OUTBOX,
    "alembic_version": _MIGRATIONS,
}
