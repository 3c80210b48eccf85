"""How long everything is kept: one entry for every table of every database.

The upkeep of each service reads its own part; a test walks the catalogues of all three databases
and fails on a table that is not here. Who adds a table adds its line, and what removes its rows.
"""

from collections.abc import Mapping
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
NOTICES: Final = 90 * DAY
"""Longer than an event may come again: a broker that is wiped, a queue that waited for weeks."""
AUDIT: Final = 400 * DAY
SUPPORT: Final = 400 * DAY
ABUSE: Final = 30 * DAY
OUTBOX: Final = timedelta(hours=1)
ROLLUPS: Final = 400 * DAY
METADATA: Final = 30 * DAY
WEBHOOKS: Final = 90 * DAY
STRANGERS: Final = 90 * DAY
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

ACCOUNTS: Final[dict[str, Kept]] = {
    "accounts": Kept(
        None, "for ever: its id, plan and times, so that no id is used twice", Erasure.STRIPPED
    ),
    "projects": Kept(
        None,
        "for ever: its id and times, so that executors are told it is erased",
        Erasure.STRIPPED,
    ),
    "data_keys": Kept(None, "until the project is erased", Erasure.DELETED),
    "api_keys": Kept(None, _LIVING + "; revoked ones too, for audit and lists", Erasure.DELETED),
    "provider_connections": Kept(None, "until it is replaced or removed", Erasure.DELETED),
    "audit_events": Kept(AUDIT, "after it happened", Erasure.STRIPPED),
    "people": Kept(None, _LIVING, Erasure.DELETED),
    "sessions": Kept(
        SESSION_IDLE,
        "after they were last used, which they can be for 90 days (domain/tokens.py)",
        Erasure.DELETED,
    ),
    "links": Kept(LINKS, "after they expired", Erasure.DELETED),
    "throttles": Kept(
        timedelta(), "once all tries are back: hours; a digest names whom", Erasure.EXPIRES
    ),
    "mails": Kept(
        MAILS_SENT, "after they were sent; 7 days after they were given up", Erasure.DELETED
    ),
    "notices": Kept(NOTICES, "after the mail that they stand for", Erasure.DELETED),
    "support_messages": Kept(SUPPORT, "after they were closed", Erasure.DELETED),
    "support_entries": Kept(SUPPORT, "with their message", Erasure.DELETED),
    "abuse_signals": Kept(ABUSE, "after their hour; networks, no person"),
    "outbox": _OUTBOX,
    "alembic_version": _MIGRATIONS,
}

BILLING: Final[dict[str, Kept]] = {
    "billing_accounts": Kept(None, "for ever: an id, its plan and times", Erasure.STRIPPED),
    "usage_records": Kept(
        USAGE, "after their period; less a day after the account was deleted", Erasure.DELETED
    ),
    "usage_days": Kept(
        USAGE, "after their month; less a day after the account was deleted", Erasure.DELETED
    ),
    "usage_account_days": Kept(
        USAGE, "after their month; less a day after the account was deleted", Erasure.DELETED
    ),
    "usage_notices": Kept(
        USAGE, "after their period; less a day after the account was deleted", Erasure.DELETED
    ),
    "nights": Kept(None, "one row for each thing that is done every night"),
    "usage_sums": Kept(
        USAGE,
        "after their period; what deleted accounts used, without projects, models and requests",
        Erasure.STRIPPED,
    ),
    "webhooks": Kept(WEBHOOKS, "after they came; their bodies as the account", Erasure.STRIPPED),
    "customers": Kept(
        STRANGERS, "where nobody of ours is one; else " + _LIVING + ", then an id", Erasure.STRIPPED
    ),
    "customer_links": Kept(None, "for ever: of which account invoices are", Erasure.STRIPPED),
    "addresses": Kept(
        STRANGERS, "of strangers; else " + _LIVING + ", then the country", Erasure.STRIPPED
    ),
    "businesses": Kept(
        STRANGERS, "of strangers; else " + _LIVING + ", then an id", Erasure.STRIPPED
    ),
    "subscriptions": Kept(USAGE, "after they ended: invoices rest on them", Erasure.STRIPPED),
    "subscription_moves": Kept(USAGE, "as their subscription", Erasure.STRIPPED),
    "transactions": Kept(
        USAGE, "after they were billed; 90 days where they never were", Erasure.STRIPPED
    ),
    "adjustments": Kept(USAGE, "after they were made", Erasure.STRIPPED),
    "outbox": _OUTBOX,
    "alembic_version": _MIGRATIONS,
}

DATABASES: Final = {"accounts": ACCOUNTS, "requests": REQUESTS, "billing": BILLING}


class Over(msgspec.Struct, frozen=True):
    """A table, how long its rows are kept, and how many are there for longer (None: not counted).

    `kept`: None for as long as `why` says.
    """

    table: str
    kept: timedelta | None
    over: int | None
    why: str


class Swept(msgspec.Struct, frozen=True):
    """Rows of a table that went."""

    table: str
    rows: int


def tell_over(kept: Mapping[str, Kept], counted: Mapping[str, int]) -> list[Over]:
    """Every table of one database."""
    return [Over(name, one.window, counted.get(name), one.why) for name, one in kept.items()]


def tell_swept(swept: Mapping[str, int]) -> list[Swept]:
    """By table."""
    return [Swept(table, rows) for table, rows in swept.items()]
