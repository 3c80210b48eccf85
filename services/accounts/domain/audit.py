"""What is written down about changes of access, money and data."""

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec


class Actor(msgspec.Struct, frozen=True):
    """Who acts, and from where. `network`: truncated; None for who does not come over one."""

    id: str
    network: str | None = None


OPERATOR: Final = Actor("operator")
"""Who does everything that is done on the command line."""

SYSTEM: Final = Actor("system")
"""Who does what was put in motion earlier, such as a deletion after its days of grace."""

BILLING: Final = Actor("billing")
"""What was bought, and whether it was paid: plans follow from it."""

NOBODY: Final = "nobody"
"""The id of who was not let in."""


class Group(StrEnum):
    """What a change is about: people look for one of these."""

    ACCESS = "access"
    KEYS = "keys"
    DATA = "data"
    MONEY = "money"


class Change(StrEnum):
    """What happened, in the past tense."""

    ACCOUNT_CREATED = "account.created"
    ACCOUNT_VERIFIED = "account.verified"
    ACCOUNT_SUSPENDED = "account.suspended"
    ACCOUNT_RESUMED = "account.resumed"
    ACCOUNT_RESTRICTED = "account.restricted"
    ACCOUNT_RELEASED = "account.released"
    LOGGED_IN = "session.started"
    SIGN_INS_REFUSED = "sign_ins.refused"
    SESSION_ENDED = "session.ended"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105  # no password
    PASSWORD_RESET = "password.reset"  # noqa: S105  # no password
    EMAIL_CHANGED = "email.changed"
    EMAIL_RESTORED = "email.restored"
    PROFILE_CHANGED = "profile.changed"
    NOTICES_ACCEPTED = "notices.accepted"
    NOTICES_DECLINED = "notices.declined"
    PROJECT_CREATED = "project.created"
    PROJECT_SET = "project.set"
    PROJECT_PAUSED = "project.paused"
    PROJECT_RESUMED = "project.resumed"
    PROJECT_DELETED = "project.deleted"
    API_KEY_ISSUED = "api_key.issued"
    API_KEY_ROTATED = "api_key.rotated"
    API_KEY_REVOKED = "api_key.revoked"
    PROVIDER_CONNECTION_SET = "provider_connection.set"
    PROVIDER_CONNECTION_TESTED = "provider_connection.tested"
    PROVIDER_CONNECTION_REMOVED = "provider_connection.removed"
    CONTENT_REVEALED = "content.revealed"
    REQUEST_CANCELLED = "request.cancelled"
    REQUEST_RETRIED = "request.retried"
    EXPORT_MADE = "export.made"
    DELETION_STARTED = "deletion.started"
    DELETION_UNDONE = "deletion.undone"
    DELETION_DONE = "deletion.done"
    SUPPORT_SENT = "support.sent"
    SUPPORT_ANSWERED = "support.answered"
    SUPPORT_CLOSED = "support.closed"
    PLAN_CHANGED = "plan.changed"
    PLAN_GRANTED = "plan.granted"
    PLAN_ORDERED = "plan.ordered"
    CHECKOUT_STARTED = "checkout.started"
    PORTAL_OPENED = "portal.opened"
    SUBSCRIPTION_CANCELLED = "subscription.cancelled"
    SUBSCRIPTION_KEPT = "subscription.kept"
    TAX_DETAILS_CHANGED = "tax_details.changed"

    @property
    def group(self) -> Group:
        """What it is about."""
        return _GROUPS[self.partition(".")[0]]


_GROUPS: Final = {
    "account": Group.ACCESS,
    "session": Group.ACCESS,
    "sign_ins": Group.ACCESS,
    "password": Group.ACCESS,
    "email": Group.ACCESS,
    "api_key": Group.KEYS,
    "provider_connection": Group.KEYS,
    "project": Group.DATA,
    "profile": Group.DATA,
    "notices": Group.DATA,
    "content": Group.DATA,
    "request": Group.DATA,
    "export": Group.DATA,
    "deletion": Group.DATA,
    "support": Group.DATA,
    "plan": Group.MONEY,
    "checkout": Group.MONEY,
    "portal": Group.MONEY,
    "subscription": Group.MONEY,
    "tax_details": Group.MONEY,
}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Who (`actor`) did `what` to which thing (`subject_id`).

    `detail`: what the thing became, or why, in one line of ours; never a secret.
    """

    what: Change
    account_id: str
    subject_id: str
    actor: Actor
    project_id: str | None = None
    detail: str | None = None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries of an account; None: all. From `since`, until just before `until`.

    `actor`: an id, as entries carry it.
    """

    group: Group | None = None
    project_id: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def changes_of(group: Group) -> list[Change]:
    """All that are about this."""
    return [change for change in Change if change.group is group]
