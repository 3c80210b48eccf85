"""Which event leads to which use case."""

from functools import partial
from typing import Final

from libs.common.broker.dispatch import Handlers
from libs.common.broker.topology import ACCOUNTS_BILLING
from libs.common.contracts.billing import (
    PaymentFailed,
    PlanChanged,
    SubscriptionEnded,
    UsageThresholdReached,
)
from services.accounts.ports import Ports
from services.accounts.use_cases import notices, plans

QUEUES: Final = (ACCOUNTS_BILLING,)


def handlers(ports: Ports) -> Handlers:
    """The table."""
    return {
        PlanChanged: partial(plans.take, ports),
        UsageThresholdReached: partial(notices.tell_usage, ports),
        PaymentFailed: partial(notices.tell_failed_payment, ports),
        SubscriptionEnded: partial(notices.tell_end, ports),
    }
