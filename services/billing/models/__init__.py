"""The tables of database `billing`. Columns and constraints, no behaviour.

`migrations/` makes them; a test holds the two together.
"""

from services.billing.models.accounts import BillingAccount
from services.billing.models.base import Base
from services.billing.models.usage import UsageRecord, UsageSum

__all__ = ["Base", "BillingAccount", "UsageRecord", "UsageSum"]
