"""The tables of database `accounts`. Columns and constraints, no behaviour.

`migrations/` makes them; a test holds the two together.
"""

from services.accounts.models.abuse import AbuseSignal
from services.accounts.models.access import ApiKey, ProviderConnection, SealedDataKey
from services.accounts.models.accounts import Account, AuditEvent, Project
from services.accounts.models.base import Base
from services.accounts.models.mails import Mail, Notice
from services.accounts.models.people import Link, Person, Session, Throttle
from services.accounts.models.support import SupportEntry, SupportMessage

__all__ = [
    "AbuseSignal",
    "Account",
    "ApiKey",
    "AuditEvent",
    "Base",
    "Link",
    "Mail",
    "Notice",
    "Person",
    "Project",
    "ProviderConnection",
    "SealedDataKey",
    "Session",
    "SupportEntry",
    "SupportMessage",
    "Throttle",
]
