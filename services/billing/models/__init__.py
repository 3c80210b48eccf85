"""The tables of database `billing`. Columns and constraints, no behaviour.

`migrations/` makes them; a test holds the two together.
"""

from services.billing.models.accounts import BillingAccount
from services.billing.models.base import Base
from services.billing.models.nights import Night
from services.billing.models.paddle import (
    Address,
    Adjustment,
    Business,
    Customer,
    CustomerLink,
    Subscription,
    SubscriptionMove,
    Transaction,
    Webhook,
)
from services.billing.models.usage import (
    UsageAccountDay,
    UsageDay,
    UsageNotice,
    UsageRecord,
    UsageSum,
)

__all__ = [
    "Address",
    "Adjustment",
    "Base",
    "BillingAccount",
    "Business",
    "Customer",
    "CustomerLink",
    "Night",
    "Subscription",
    "SubscriptionMove",
    "Transaction",
    "UsageAccountDay",
    "UsageDay",
    "UsageNotice",
    "UsageRecord",
    "UsageSum",
    "Webhook",
]
