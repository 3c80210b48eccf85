"""What is written down about changes of access."""

from enum import StrEnum
from typing import Final

import msgspec

OPERATOR: Final = "operator"
"""The actor of everything done on the command line."""


class Change(StrEnum):
    """What happened, in the past tense."""

    ACCOUNT_CREATED = "account.created"
    PROJECT_CREATED = "project.created"
    PROJECT_SET = "project.set"
    PROJECT_PAUSED = "project.paused"
    PROJECT_RESUMED = "project.resumed"
    PROJECT_DELETED = "project.deleted"
    API_KEY_ISSUED = "api_key.issued"
    API_KEY_ROTATED = "api_key.rotated"
    API_KEY_REVOKED = "api_key.revoked"
    PROVIDER_CONNECTION_SET = "provider_connection.set"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Who (`actor`) did `what` to which thing (`subject_id`)."""

    what: Change
    account_id: str
    subject_id: str
    actor: str
    project_id: str | None = None
