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
    API_KEY_ISSUED = "api_key.issued"
    API_KEY_REVOKED = "api_key.revoked"
    PROVIDER_CONNECTION_SET = "provider_connection.set"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Who (`actor`) did `what` to which thing (`subject_id`)."""

    what: Change
    account_id: str
    subject_id: str
    actor: str
    project_id: str | None = None
